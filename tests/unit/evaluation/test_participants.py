"""Each participant is scored alone, and has a row of the table."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.evaluation.participants import mean_scores, per_participant
from sslwear.training.metrics import classification_scores

COLUMNS = [
    "participant",
    "windows",
    "classes",
    "kappa",
    "f1",
    "precision",
    "recall",
    "f1_all_classes",
    "accuracy",
]
TRUTH = np.array([0, 2, 0, 2, 1, 2, 1, 2, 2])
PREDICTED = np.array([0, 2, 0, 2, 1, 2, 2, 2, 2])
PID = np.array(["f2", "m1", "f2", "m1", "f2", "f1", "f2", "f1", "f1"])


def test_table_equals_values_calculated_by_hand() -> None:
    table = per_participant(TRUTH, PREDICTED, PID, classes=4)
    assert list(table.columns) == COLUMNS
    assert table.to_dict("records") == [
        pytest.approx(row, nan_ok=True)
        for row in (
            dict(zip(COLUMNS, ["f1", 3, 1, math.nan, 1, 1, 1, 1 / 4, 1], strict=True)),
            dict(zip(COLUMNS, ["f2", 4, 2, 3 / 5, 5 / 9, 2 / 3, 1 / 2, 5 / 12, 3 / 4], strict=True)),
            dict(zip(COLUMNS, ["m1", 2, 1, math.nan, 1, 1, 1, 1 / 4, 1], strict=True)),
        )
    ]


def test_a_test_score_is_the_mean_over_participants_with_a_defined_score() -> None:
    means = mean_scores(per_participant(TRUTH, PREDICTED, PID, classes=4))
    assert means["kappa"] == pytest.approx(3 / 5)  # undefined for the others
    assert means["accuracy"] == pytest.approx((1 + 3 / 4 + 1) / 3)
    assert means["accuracy"] != pytest.approx(8 / 9)  # over all windows


def test_integer_participants_are_sorted_as_numbers() -> None:
    pid = np.array([10, 2, 1, 10, 2, 1, 10, 2, 1])
    assert per_participant(TRUTH, PREDICTED, pid, classes=3)["participant"].tolist() == [1, 2, 10]


@given(rows=st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40))
def test_each_row_is_the_score_of_that_participants_windows_alone(rows: list[tuple[int, int, int]]) -> None:
    truth, predicted, pid = np.array(rows).T
    table = per_participant(truth, predicted, pid, classes=4)
    assert table["participant"].tolist() == sorted(set(pid.tolist()))
    assert table["windows"].sum() == len(rows)
    for row in table.to_dict("records"):
        mine = pid == row["participant"]
        alone = classification_scores(truth[mine], predicted[mine], 4)
        assert {name: row[name] for name in alone} == pytest.approx(alone, nan_ok=True)
        assert row["classes"] == len(set(truth[mine].tolist()))
