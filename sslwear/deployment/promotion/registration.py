"""Registration of a trial as a model version with model card, tags and scores."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib import metadata

import numpy as np
import optuna
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from sslwear.config import NO_PRETEXT
from sslwear.deployment import registry
from sslwear.deployment.promotion import model_card
from sslwear.deployment.promotion.learnt_smoothing import learnt_smoothing
from sslwear.encoders.base import Network
from sslwear.encoders.card import Card
from sslwear.encoders.distribution_shift import reference_ranges, statistics
from sslwear.evaluation.intervals import Interval, interval
from sslwear.evaluation.participants import validation_title
from sslwear.studies.database.tested_trials import past_evaluations
from sslwear.studies.database.trials import is_by_participant, kept_settings, logged_settings, score_of, training_of
from sslwear.studies.search.final_test import HeldOutScores
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.leakage import supervised_datasets
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.trial.pretraining import pretraining_source
from sslwear.studies.trial.winner import KIND as WINNER
from sslwear.tracking import RUN_URI, participant_params, reading
from sslwear.training.metrics import SCORES

EXAMPLES = 3
RANGE_WINDOWS = 5000
"""Approximate number of training windows from which reference ranges are computed."""


def register_trial(
    context: StudyContext,
    study: optuna.Study,
    trial: FrozenTrial,
    run_id: str,
    name: str,
    alias: str,
    network: Network,
    tested: HeldOutScores,
    comparison: str,
) -> ModelVersion:
    """Register the network of a finished trial as a new version.

    Args:
        context: context of the study.
        study: the study.
        trial: a finished trial.
        run_id: id of the run with its network.
        name: name of the registered model.
        alias: alias that it is promoted to, for the card.
        network: trained network of the trial.
        tested: scores on the test participants.
        comparison: section of the card about the previous champion, Markdown.

    Returns:
        The new version.
    """
    training = training_of(trial)
    on_all = reading.tag(context.store.client.get_run(run_id), "kind") == WINNER
    trained = context.on_all() if on_all else context
    smoothing, why_not = learnt_smoothing(trained if is_by_participant(study) else context, study, trial, network)
    card = replace(
        network_card(context, training.tuning, training.pretext, training.head),
        reference_ranges=training_ranges(trained),
        smoothing=smoothing,
        no_smoothing=why_not,
    )
    details = _details(trained, study, trial, run_id, name, alias, tested, comparison)
    title = validation_title(context.settings.objective, pooled=not is_by_participant(study))
    objective = f"{title} {score_of(trial) or 0.0:.3f}"
    text, tags = model_card.markdown(card, details), _tags(details, objective)
    example = example_windows(context, card)
    return registry.register(context.store, name, run_id, network.cpu(), card, example, text, tags, details.scores)


def _details(
    context: StudyContext,
    study: optuna.Study,
    trial: FrozenTrial,
    run_id: str,
    name: str,
    alias: str,
    tested: HeldOutScores,
    comparison: str,
) -> model_card.ModelDetails:
    """What the model card says beside the card itself; the arguments are those of `register_trial`."""
    pretext, split, run = training_of(trial).pretext, context.split, context.store.client.get_run(run_id)
    weights = run.data.params.get("weights", kept_settings(study).weights)
    return model_card.ModelDetails(
        name=name,
        alias=alias,
        study=study.study_name,
        trial=trial.number,
        run_id=run_id,
        commit=run.data.tags.get("mlflow.source.git.commit", ""),
        settings=logged_settings(trial),
        participants={"train": split.train, "validation": split.validation, "test": split.test},
        scores=score_intervals(tested.table),
        pooled=tested.pooled,
        tested_on=tested.tested_on,
        test_evaluations=len(past_evaluations(study)),
        comparison=comparison,
        weights=weights,
        pretraining=pretraining_licences(context, pretext),
        supervised=supervised_datasets(context, weights, pretext),
        versions=versions_text(),
    )


def _tags(details: model_card.ModelDetails, objective: str) -> dict[str, str]:
    return {
        "study": details.study,
        "trial": str(details.trial),
        "run": f"{RUN_URI}{details.run_id}",
        "commit": details.commit,
        "weights": details.weights,
        "weights_licence": model_card.weights_licence(details.weights),
        "objective": objective,
        "test_evaluations": str(details.test_evaluations),
        "tested_on": details.tested_on,
        **participant_params(**details.participants),
    }


def example_windows(context: StudyContext, card: Card) -> NDArray[np.float32]:
    """A few training windows (N, samples, 3) in g, of the model's length."""
    rows = context.windows(context.split.train).rows[:EXAMPLES]
    found: NDArray[np.float32] = context.dataset.gather(rows, card.window_samples).transpose(1, 2).contiguous().numpy()
    return found


def pretraining_licences(context: StudyContext, pretext: str) -> dict[str, str | None]:
    """Licences of additional pre-training data sets, by name."""
    if pretext == NO_PRETEXT or context.pretraining_data is None:
        return {}
    data = pretraining_source(context, pretext)
    return {name: part.description.licence for name, part in zip(data.names, data.parts, strict=True)}


def score_intervals(table: pd.DataFrame) -> dict[str, Interval]:
    """Mean and interval of each score, from a table with one row for each participant."""
    return {name: interval(table[name].to_numpy()) for name in SCORES}


def training_ranges(context: StudyContext) -> dict[str, tuple[float, float]]:
    """Reference ranges of the training windows, resampled as those of a prediction are."""
    rows = context.windows(context.split.train).rows
    some = rows[:: 1 + len(rows) // RANGE_WINDOWS]
    windows = context.dataset.gather(some, context.encoder.window_samples).transpose(1, 2)
    return reference_ranges(statistics(windows.numpy()))


def versions_text() -> str:
    """Versions of Python and of the main libraries."""
    known = ", ".join(f"{name} {metadata.version(name)}" for name in ("sslwear", "torch", "mlflow"))
    return f"Python {platform.python_version()}, {known}"
