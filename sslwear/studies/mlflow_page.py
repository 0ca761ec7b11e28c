"""A study's page in the MLflow UI: what the experiment says of itself, and the views in which the page opens.

A view is what MLflow's own button to share one stores: JSON in a tag of the context, which the address names. MLflow
nests runs only where they are sorted by their start, so there are two views; and it does not take from a view which
runs are unfolded (`unfold` is the way around).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlflow.entities import Experiment as MlflowExperiment

from sslwear.config import SearchSettings
from sslwear.studies.context import StudyContext
from sslwear.tracking import NOTE, Run, Store
from sslwear.tracking.provenance import PREFIX
from sslwear.training.metrics import HEADLINE_SCORES
from sslwear.utils.masking import masked

VIEW = "mlflow.sharedViewState."
BEST_FIRST, NESTED = "best-first", "nested"
SHOWN_CLASSES = 12
RUN_NAME_WIDTH, OUTCOME_WIDTH = 300, 140
"""In pixels: ``#12 layer4-5 lr=3.2e-4 permutation`` at its place below a study."""


def view(objective: str, nested: bool) -> str:
    """The state of the page's table as MLflow keeps it: columns, their order, and what it is sorted by.

    Args:
        objective: the score to sort by.
        nested: whether trials stand below their study, the newest first, or all runs in one list, the best first.
    """
    scores = [objective, *(score for score in HEADLINE_SCORES if score != objective)]
    columns = [
        *(f"metrics.`{score}`" for score in scores),
        *(f"params.`{name}`" for name in ("tuning", "learning_rate", "pretext")),
        *(f"metrics.`test_{score}`" for score in scores),
        f"tags.`{PREFIX}outcome`",
    ]
    name = "attributes.`Run Name`"
    state = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time" if nested else columns[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [name, *columns],
        "columnWidths": {name: RUN_NAME_WIDTH, columns[-1]: OUTCOME_WIDTH},
    }
    return json.dumps(state)


def describe_experiment(context: StudyContext, note: str, prevails: bool = False) -> str:
    """Find or make the MLflow context, and write on it what it is about and the views of its page.

    Args:
        context: what is going to run.
        note: what the page is about (Markdown).
        prevails: whether the page is about it from then on, as it is for a study; by default all this is written only
            where nothing stands yet.

    Returns:
        The MLflow experiment's id.
    """
    store, settings = context.store, context.settings
    found = store.client.get_experiment(store.experiment(settings.study))
    tags = {
        NOTE: note,
        "mlflow.experimentKind": "custom_model_development",  # the UI asks what it is where this is missing
        f"{VIEW}{BEST_FIRST}": view(settings.objective, nested=False),
        f"{VIEW}{NESTED}": view(settings.objective, nested=True),
        **{f"{PREFIX}{key}": value for key, value in context.tags().items()},
    }
    for key, value in tags.items():
        if found.tags.get(key) != value and (prevails or key not in found.tags):
            store.client.set_experiment_tag(found.experiment_id, key, masked(value))
    return str(found.experiment_id)


def unfold(run: Run) -> None:
    """Have the page unfold what a run is nested under, which MLflow does for runs of this type only.

    One run of a study is enough, and more would be too many: the run's own page then counts it among the evaluations.
    """
    run.store.client.set_tag(run.id, "mlflow.runType", "evaluation")


def addresses(server: str, context: MlflowExperiment) -> list[str]:
    """Where the UI of a server shows an context, the main page first.

    Args:
        server: such as ``http://127.0.0.1:5000``.
        context: one of the store that the server shows.
    """
    page = f"{server}/#/experiments/{context.experiment_id}/runs?workflowType=machine_learning"
    views = [key for key in (BEST_FIRST, NESTED) if f"{VIEW}{key}" in context.tags]
    return [f"{page}&viewStateShareKey={key}" for key in views] or [page]


def lines(server: str, store: Store) -> list[str]:
    """What to print of the pages of all experiments of a store: each with its name, and its other view below."""
    found = []
    for context in store.client.search_experiments():
        if context.experiment_id != "0":
            main, *others = addresses(server, context)
            found += [f"{context.name}: {main}", *(f"  nested under the study: {other}" for other in others)]
    return found


def study_note(context: StudyContext) -> str:
    """The experiment's description, where a study is run in it (Markdown)."""
    settings, split = context.settings, context.split
    return "\n\n".join(
        [
            f"Study **{settings.study}**: how to fine-tune {settings.encoder} (weights: {settings.weights}) on "
            f"{_data(context)}.",
            f"It searches {_searched(settings.search)}; trials are compared by {settings.objective} on "
            f"{_people(split.validation)} for validation, and the winner is scored once on {_people(split.test)} for "
            "the test.",
            f"The run `{settings.study}` has the study's charts among its artifacts; the trials stand below it.",
        ]
    )


def single_note(context: StudyContext) -> str:
    """The experiment's description, where no study was run in it (Markdown)."""
    return f"Single runs of {context.settings.encoder} on {_data(context)}."


def evaluation_note(context: StudyContext) -> str:
    """The experiment's description, where methods are compared in it (Markdown)."""
    settings = context.settings
    return (
        f"Methods compared with {settings.encoder} on {_data(context)}; the run `{evaluation_name(settings.study)}` "
        "has the table and a picture, and below it stands a run for each method, fold and seed."
    )


def evaluation_name(study: str) -> str:
    """What the run is called under which an evaluation's parts stand."""
    return f"evaluation of {study}"


def _data(context: StudyContext) -> str:
    dataset = context.dataset
    return (
        f"`{dataset.description.name}` ({len(dataset)} windows of {_people(dataset.participants)}, "
        f"{len(dataset.class_names)} classes: {', '.join(dataset.class_names[:SHOWN_CLASSES])}"
        f"{', ...' if len(dataset.class_names) > SHOWN_CLASSES else ''})"
    )


def _people(participants: Sequence[object]) -> str:
    return "1 participant" if len(participants) == 1 else f"{len(participants)} participants"


def _searched(search: SearchSettings) -> str:
    """What a study searches, in words."""
    parts = []
    if search.tuning is not None:
        parts.append("any set of blocks" if search.tuning == "any" else f"tuning ({', '.join(search.tuning)})")
    if search.learning_rate is not None:
        parts.append(f"learning_rate ({search.learning_rate.low:g} to {search.learning_rate.high:g})")
    for key in ("batch_size", "augment", "pretext"):
        if (choices := getattr(search, key)) is not None:
            parts.append(f"{key} ({', '.join(map(str, choices)).lower()})")
    return ", ".join(parts) or "nothing"
