"""Linear probe: logistic regression on fixed features, regularised as participants that were left out say."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sslwear.evaluation.ridge import participant_folds

STRENGTHS = tuple(10.0**power for power in range(-4, 2))
"""Values of scikit-learn's ``C`` that are tried; a small one keeps coefficients small."""
STEPS = 500
"""Most iterations of a fit."""


def logistic_probabilities(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    groups: NDArray[np.generic],
    test: NDArray[np.floating],
    classes: int,
) -> tuple[NDArray[np.float64], float]:
    """Fit a logistic regression with classes of equal weight, and give class probabilities of test windows.

    Features are scaled to mean 0 and standard deviation 1 over the windows to learn from. The strength is chosen among
    `STRENGTHS` by the mean recall of the classes in windows of participants that were left out; of equally good ones
    the strongest regularisation is taken. The result does not depend on the number of cores.

    Args:
        features: features of the windows to learn from (n, F).
        labels: their class indices (n,).
        groups: their participants (n,).
        test: features of the windows to classify (m, F).
        classes: size of the label set.

    Returns:
        Class probabilities (m, classes), 0 for classes without windows to learn from; and the strength.
    """
    learnt, asked = np.asarray(features, np.float64), np.asarray(test, np.float64)
    with threadpool_limits(1, "blas"), warnings.catch_warnings():  # threads would sum in another order
        warnings.simplefilter("ignore", ConvergenceWarning)
        strength = _choose(learnt, labels, groups, classes)
        (found,) = _fitted(learnt, labels, asked, classes, (strength,))
    return found, strength


def _choose(
    features: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.generic], classes: int
) -> float:
    predicted = np.full((len(STRENGTHS), len(labels)), -1)
    for learnt, held_out in participant_folds(labels, groups):
        found = _fitted(features[learnt], labels[learnt], features[held_out], classes, STRENGTHS)
        for i, probabilities in enumerate(found):
            predicted[i, held_out] = probabilities.argmax(axis=1)
    known = predicted[0] >= 0
    if not known.any():
        return STRENGTHS[0]
    hits, labels = predicted[:, known] == labels[known], labels[known]
    recalls = np.mean([hits[:, labels == code].mean(axis=1) for code in np.unique(labels)], axis=0)
    return STRENGTHS[int(recalls.argmax())]


def _fitted(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    test: NDArray[np.float64],
    classes: int,
    strengths: tuple[float, ...],
) -> list[NDArray[np.float64]]:
    """Class probabilities of windows (m, classes), for each strength."""
    present = np.unique(labels)
    if len(present) == 1:
        return [np.eye(classes)[np.full(len(test), present[0])]] * len(strengths)
    scaler = StandardScaler().fit(features)
    learnt, asked = scaler.transform(features), scaler.transform(test)
    model = LogisticRegression(class_weight="balanced", max_iter=STEPS, warm_start=True)
    results = []
    for strength in strengths:  # each fit starts from the one before
        model.set_params(C=strength).fit(learnt, labels)
        found = np.zeros((len(test), classes))
        found[:, present] = model.predict_proba(asked)
        results.append(found)
    return results
