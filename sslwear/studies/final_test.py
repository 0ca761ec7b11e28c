"""Scores on the test participants of a study, and the count of test evaluations.

Each test evaluation that informs a choice makes later test scores a little too optimistic, so they are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from sslwear.config import TrainingSettings
from sslwear.encoders.base import Network
from sslwear.errors import StudyError
from sslwear.evaluation.participants import per_participant
from sslwear.studies.context import StudyContext
from sslwear.training import FrozenBlocks, outputs
from sslwear.training.metrics import classification_scores

TEST_EVALUATIONS = "test_looks"


@dataclass(frozen=True)
class HeldOutScores:
    """Predictions for the test participants, and their scores.

    Attributes:
        truth: true class indices (N,).
        predicted: predicted class indices (N,).
        table: scores, one row a participant, see `sslwear.evaluation.participants.per_participant`.
        scores: the same scores over all windows.
        probabilities: class probabilities (N, classes), if known.
    """

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    table: pd.DataFrame
    scores: dict[str, float]
    probabilities: NDArray[np.float64] | None = None


def score_network(
    context: StudyContext, network: Network, samples: int, class_names: Sequence[str], depth: int = 0
) -> HeldOutScores:
    """Score a network on the test participants.

    Args:
        context: the study's.
        network: a classifier of the study's classes.
        samples: window length of the network, in samples.
        class_names: classes in the order of the network's outputs.
        depth: number of first blocks whose outputs are cached.

    Raises:
        StudyError: when it has other classes than the study.
    """
    names = context.dataset.class_names
    if sorted(class_names) != sorted(names):
        raise StudyError(
            f"the model has the classes {', '.join(class_names)}, and the test participants of "
            f"{context.settings.study!r} have {', '.join(names)}"
        )
    training = context.settings.training
    settings, windows = context.fit_settings(training), context.windows(context.split.test)
    network.to(settings.device).eval()
    blocks = FrozenBlocks(network, samples, settings.precision)
    source = context.cache.source(blocks, windows, 0, depth)
    logits = outputs(network, samples, source, settings)[:, [class_names.index(name) for name in names]]
    probabilities = softmax(logits.astype(np.float64), axis=1)
    return replace(score_predictions(context, logits.argmax(axis=1)), probabilities=probabilities)


def score_predictions(context: StudyContext, predicted: NDArray[np.int64]) -> HeldOutScores:
    """Score classes (N,), wherever they are from, predicted for the windows of an experiment's test participants."""
    windows, classes = context.windows(context.split.test), len(context.dataset.class_names)
    truth = windows.labels
    table = per_participant(truth, predicted, windows.pid, classes)
    return HeldOutScores(truth, predicted, table, classification_scores(truth, predicted, classes))


def count_test_evaluation(study: optuna.Study, why: str) -> None:
    """Record one more evaluation on the study's test participants."""
    evaluation = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "why": why}
    study.set_user_attr(TEST_EVALUATIONS, [*past_test_evaluations(study), evaluation])


def past_test_evaluations(study: optuna.Study) -> list[dict[str, Any]]:
    """Evaluations on a study's test participants: when and why, in order."""
    known = study.user_attrs.get(TEST_EVALUATIONS)
    if known is None:  # a study that ended before test evaluations were counted
        known = [{"when": "", "why": f"trial {number}, the winner"} for number in study.user_attrs.get("tested", {})]
    return list(known)


def training_of(trial: optuna.trial.FrozenTrial) -> TrainingSettings:
    """Training settings of a trial."""
    return TrainingSettings(**trial.user_attrs["settings"])
