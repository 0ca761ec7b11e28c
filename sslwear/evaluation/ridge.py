"""Ridge classifier on many features, whose strength and probabilities are chosen on participants it has not seen.

For one strength it is scikit-learn's ``StandardScaler`` and ``RidgeClassifier(class_weight="balanced")``. Here all
strengths share one Gram matrix, and features are read in parts, so that memory does not grow with the windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

STRENGTHS = tuple(10.0**power for power in range(-2, 7))
"""Penalties that are tried: a weak one keeps to the training windows, a strong one makes coefficients small."""
FOLDS = 5
TEMPERATURES = (1e-3, 1e2)
"""Limits of the temperature."""
PART = 1024
"""Windows whose features are held in double precision at a time."""

Features = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Gives the features (n, F) of some rows (n,)."""


@dataclass(frozen=True)
class Ridge:
    """A ridge classifier of scaled features.

    Attributes:
        coefficients: of each class (F, classes).
        intercepts: of each class (classes,); minus infinity for classes that were not learnt.
    """

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def decisions(self, features: Features, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Decision values of some rows (n, classes): near 1 for the class of a window, near -1 for others."""
        parts = [values @ self.coefficients for values in _parts(features, rows)]
        found: NDArray[np.float64] = np.concatenate([np.empty((0, len(self.intercepts))), *parts]) + self.intercepts
        return found


def ridge_probabilities(
    features: Features,
    learnt: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.generic],
    test: NDArray[np.int64],
    classes: int,
) -> NDArray[np.float64]:
    """Fit a ridge classifier with classes of equal weight, and give class probabilities of test windows.

    Probabilities are a softmax of the decision values divided by a temperature (Guo et al., ICML 2017). Strength and
    temperature are chosen by windows of participants that were left out: the strength by the mean recall of the
    classes, the temperature by the logarithmic loss. The result does not depend on the number of cores.

    Args:
        features: features of rows.
        learnt: rows to learn from (n,).
        labels: their class indices (n,).
        groups: their participants (n,).
        test: rows to classify (m,).
        classes: size of the label set.

    Returns:
        Class probabilities (m, classes); 0 for classes without windows to learn from.
    """
    with threadpool_limits(1, "blas"):  # threads would sum in another order
        scaler = _scaler(features, learnt)
        scaled = _scaled(features, scaler)
        ridge, temperature = _fitted(scaled, learnt, labels, groups, classes)
        found: NDArray[np.float64] = softmax(ridge.decisions(scaled, test) / temperature, axis=1)
        return found


def ridge_logits(
    features: Features,
    learnt: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.generic],
    classes: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit as `ridge_probabilities` does, and give coefficients (F, classes) and intercepts (classes,) of logits.

    They are those of features that are not scaled; a softmax of the logits gives the probabilities.
    """
    with threadpool_limits(1, "blas"):
        scaler = _scaler(features, learnt)
        ridge, temperature = _fitted(_scaled(features, scaler), learnt, labels, groups, classes)
    coefficients = ridge.coefficients / scaler.scale_[:, None] / temperature
    return coefficients, ridge.intercepts / temperature - scaler.mean_ @ coefficients


def _fitted(
    scaled: Features,
    learnt: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.generic],
    classes: int,
) -> tuple[Ridge, float]:
    """Ridge classifier of the best strength, and the temperature."""
    strength, temperature = _choose(scaled, learnt, labels, groups, classes)
    (ridge,) = fit_ridge(scaled, learnt, labels, classes, (strength,))
    return ridge, temperature


def fit_ridge(
    features: Features, rows: NDArray[np.int64], labels: NDArray[np.int64], classes: int, strengths: Sequence[float]
) -> list[Ridge]:
    """Fit a ridge classifier for each of some strengths.

    The Gram matrix has one row a window, or one row a feature if there are fewer features than windows.

    Args:
        features: scaled features of rows.
        rows: rows to learn from (n,).
        labels: their class indices (n,).
        classes: size of the label set.
        strengths: the penalties.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / ((counts > 0).sum() * counts[labels])
    targets = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
    middle = np.average(targets, axis=0, weights=weights)
    centred = np.sqrt(weights)[:, None] * (targets - middle)
    wide = len(rows) <= features(rows[:1]).shape[1]
    mean = sum(weights[part] @ values for part, values in _numbered(features, rows)) / weights.sum()
    parts = ((part, np.sqrt(weights[part])[:, None] * (values - mean)) for part, values in _numbered(features, rows))
    if wide:
        matrix = np.concatenate([values for _, values in parts])
        solutions = [matrix.T @ dual for dual in _solutions(matrix @ matrix.T, centred, strengths)]
    else:
        gram, right = np.zeros((len(mean), len(mean))), np.zeros((len(mean), classes))
        for part, values in parts:
            gram += values.T @ values
            right += values.T @ centred[part]
        solutions = list(_solutions(gram, right, strengths))
    absent = np.where(counts > 0, 0.0, -np.inf)
    return [Ridge(found, middle - mean @ found + absent) for found in solutions]


def _solutions(
    gram: NDArray[np.float64], right: NDArray[np.float64], strengths: Sequence[float]
) -> Iterator[NDArray[np.float64]]:
    """Solutions of (gram + strength * identity) x = right."""
    for strength in strengths:
        penalised = gram.copy()
        penalised[np.diag_indices_from(penalised)] += strength
        solution: NDArray[np.float64] = cho_solve(cho_factor(penalised, overwrite_a=True), right)
        yield solution


def _choose(
    features: Features, rows: NDArray[np.int64], labels: NDArray[np.int64], groups: NDArray[np.generic], classes: int
) -> tuple[float, float]:
    """Strength, the largest of equally good ones, and temperature."""
    decisions = np.full((len(STRENGTHS), len(rows), classes), np.nan)
    for learnt, held_out in participant_folds(labels, groups):
        for i, ridge in enumerate(fit_ridge(features, rows[learnt], labels[learnt], classes, STRENGTHS)):
            decisions[i, held_out] = ridge.decisions(features, rows[held_out])
    known = ~np.isnan(decisions[0]).any(axis=1)
    if not known.any():
        return STRENGTHS[-1], 1.0
    decisions, labels = decisions[:, known], labels[known]
    hits = decisions.argmax(axis=2) == labels
    recalls = np.mean([hits[:, labels == code].mean(axis=1) for code in np.unique(labels)], axis=0)
    best = int(np.flatnonzero(recalls == recalls.max())[-1])
    return STRENGTHS[best], _temperature(decisions[best], labels)


def _temperature(decisions: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Temperature with the smallest logarithmic loss, in which all classes have the same weight."""
    learnt = np.isfinite(decisions[np.arange(len(labels)), labels])
    decisions, labels = decisions[learnt], labels[learnt]
    weights = 1 / np.bincount(labels)[labels] if len(labels) else np.ones(0)

    def loss(log_temperature: float) -> float:
        told = log_softmax(decisions / np.exp(log_temperature), axis=1)[np.arange(len(labels)), labels]
        return float(-(weights * told).sum())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def participant_folds(
    labels: NDArray[np.int64], groups: NDArray[np.generic]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Indices of windows to learn from and of held-out windows.

    Whole participants are held out. Of a single participant, stretches of successive windows of each class are.
    """
    people = len(np.unique(groups))
    if people > 1:
        return list(GroupKFold(min(FOLDS, people)).split(labels, groups=groups))
    fold = np.empty(len(labels), np.int64)
    for code in np.unique(labels):
        mine = np.flatnonzero(labels == code)
        fold[mine] = np.arange(len(mine)) * FOLDS // len(mine)
    pairs = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in np.unique(fold)]
    return [(learnt, held_out) for learnt, held_out in pairs if len(learnt)]


def _scaler(features: Features, rows: NDArray[np.int64]) -> StandardScaler:
    """Scaler of the features to mean 0 and standard deviation 1 over some rows."""
    scaler = StandardScaler()
    for values in _parts(features, rows):
        scaler.partial_fit(values)
    return scaler


def _scaled(features: Features, scaler: StandardScaler) -> Features:
    return lambda wanted: scaler.transform(features(wanted)).astype(np.float32)


def _parts(features: Features, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    for _, values in _numbered(features, rows):
        yield values


def _numbered(features: Features, rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Features of some rows in parts, each with its place among the rows."""
    for first in range(0, len(rows), PART):
        yield slice(first, first + PART), np.asarray(features(rows[first : first + PART]), np.float64)
