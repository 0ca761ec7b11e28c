"""Classification scores: macro precision, recall and F1, Cohen's kappa, accuracy.

They are computed from counts and not by scikit-learn, because scikit-learn's argument checks would take longer than an
epoch of a head. A test compares the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
SCORES = ("kappa", "f1", "precision", "recall", "f1_all_classes", "accuracy")
HEADLINE_SCORES = ("kappa", "f1")
"""The scores that tables and pages show first."""


def classification_scores(truth: Labels, predicted: Labels, classes: int) -> dict[str, float]:
    """Scores of the predictions of a group of windows.

    Args:
        truth: true class indices (N,).
        predicted: predicted class indices (N,).
        classes: number of classes.

    Returns:
        ``kappa`` (Cohen); ``f1``, ``precision`` and ``recall``, macro averages over the classes that occur in truth or
        prediction, as in the published benchmark; ``f1_all_classes``, the macro average over all classes, where a class
        that never occurs has F1 0; ``accuracy``. All are NaN if there are no windows. Kappa is NaN if truth and
        prediction are one and the same class in all windows.
    """
    if len(truth) == 0:
        return dict.fromkeys(SCORES, float("nan"))
    counts = confusion(truth, predicted, classes)
    windows, right = int(counts.sum()), counts.diagonal()
    true, answered = counts.sum(axis=1), counts.sum(axis=0)
    by_chance = int(true @ answered)
    undefined = windows * windows == by_chance
    kappa = np.nan if undefined else (windows * int(right.sum()) - by_chance) / (windows * windows - by_chance)
    occurs = true + answered > 0
    precision, recall = right / np.maximum(answered, 1), right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(true + answered, 1)
    means = (f1[occurs].mean(), precision[occurs].mean(), recall[occurs].mean(), f1.mean())
    values = (kappa, *means, right.sum() / windows)
    return {name: float(value) for name, value in zip(SCORES, values, strict=True)}


def confusion(truth: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Confusion matrix (classes, classes): windows by true class (rows) and predicted class (columns)."""
    counts = np.bincount(np.asarray(truth, np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)
