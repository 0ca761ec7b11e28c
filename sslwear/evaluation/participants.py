"""Scores per participant: the unit in which results on people are reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.training.metrics import Labels, classification_scores


def per_participant(truth: Labels, predicted: Labels, pid: NDArray[Any], classes: int) -> pd.DataFrame:
    """Score each participant's windows.

    Args:
        truth: true class indices (N,).
        predicted: predicted class indices (N,).
        pid: participants (N,).
        classes: size of the label set.

    Returns:
        One row a participant, sorted: ``participant``, ``windows``, ``classes`` (how many occur in truth), and the
        scores of `sslwear.training.metrics.classification_scores`. ``f1`` follows the published rule, the classes that
        occur; ``f1_all_classes`` stands beside it.
    """
    participants, first = np.unique(pid[order := np.argsort(pid, kind="stable")], return_index=True)
    table = []
    for participant, mine in zip(participants, np.split(order, first[1:]), strict=True):
        scores = classification_scores(truth[mine], predicted[mine], classes)
        counts = {"windows": len(mine), "classes": len(np.unique(truth[mine]))}
        table.append({"participant": participant, **counts, **scores})
    return pd.DataFrame(table)
