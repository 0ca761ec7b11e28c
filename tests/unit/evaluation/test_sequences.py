"""Which windows follow each other, and predictions of them smoothed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from sslwear.data.arrays import Description
from sslwear.data.dataset import Dataset
from sslwear.errors import DataError
from sslwear.evaluation.sequences import begins, check_consecutive, learn, smoothed
from tests.unit.data.test_splits import dataset


def sequence(
    pid: list[Any], start: NDArray[Any], labels: list[int] | None = None, step_s: float | None = 10
) -> Dataset:
    return replace(dataset(pid, labels), start=start, description=Description(name="somewhere", step_s=step_s))


@pytest.mark.parametrize("step_s", [10, None])
@pytest.mark.parametrize("dates", [True, False])
def test_a_stretch_begins_with_another_participant_and_after_a_gap(step_s: float | None, dates: bool) -> None:
    seconds = np.array([0, 10, 20, 40, 50.4, 60, 70, 80, 75])
    start: NDArray[Any] = seconds
    if dates:
        start = np.datetime64("2024-03-01T12:00:00", "ms") + (seconds * 1000).astype("timedelta64[ms]")
    data = sequence([1, 1, 1, 1, 1, 2, 2, 2, 2], start, step_s=step_s)
    expected = [True, False, False, True, False, True, False, False, True]
    assert_array_equal(begins(data, np.arange(9)), expected)
    assert_array_equal(begins(data, np.array([0, 2, 3, 4])), [True, True, True, False])
    assert_array_equal(begins(data, np.array([], int)), np.array([], bool))


def test_windows_that_do_not_follow_each_other_are_refused() -> None:
    data = sequence([1] * 6, np.array([0, 10, 100, 200, 300, 400]), [0, 1] * 3)
    with pytest.raises(DataError, match="only 17% of the windows start a step of 10 s after the one before"):
        check_consecutive(data)


def test_recordings_that_were_cut_by_their_labels_are_refused() -> None:
    start = np.array([0.0, 10, 20, 0, 10, 20])
    with pytest.raises(DataError, match="no window follows one of another class, so the recordings were cut"):
        check_consecutive(sequence([1] * 6, start, [0, 0, 0, 1, 1, 1]))
    check_consecutive(sequence([1] * 6, start, [0, 0, 1, 1, 1, 1]))


def test_what_is_learnt_is_counted_in_training_and_in_validation() -> None:
    start = np.concatenate([np.arange(0, 80, 10), np.arange(0, 40, 10)])
    labels = [0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1]
    data = sequence([1] * 8 + [2] * 4, start, labels)
    chain = learn(data, np.arange(8), np.arange(8, 12), np.array([0, 1, 1, 1]))
    # one transition, window or start more for each class, spread evenly over two
    assert_allclose(chain.transition, [[2.5 / 4, 1.5 / 4], [1.5 / 5, 3.5 / 5]])
    assert chain.emission is not None
    assert_allclose(chain.emission, [[1.5 / 3, 1.5 / 3], [0.5 / 3, 2.5 / 3]])
    assert_allclose(chain.initial, [0.5, 0.5])


def test_a_single_window_that_disagrees_is_smoothed_away_and_not_over_a_gap() -> None:
    labels = ([0] * 20 + [1] * 20) * 3
    count = len(labels)
    start = np.arange(0, 10 * count, 10.0)
    data = sequence([1] * 40 + [2] * 40 + [3] * 40, start, labels)
    noisy = np.array(labels[40:80])
    noisy[::5] = 1 - noisy[::5]
    chain = learn(data, np.arange(40), np.arange(40, 80), noisy)
    predicted = np.array(labels[80:])
    predicted[[7, 30]] = 1 - predicted[[7, 30]]
    assert_array_equal(smoothed(data, np.arange(80, 120), predicted, chain), labels[80:])
    apart = replace(data, start=np.arange(count) * 1000.0)
    assert_array_equal(smoothed(apart, np.arange(80, 120), predicted, chain), predicted)
