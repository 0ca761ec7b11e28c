"""The ridge classifier beside scikit-learn's, and what it chooses on participants that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from sslwear.evaluation import ridge
from sslwear.evaluation.ridge import STRENGTHS, Ridge, fit_ridge, ridge_probabilities

PEOPLE, EACH = 6, 20


def table(features: int, classes: int = 3, noise: float = 3.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and labels of windows whose classes differ in some features; one class is rare."""
    random = np.random.default_rng(0)
    labels = random.choice(classes, PEOPLE * EACH, p=[0.7, 0.2, 0.1][:classes])
    found = noise * random.normal(size=(len(labels), features)) + 5
    found[:, :3] += 4 * np.eye(3)[labels]
    found[:, -1] = 7  # a feature without variation
    return found.astype(np.float32), labels


def sklearns(strength: float, x: NDArray[np.float32], y: NDArray[np.int64]) -> RidgeClassifier:
    return RidgeClassifier(alpha=strength, class_weight="balanced", solver="svd").fit(np.asarray(x, np.float64), y)


@pytest.mark.parametrize("features", [30, 400])  # fewer and more than the windows
@pytest.mark.parametrize("part", [7, 1024])
def test_it_is_scikit_learns(features: int, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "PART", part)
    x, y = table(features)
    rows, test = np.arange(0, 100), np.arange(100, 120)
    for strength, found in zip((0.1, 100.0), fit_ridge(x.__getitem__, rows, y[rows], 3, (0.1, 100.0)), strict=True):
        expected = sklearns(strength, x[rows], y[rows]).decision_function(np.asarray(x[test], np.float64))
        assert found.decisions(x.__getitem__, test) == pytest.approx(expected, abs=1e-6)


def test_the_strength_is_that_with_the_best_recall_of_participants_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = table(200)
    groups, rows = np.repeat(np.arange(PEOPLE), EACH), np.arange(len(y))
    x = StandardScaler().fit_transform(x).astype(np.float32)
    recalls = []
    for strength in STRENGTHS:
        hits = np.zeros(len(y), bool)
        for learnt, held_out in GroupKFold(5).split(x, groups=groups):
            hits[held_out] = sklearns(strength, x[learnt], y[learnt]).predict(x[held_out]) == y[held_out]
        recalls.append(np.mean([hits[y == code].mean() for code in range(3)]))
    assert len(set(recalls)) > 2
    chosen, temperature = ridge._choose(x.__getitem__, rows, y, groups, 3)
    best = [strength for strength, recall in zip(STRENGTHS, recalls, strict=True) if recall == max(recalls)]
    assert chosen == best[-1]
    assert 0.01 < temperature < 10


def test_nobody_is_on_both_sides_of_a_fold() -> None:
    labels, groups = np.zeros(60, np.int64), np.repeat(["a", "b", "c"], 20)
    folds = ridge.participant_folds(labels, groups)
    assert len(folds) == 3
    for learnt, held_out in folds:
        assert not set(groups[learnt]) & set(groups[held_out])
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(60))


def test_of_one_participant_stretches_of_each_class_are_left_out() -> None:
    labels = np.repeat([0, 1, 2], [20, 10, 1])
    folds = ridge.participant_folds(labels, np.zeros(31))
    assert [held_out.tolist() for _, held_out in folds][:2] == [[0, 1, 2, 3, 20, 21, 30], [4, 5, 6, 7, 22, 23]]
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(31))
    x, y = table(50)
    rows = np.arange(EACH)
    told = ridge_probabilities(x.__getitem__, rows, y[rows], np.zeros(EACH), np.arange(EACH, 120), 3)
    assert (told.argmax(axis=1) == y[EACH:]).mean() > 0.5


def test_one_window_is_learnt_too() -> None:
    x, y = table(50)
    told = ridge_probabilities(x.__getitem__, np.arange(1), y[:1], np.zeros(1), np.arange(1, 5), 3)
    assert told.tolist() == [np.eye(3)[y[0]].tolist()] * 4


def test_no_windows_have_no_probabilities() -> None:
    x, y = table(50)
    rows = np.arange(60)
    assert ridge_probabilities(x.__getitem__, rows, y[rows], rows // 10, rows[:0], 3).shape == (0, 3)


def test_the_temperature_makes_probabilities_as_sure_as_they_are_right() -> None:
    random = np.random.default_rng(0)
    decisions = random.normal(size=(20_000, 3))
    for temperature in (0.2, 1.0, 4.0):
        chances = softmax(decisions / temperature, axis=1)
        labels = (chances.cumsum(axis=1) < random.random((len(chances), 1))).sum(axis=1)
        assert ridge._temperature(decisions, labels) == pytest.approx(temperature, rel=0.1)


def test_a_class_that_a_fold_cannot_learn_leaves_the_temperature_finite() -> None:
    decisions = np.array([[0.5, -0.5, -np.inf], [-0.5, 0.5, -np.inf], [-0.5, 0.5, -np.inf], [0.4, -0.4, -np.inf]])
    assert np.isfinite(ridge._temperature(decisions, np.array([0, 1, 2, 1])))


def test_classes_that_were_not_learnt_have_no_probability() -> None:
    x, y = table(40, noise=0.5)
    groups, rows = np.repeat(np.arange(PEOPLE), EACH), np.arange(len(y))
    told = ridge_probabilities(x.__getitem__, rows[:80], y[:80], groups[:80], rows[80:], 5)
    assert (told[:, 3:] == 0).all()
    assert np.allclose(told.sum(axis=1), 1)
    assert (told.argmax(axis=1) == y[80:]).mean() > 0.9


def test_the_result_does_not_depend_on_threads() -> None:
    x, y = table(1500)
    groups, rows = np.repeat(np.arange(PEOPLE), EACH), np.arange(len(y))
    found, seen = [], set()

    def features(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        seen.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return x[wanted]

    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            found.append(ridge_probabilities(features, rows[:80], y[:80], groups[:80], rows[80:], 3))
    assert seen == {1}
    assert np.array_equal(*found)


def test_decisions_of_absent_classes_are_minus_infinity() -> None:
    one = Ridge(np.zeros((4, 2)), np.array([1.0, -np.inf]))
    assert one.decisions(lambda rows: np.ones((len(rows), 4), np.float32), np.arange(2)).tolist() == [[1, -np.inf]] * 2
