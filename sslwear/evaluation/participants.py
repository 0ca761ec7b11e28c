"""Scores of each participant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.training.metrics import Labels, classification_scores


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
