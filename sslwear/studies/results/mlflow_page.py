"""A study's page in the MLflow UI: description of the experiment, and the shared views in which the page opens.

A view is what MLflow's button to share a view stores: JSON in a tag of the experiment, whose key is in the address.
The best-first view lists what is compared: the trials of a study, or the jobs of an evaluation. MLflow nests runs only
if they are sorted by start time, so the nested view is another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from mlflow.entities import Experiment as MlflowExperiment

from sslwear.config import ANY, Range, SearchSettings
from sslwear.studies.setup.context import StudyContext
from sslwear.tracking import NOTE, Store
from sslwear.tracking.provenance import PREFIX
from sslwear.training.metrics import HEADLINE_SCORES
from sslwear.utils.masking import masked
from sslwear.utils.words import count

VIEW = "mlflow.sharedViewState."
BEST_FIRST, JOBS, NESTED = "best-first", "evaluation", "nested"
SHORT = {"study": BEST_FIRST, "evaluation": JOBS, "nested": NESTED}
"""Views by the first part of their short address in `sslwear ui`, such as ``/study/NAME``."""
TRIAL, JOB = "trial", "cross_validation_job"
LIKE_BEST = "like_best"
"""Tag of a trial: ``selected``, ``yes`` if it cannot be told from the best one, or ``no``."""
SHOWN_CLASSES = 12
SHOWN_PARAMS = ("tuning", "learning_rate", "pretext")
RUN_NAME_WIDTH, OUTCOME_WIDTH = 300, 140
"""In pixels, enough for ``#12 layer4-5 lr=3.2e-4 permutation`` nested under a study."""


def view(objective: str, nested: bool, kind: str | None = None, searched: Iterable[str] = ()) -> str:
    """State of the page's table as MLflow stores it: columns, their order, the filter and the sorting.

    Args:
        objective: score to sort by.
        nested: True for all runs nested under their parents, newest first; False for one list, best first.
        kind: kind of the runs in the list; None for all. Jobs of an evaluation are sorted by test scores, because
            baselines have no others.
        searched: names of the searched keys, whose parameters have columns too.
    """
    scores = [objective, *(score for score in HEADLINE_SCORES if score != objective)]
    tests = [f"test_{score}" for score in scores]
    tested_first = kind == JOB
    outcome = f"tags.`{PREFIX}outcome`"
    if kind == TRIAL:
        scores.insert(1, f"{objective}_se")
    columns = [
        outcome,
        *(f"metrics.`{score}`" for score in (tests + scores if tested_first else scores + tests)),
        *([f"tags.`{PREFIX}{LIKE_BEST}`"] if kind == TRIAL else []),
        *(f"params.`{name}`" for name in dict.fromkeys((*SHOWN_PARAMS, *map(_param, searched)))),
    ]
    name = "attributes.`Run Name`"
    state = {
        "searchFilter": "" if nested or kind is None else f"tags.`{PREFIX}kind` = '{kind}'",
        "orderByKey": "attributes.start_time" if nested else columns[1],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [name, *columns],
        "columnWidths": {name: RUN_NAME_WIDTH, outcome: OUTCOME_WIDTH},
    }
    return json.dumps(state)


def _param(name: str) -> str:
    """Name of a searched key among the parameters of a run, where the keys of `training` are without their section."""
    return name.removeprefix("training.")


def describe_experiment(context: StudyContext, note: str, kind: str | None = None) -> str:
    """Find or create the MLflow experiment, and set its description and the views of its page.

    Args:
        context: the study's.
        note: description (Markdown).
        kind: kind of the runs that are compared; None for all. A study (``trial``) replaces an existing description and
            views; others keep them.

    Returns:
        The MLflow experiment's id.
    """
    store, settings = context.store, context.settings
    found = store.client.get_experiment(store.experiment(settings.study))
    searched = () if kind == JOB else settings.search.space
    tags = {
        NOTE: note,
        "mlflow.experimentKind": "custom_model_development",  # the UI asks what it is where this is missing
        f"{VIEW}{JOBS if kind == JOB else BEST_FIRST}": view(
            settings.objective, nested=False, kind=kind, searched=searched
        ),
        f"{VIEW}{NESTED}": view(settings.objective, nested=True, kind=None if kind == JOB else kind, searched=searched),
        **{f"{PREFIX}{key}": value for key, value in context.tags().items()},
    }
    for key, value in tags.items():
        if found.tags.get(key) != value and (kind == TRIAL or key not in found.tags):
            store.client.set_experiment_tag(found.experiment_id, key, masked(value))
    return str(found.experiment_id)


def page(experiment: MlflowExperiment, shown: str) -> str:
    """Address of an experiment's page in MLflow's UI, without the server.

    Args:
        experiment: the experiment.
        shown: the view, which is left out where the experiment does not have it.
    """
    address = f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    return f"{address}&viewStateShareKey={shown}" if f"{VIEW}{shown}" in experiment.tags else address


def lines(server: str, store: Store) -> list[str]:
    """Lines to print: name and short address of each study and evaluation of a store."""
    found = []
    for experiment in store.client.search_experiments():
        if experiment.experiment_id == "0":
            continue
        name, evaluated = experiment.name, f"{VIEW}{JOBS}" in experiment.tags
        if not evaluated or f"{VIEW}{BEST_FIRST}" in experiment.tags:
            found.append(f"{name}: {server}/study/{quote(name)}")
        if evaluated:
            found.append(f"{evaluation_name(name)}: {server}/evaluation/{quote(name)}")
    return found


def study_note(context: StudyContext, judged: str) -> str:
    """Description of the MLflow experiment of a study (Markdown).

    Args:
        context: the study's.
        judged: how its trials are judged, in words.
    """
    settings, split = context.settings, context.split
    return "\n\n".join(
        [
            f"Study **{settings.study}**: how to fine-tune {settings.encoder} (weights: {settings.weights}) on "
            f"{_data(context)}.",
            f"It searches {_searched(settings.search)}. {judged}",
            f"The selected trial is trained again on all participants that are not test participants, and scored once "
            f"on {_people(split.test, 'test')}; test scores are means over participants.",
            f"The run `{settings.study}` has the verdict among its artifacts (`study.html`); its trials are nested "
            "under it.",
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
    return count(len(participants), f"{side} participant".strip())


def _searched(search: SearchSettings) -> str:
    """The search space in words."""
    parts = []
    for name, values in search.space.items():
        if values == ANY:
            parts.append("any set of blocks")
        elif isinstance(values, Range):
            steps = f" in steps of {values.step:g}" if values.step is not None else ""
            parts.append(f"{name} ({values.low:g} to {values.high:g}{steps})")
        else:
            parts.append(f"{name} ({', '.join(map(str, values)).lower()})")
    return ", ".join(parts) or "nothing"
