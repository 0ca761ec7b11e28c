"""Scores are checked against values calculated by hand."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import metrics

from sslwear.training.metrics import classification_scores, confusion

CLASSES = 4
pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=30)


def arrays(windows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = np.array(windows).T
    return truth, predicted


@pytest.mark.parametrize(
    ("truth", "predicted", "classes", "expected"),
    [
        pytest.param(
            [0, 0, 1, 1, 2, 2],
            [0, 0, 1, 2, 2, 2],
            3,
            {"kappa": 3 / 4, "f1": 37 / 45, "precision": 8 / 9, "recall": 5 / 6, "all": 37 / 45, "accuracy": 5 / 6},
            id="every class occurs",
        ),
        pytest.param(
            [0, 0, 1, 1, 2, 2],
            [0, 0, 1, 2, 2, 2],
            4,
            {"kappa": 3 / 4, "f1": 37 / 45, "precision": 8 / 9, "recall": 5 / 6, "all": 37 / 60, "accuracy": 5 / 6},
            id="a class is absent",
        ),
        pytest.param(
            [0, 0, 0, 0],
            [0, 0, 0, 1],
            3,
            {"kappa": 0, "f1": 3 / 7, "precision": 1 / 2, "recall": 3 / 8, "all": 2 / 7, "accuracy": 3 / 4},
            id="a class occurs in the prediction only",
        ),
        pytest.param(
            [2, 2, 2, 0],
            [2, 2, 2, 2],
            4,
            {"kappa": 0, "f1": 3 / 7, "precision": 3 / 8, "recall": 1 / 2, "all": 3 / 14, "accuracy": 3 / 4},
            id="a class occurs in the truth only",
        ),
        pytest.param(
            [0, 1],
            [1, 0],
            2,
            {"kappa": -1, "f1": 0, "precision": 0, "recall": 0, "all": 0, "accuracy": 0},
            id="everything is wrong",
        ),
        pytest.param(
            [1, 1],
            [2, 2],
            3,
            {"kappa": 0, "f1": 0, "precision": 0, "recall": 0, "all": 0, "accuracy": 0},
            id="one class for another",
        ),
        pytest.param(
            [1, 1],
            [1, 1],
            3,
            {"kappa": math.nan, "f1": 1, "precision": 1, "recall": 1, "all": 1 / 3, "accuracy": 1},
            id="one class only",
        ),
        pytest.param(
            [],
            [],
            3,
            dict.fromkeys(["kappa", "f1", "precision", "recall", "all", "accuracy"], math.nan),
            id="no windows",
        ),
    ],
)
def test_scores_equal_those_calculated_by_hand(
    truth: list[int], predicted: list[int], classes: int, expected: dict[str, float]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = classification_scores(np.array(truth, int), np.array(predicted, int), classes)
    expected["f1_all_classes"] = expected.pop("all")
    assert scores == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert all(type(value) is float for value in scores.values())


@given(windows=pairs)
def test_published_f1_leaves_out_the_classes_that_do_not_occur(windows: list[tuple[int, int]]) -> None:
    scores = classification_scores(*arrays(windows), CLASSES)
    occurring = {label for window in windows for label in window}
    assert scores["f1"] * len(occurring) == pytest.approx(scores["f1_all_classes"] * CLASSES, abs=1e-12)


@given(windows=pairs)
def test_kappa_is_agreement_beyond_chance(windows: list[tuple[int, int]]) -> None:
    count = len(windows)
    observed = Fraction(sum(truth == predicted for truth, predicted in windows), count)
    truths, predictions = zip(*windows, strict=True)
    chance = sum(Fraction(truths.count(label) * predictions.count(label), count**2) for label in range(CLASSES))
    kappa = classification_scores(*arrays(windows), CLASSES)["kappa"]
    if chance == 1:
        assert math.isnan(kappa)
    else:
        assert kappa == pytest.approx(float((observed - chance) / (1 - chance)), abs=1e-12)


@given(windows=pairs, data=st.data())
def test_the_order_of_windows_does_not_matter(windows: list[tuple[int, int]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(windows))
    one = classification_scores(*arrays(windows), CLASSES)
    assert classification_scores(*arrays(shuffled), CLASSES) == pytest.approx(one, abs=1e-12, nan_ok=True)


def test_confusion_has_true_classes_in_rows_and_predicted_ones_in_columns() -> None:
    counts = confusion(np.array([0, 0, 0, 1, 3]), np.array([0, 1, 1, 1, 0]), 4)
    assert_array_equal(counts, [[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])


@given(windows=pairs)
def test_confusion_counts_every_window_once(windows: list[tuple[int, int]]) -> None:
    truth, predicted = arrays(windows)
    counts = confusion(truth, predicted, CLASSES)
    assert_array_equal(counts.sum(axis=1), np.bincount(truth, minlength=CLASSES))
    assert_array_equal(counts.sum(axis=0), np.bincount(predicted, minlength=CLASSES))
    assert np.trace(counts) == (truth == predicted).sum()


@given(pairs)
def test_scores_agree_with_scikit_learn(windows: list[tuple[int, int]]) -> None:
    truth, predicted = arrays(windows)
    found = classification_scores(truth, predicted, CLASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa = metrics.cohen_kappa_score(truth, predicted)
        macro = metrics.precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
        every = metrics.f1_score(truth, predicted, labels=np.arange(CLASSES), average="macro", zero_division=0)
    assert found["kappa"] == pytest.approx(kappa, abs=1e-12, nan_ok=True)
    assert [found["precision"], found["recall"], found["f1"]] == pytest.approx(macro[:3])
    assert found["f1_all_classes"] == pytest.approx(every)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert_array_equal(
        confusion(truth, predicted, CLASSES), metrics.confusion_matrix(truth, predicted, labels=np.arange(CLASSES))
    )
