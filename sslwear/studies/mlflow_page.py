"""A study's page in the MLflow UI: description of the experiment, and the shared views in which the page opens.

A view is what MLflow's button to share a view stores: JSON in a tag of the experiment, whose key is in the address.
MLflow nests runs only if they are sorted by start time, so there are two views. A view does not say which runs are
expanded; `expand_in_ui` works around that.
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
"""In pixels, enough for ``#12 layer4-5 lr=3.2e-4 permutation`` nested under a study."""


def view(objective: str, nested: bool) -> str:
    """State of the page's table as MLflow stores it: columns, their order, and the sorting.

    Args:
        objective: score to sort by.
        nested: True for trials nested under their study, newest first; False for one list of runs, best first.
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
    """Find or create the MLflow experiment, and set its description and the views of its page.

    Args:
        context: the study's.
        note: description (Markdown).
        prevails: whether to replace an existing description and views, as a study does; by default they are kept.

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


def expand_in_ui(run: Run) -> None:
    """Have the page expand the parent of a run on a first visit, which MLflow does for runs of this type only.

    Set it on one run of a study only: the page of such a run lists it among evaluations.
    """
    run.store.client.set_tag(run.id, "mlflow.runType", "evaluation")


def addresses(server: str, experiment: MlflowExperiment) -> list[str]:
    """Addresses of an experiment in a server's UI, the main page first.

    Args:
        server: such as ``http://127.0.0.1:5000``.
        experiment: an experiment of the server's store.
    """
    page = f"{server}/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    views = [key for key in (BEST_FIRST, NESTED) if f"{VIEW}{key}" in experiment.tags]
    return [f"{page}&viewStateShareKey={key}" for key in views] or [page]


def lines(server: str, store: Store) -> list[str]:
    """Lines to print: name and address of each experiment of a store, with its second view below."""
    found = []
    for experiment in store.client.search_experiments():
        if experiment.experiment_id != "0":
            main, *others = addresses(server, experiment)
            found += [f"{experiment.name}: {main}", *(f"  nested under the study: {other}" for other in others)]
    return found


def study_note(context: StudyContext) -> str:
    """Description of the MLflow experiment of a study (Markdown)."""
    settings, split = context.settings, context.split
    return "\n\n".join(
        [
            f"Study **{settings.study}**: how to fine-tune {settings.encoder} (weights: {settings.weights}) on "
            f"{_data(context)}.",
            f"It searches {_searched(settings.search)}. Trials are compared by {settings.objective} on "
            f"{_people(split.validation, 'validation')}, and the winner is scored once on "
            f"{_people(split.test, 'test')}.",
            f"The run `{settings.study}` has the study's charts among its artifacts; its trials are nested under it.",
        ]
    )


def single_note(context: StudyContext) -> str:
    """Description of the MLflow experiment of single runs (Markdown)."""
    return f"Single runs of {context.settings.encoder} on {_data(context)}."


def evaluation_note(context: StudyContext) -> str:
    """Description of the MLflow experiment of an evaluation (Markdown)."""
    settings = context.settings
    return (
        f"Comparison of methods with {settings.encoder} on {_data(context)}. The run "
        f"`{evaluation_name(settings.study)}` has the table and a figure; runs for each method, fold and seed are "
        "nested under it."
    )


def evaluation_name(study: str) -> str:
    """Name of the parent run of an evaluation."""
    return f"evaluation of {study}"


def _data(context: StudyContext) -> str:
    dataset = context.dataset
    return (
        f"`{dataset.description.name}` ({len(dataset)} windows of {_people(dataset.participants)}, "
        f"{len(dataset.class_names)} classes: {', '.join(dataset.class_names[:SHOWN_CLASSES])}"
        f"{', ...' if len(dataset.class_names) > SHOWN_CLASSES else ''})"
    )


def _people(participants: Sequence[object], side: str = "") -> str:
    return f"{len(participants)} {side + ' ' if side else ''}participant{'s' * (len(participants) != 1)}"


def _searched(search: SearchSettings) -> str:
    """The search space in words."""
    parts = []
    if search.tuning is not None:
        parts.append("any set of blocks" if search.tuning == "any" else f"tuning ({', '.join(search.tuning)})")
    if search.learning_rate is not None:
        parts.append(f"learning_rate ({search.learning_rate.low:g} to {search.learning_rate.high:g})")
    for key in ("batch_size", "augment", "pretext"):
        if (choices := getattr(search, key)) is not None:
            parts.append(f"{key} ({', '.join(map(str, choices)).lower()})")
    return ", ".join(parts) or "nothing"
