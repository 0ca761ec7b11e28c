"""The random forest and extremely randomised trees, on real recordings."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
import pytest

from sslwear.data.dataset import Dataset
from sslwear.evaluation.baselines import extra_trees, random_forest
from sslwear.evaluation.baselines.base import ProbabilityBaseline
from sslwear.evaluation.baselines.extra_trees import ExtraTrees
from sslwear.evaluation.baselines.random_forest import RandomForest
from sslwear.training import Windows
from sslwear.training.metrics import classification_scores

BOTH = pytest.mark.parametrize("trees", [RandomForest, ExtraTrees])


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (random_forest, extra_trees):
        monkeypatch.setattr(module, "TREES", 30)


def sides(small: Dataset) -> tuple[Windows, Windows, Windows]:
    people = small.participants
    return Windows.of(small, tuple(people[:3])), Windows.of(small, (people[3],)), Windows.of(small, tuple(people[4:]))


@BOTH
def test_trees_learn_from_both_sides_and_do_not_depend_on_cores(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, trees: type[ProbabilityBaseline]
) -> None:
    train, validation, test = sides(small)
    classes = len(small.class_names)
    found = trees().predict(train, validation, test, classes, seed=1)
    assert found.dtype == np.int64
    told = trees().probabilities(train, validation, test, classes, seed=1)
    assert classification_scores(test.labels, found, classes)["kappa"] > 0.5
    monkeypatch.setattr(joblib, "cpu_count", lambda: 3)
    assert np.array_equal(told, trees().probabilities(train, validation, test, classes, seed=1))
    # with all training windows of one class, the others can only have been learnt on the validation side
    one = Windows(small, train.rows[train.labels == 0])
    assert set(trees().predict(one, validation, test, classes, seed=1)) == set(range(classes))


@BOTH
def test_test_labels_change_nothing(small: Dataset, trees: type[ProbabilityBaseline]) -> None:
    train, validation, test = sides(small)
    blind = small.labels.copy()
    blind[test.rows] = 0
    other = Windows(replace(small, labels=blind), test.rows)
    assert np.array_equal(
        trees().probabilities(train, validation, test, 3, 1), trees().probabilities(train, validation, other, 3, 1)
    )


def test_the_two_differ(small: Dataset) -> None:
    one, other = (trees().probabilities(*sides(small), 3, 1) for trees in (RandomForest, ExtraTrees))
    assert not np.allclose(one, other)


@BOTH
def test_windows_that_are_given_on_both_sides_count_once(small: Dataset, trees: type[ProbabilityBaseline]) -> None:
    train, _, test = sides(small)
    none = Windows(small, train.rows[:0])
    classes = len(small.class_names)
    once = trees().probabilities(train, none, test, classes, seed=1)
    assert np.array_equal(trees().probabilities(train, train, test, classes, seed=1), once)
