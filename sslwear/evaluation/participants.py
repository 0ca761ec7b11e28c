"""Scores of each participant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.evaluation.selection import standard_error
from sslwear.training.metrics import SCORES, Labels, classification_scores

POOLED = "pooled_"
"""Prefix of a score over all windows, in which participants with more windows count more."""


def validation_title(score: str, pooled: bool = False) -> str:
    """Title of the score by which trials are compared.

    Args:
        score: name of the score.
        pooled: whether it is a score over all windows, as in studies of version 0.1, and no mean over participants.
    """
    return f"validation {score}{' over all windows' if pooled else ''}"


def per_participant(truth: Labels, predicted: Labels, pid: NDArray[Any], classes: int) -> pd.DataFrame:
    """Scores of the windows of each participant.

    Args:
        truth: true class indices (N,).
        predicted: predicted class indices (N,).
        pid: participant of each window (N,).
        classes: number of classes.

    Returns:
        One row for each participant, sorted: ``participant``, ``windows``, ``classes`` (number of classes that occur in
        truth), and the scores of `sslwear.training.metrics.classification_scores`. As in the published benchmark,
        ``f1`` is over the classes that occur; ``f1_all_classes`` is over all classes.
    """
    participants, first = np.unique(pid[order := np.argsort(pid, kind="stable")], return_index=True)
    table = []
    for participant, mine in zip(participants, np.split(order, first[1:]), strict=True):
        scores = classification_scores(truth[mine], predicted[mine], classes)
        counts = {"windows": len(mine), "classes": len(np.unique(truth[mine]))}
        table.append({"participant": participant, **counts, **scores})
    return pd.DataFrame(table)


def mean_scores(table: pd.DataFrame) -> dict[str, float]:
    """Means over the participants: the definition of a test score; undefined scores (NaN) are left out.

    Args:
        table: one row for each participant, see `per_participant`.
    """
    return {name: float(table[name].mean()) for name in SCORES}


def standard_errors(table: pd.DataFrame) -> dict[str, float]:
    """Standard errors of the means over participants; NaN with fewer than two.

    Args:
        table: one row for each participant, see `per_participant`.
    """
    return {name: standard_error(table[name]) for name in SCORES}
