"""Scores of predicted labels: macro precision, recall and F1, Cohen's kappa, accuracy."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_recall_fscore_support

Labels = NDArray[np.integer]


def classification_scores(truth: Labels, predicted: Labels, classes: int) -> dict[str, float]:
    """Score predictions of one group of windows.

    Args:
        truth: true class indices (N,).
        predicted: predicted class indices (N,).
        classes: size of the label set.

    Returns:
        ``kappa`` (Cohen), ``f1``, ``precision``, ``recall`` (macro averages over the classes that occur in truth or
        prediction, which is the published benchmark's rule), ``f1_all_classes`` (macro average over the whole label
        set, a class that never occurs counting 0), ``accuracy``. All are NaN when there are no windows; kappa is NaN
        where it is undefined, that is, when truth and prediction are one and the same class throughout.
    """
    names = ("kappa", "f1", "precision", "recall", "f1_all_classes", "accuracy")
    if len(truth) == 0:
        return dict.fromkeys(names, float("nan"))
    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
    per_class = precision_recall_fscore_support(truth, predicted, labels=np.arange(classes), zero_division=0)[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the undefined kappa is reported as NaN, as the docstring says
        kappa = cohen_kappa_score(truth, predicted)
    values = (kappa, f1, precision, recall, np.mean(per_class), np.mean(truth == predicted))
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def confusion(truth: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Count windows by true class (rows) and predicted class (columns), (classes, classes)."""
    counts: NDArray[np.int64] = confusion_matrix(truth, predicted, labels=np.arange(classes))
    return counts
