"""Smoothing: the Viterbi path, models from bout lengths, and models fitted to labelled sequences."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from sslwear.data.arrays import Description
from sslwear.data.dataset import Dataset
from sslwear.deployment.promotion.learnt_smoothing import NOT_CONSECUTIVE, smoothing_of_method
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.smoothing import (
    HiddenMarkovModel,
    check_adjacent,
    check_consecutive,
    fit_adjacent,
    fit_smoothing,
    sequence_starts,
    smooth,
    smooth_predictions,
    viterbi,
)
from tests.unit.data.test_splits import dataset


def random_model(random: np.random.Generator, classes: int, emission: bool, zeros: bool) -> HiddenMarkovModel:
    def rows(count: int) -> np.ndarray:
        table = random.random((count, classes)) + 1e-3
        if zeros:
            table[random.random(table.shape) < 0.3] = 0
            table[:, 0] += 0.01
        return table / table.sum(axis=1, keepdims=True)

    return HiddenMarkovModel(rows(1)[0], rows(classes), rows(classes) if emission else None)


def log_likelihood(path: tuple[int, ...], probabilities: np.ndarray, model: HiddenMarkovModel) -> float:
    """Log-likelihood of a path and the observations, by definition."""
    total = model.initial[path[0]]
    for before, after in pairwise(path):
        total *= model.transition[before, after]
    for state, observed in zip(path, probabilities, strict=True):
        total *= observed[state] if model.emission is None else model.emission[state, observed.argmax()]
    return float(np.log(total)) if total > 0 else -np.inf


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 6),
    classes=st.integers(1, 4),
    emission=st.booleans(),
    zeros=st.booleans(),
)
def test_viterbi_finds_the_most_likely_sequence(
    seed: int, count: int, classes: int, emission: bool, zeros: bool
) -> None:
    random = np.random.default_rng(seed)
    model = random_model(random, classes, emission, zeros)
    probabilities = random.dirichlet(np.full(classes, 0.7), count)
    found = viterbi(model.log_likelihood(probabilities), model)
    most = max(log_likelihood(path, probabilities, model) for path in product(range(classes), repeat=count))
    assert log_likelihood(tuple(found.tolist()), probabilities, model) == pytest.approx(most)


@given(seed=st.integers(0, 10**6), breaks=st.sets(st.integers(0, 11)))
def test_smooth_restarts_after_breaks(seed: int, breaks: set[int]) -> None:
    random = np.random.default_rng(seed)
    model, probabilities = random_model(random, 3, False, False), random.dirichlet(np.ones(3), 12)
    starts = np.isin(np.arange(12), list(breaks))
    edges = sorted({0, 12, *breaks})
    apart = [smooth(probabilities[i:j], model, np.zeros(j - i, bool)) for i, j in pairwise(edges)]
    np.testing.assert_array_equal(smooth(probabilities, model, starts), np.concatenate(apart))


def test_smooth_of_no_windows_is_empty() -> None:
    model = HiddenMarkovModel.from_bouts(3, 10, 60)
    assert smooth(np.empty((0, 3)), model, np.empty(0, bool)).tolist() == []


def test_smooth_of_a_long_recording_does_not_underflow() -> None:
    probabilities = np.tile([[1 - 1e-30, 1e-30]], (20_000, 1))
    probabilities[10_000:] = probabilities[10_000:, ::-1]
    found = smooth(probabilities, HiddenMarkovModel.from_bouts(2, 10, 600), np.zeros(20_000, bool))
    assert found.tolist() == [0] * 10_000 + [1] * 10_000


def test_window_keeps_its_label_when_its_odds_exceed_those_of_two_transitions() -> None:
    model = HiddenMarkovModel.from_bouts(4, 10, 60)  # stays with 5/6, goes to each other with 1/18: odds 15 each way
    quiet = np.array([0.97, 0.01, 0.01, 0.01])
    for odds, expected in ((220, 0), (230, 1)):
        rest = 1 / (odds + 3)
        window = np.array([rest, odds * rest, rest, rest])
        found = smooth(np.stack([quiet, quiet, window, quiet, quiet]), model, np.zeros(5, bool))
        assert found.tolist() == [0, 0, expected, 0, 0]


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_from_bouts_has_the_expected_bout_length(classes: int) -> None:
    model = HiddenMarkovModel.from_bouts(classes, 10, 300)
    np.testing.assert_allclose(model.transition.sum(axis=1), 1)
    np.testing.assert_allclose(model.transition, model.transition.T)
    if classes > 1:
        stay = model.transition[0, 0]
        lengths = np.arange(1, 20_000)
        assert (lengths * stay ** (lengths - 1) * (1 - stay)).sum() * 10 == pytest.approx(300)


@pytest.mark.parametrize("bout_s", [10, 3, 0, -60, float("nan")])
def test_from_bouts_refuses_bouts_not_longer_than_a_window(bout_s: float) -> None:
    with pytest.raises(SettingsError, match="minutes is not longer than a window of 10 s"):
        HiddenMarkovModel.from_bouts(4, 10, bout_s)


def test_fit_counts_labelled_sequences() -> None:
    first = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
    second = np.array([1, 0]), np.array([[0.0, 1.0], [0.8, 0.2]])
    model = HiddenMarkovModel.fit([first, second], 2, prior_count=0)
    np.testing.assert_allclose(model.initial, [3 / 6, 3 / 6])
    np.testing.assert_allclose(model.transition, [[1 / 2, 1 / 2], [1 / 2, 1 / 2]])  # none from the first to the second
    np.testing.assert_allclose(model.emission, [[0.8, 0.2], [0.2, 0.8]])


def test_fit_keeps_unseen_transitions_possible_unless_prior_count_is_zero() -> None:
    labels, probabilities = np.array([0, 0, 0, 1]), np.eye(3)[[0, 0, 0, 1]]
    never = HiddenMarkovModel.fit([(labels, probabilities)], 3, prior_count=0)
    assert never.transition.tolist() == [[2 / 3, 1 / 3, 0], [1 / 3] * 3, [1 / 3] * 3]
    rarely = HiddenMarkovModel.fit([(labels, probabilities)], 3)
    np.testing.assert_allclose(rarely.transition[0], [(2 + 1 / 3) / 4, (1 + 1 / 3) / 4, (1 / 3) / 4])


def test_fitted_model_corrects_confusions_of_the_network() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(random.integers(0, 3, 60), 20)
    observed_class = np.where(random.random(len(labels)) < 0.4, random.integers(0, 3, len(labels)), labels)
    probabilities = 0.7 * np.eye(3)[observed_class] + 0.1
    model = HiddenMarkovModel.fit([(labels[:600], probabilities[:600])], 3)
    found = smooth(probabilities[600:], model, np.zeros(600, bool))
    assert (observed_class[600:] == labels[600:]).mean() < 0.8
    assert (found == labels[600:]).mean() > 0.95


@pytest.mark.parametrize(
    ("initial", "transition", "emission", "name"),
    [
        ([1.0, 0.0], [[1.0]], None, "transition"),
        ([0.6, 0.6], np.eye(2), None, "initial"),
        ([0.5, 0.5], np.eye(2), [[0.5, 0.4], [0, 1]], "emission"),
        ([1.5, -0.5], np.eye(2), None, "initial"),
    ],
)
def test_tables_that_are_not_probabilities_are_refused(initial, transition, emission, name) -> None:
    with pytest.raises(ValueError, match=f"^{name} must have shape"):
        HiddenMarkovModel(np.array(initial), np.array(transition), None if emission is None else np.array(emission))


def sequence(
    pid: list[Any], start: NDArray[Any], labels: list[int] | None = None, step_s: float | None = 10
) -> Dataset:
    return replace(dataset(pid, labels), start=start, description=Description(name="somewhere", step_s=step_s))


@pytest.mark.parametrize("step_s", [10, None])
@pytest.mark.parametrize("dates", [True, False])
def test_sequence_starts_with_another_participant_and_after_a_gap(step_s: float | None, dates: bool) -> None:
    seconds = np.array([0, 10, 20, 40, 50.4, 60, 70, 80, 75])
    start: NDArray[Any] = seconds
    if dates:
        start = np.datetime64("2024-03-01T12:00:00", "ms") + (seconds * 1000).astype("timedelta64[ms]")
    data = sequence([1, 1, 1, 1, 1, 2, 2, 2, 2], start, step_s=step_s)
    expected = [True, False, False, True, False, True, False, False, True]
    assert_array_equal(sequence_starts(data, np.arange(9)), expected)
    assert_array_equal(sequence_starts(data, np.array([0, 2, 3, 4])), [True, True, True, False])
    assert_array_equal(sequence_starts(data, np.array([], int)), np.array([], bool))


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("step_s", [1.28, 1.5, 2, 2.5, 2.56, 5.12, 10])
def test_windows_whose_starts_are_cut_to_the_second_follow_each_other(step_s: float, described: bool) -> None:
    seconds = np.arange(200) * step_s + 0.37 + 100 * (np.arange(200) >= 150)
    start = np.datetime64("2024-03-01T12:00:00", "ms") + (seconds * 1000).astype("timedelta64[ms]")
    labels = (np.arange(200) // 7 % 2).tolist()
    data = sequence([1] * 100 + [2] * 100, start.astype("datetime64[s]"), labels, step_s if described else None)
    data = replace(data, window_s=step_s)
    assert_array_equal(np.flatnonzero(sequence_starts(data, np.arange(200))), [0, 100, 150])
    check_adjacent(data)


def test_check_consecutive_refuses_mostly_separate_windows() -> None:
    data = sequence([1] * 6, np.array([0, 10, 100, 200, 300, 400]), [0, 1] * 3)
    with pytest.raises(DataError, match="only 17% of the windows start 10 s after the window before"):
        check_consecutive(data)


def test_check_consecutive_refuses_recordings_cut_by_label() -> None:
    start = np.array([0.0, 10, 20, 0, 10, 20])
    with pytest.raises(DataError, match=r"no window follows one of another class\. The recordings were cut"):
        check_consecutive(sequence([1] * 6, start, [0, 0, 0, 1, 1, 1]))
    check_consecutive(sequence([1] * 6, start, [0, 0, 1, 1, 1, 1]))


def test_fit_smoothing_counts_transitions_in_train_and_errors_in_validation() -> None:
    start = np.concatenate([np.arange(0, 80, 10), np.arange(0, 40, 10)])
    labels = [0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1]
    data = sequence([1] * 8 + [2] * 4, start, labels)
    model = fit_smoothing(data, np.arange(8), np.arange(8, 12), np.array([0, 1, 1, 1]))
    # a pseudo-count of 1 for each class, spread evenly over the two classes
    assert_allclose(model.transition, [[2.5 / 4, 1.5 / 4], [1.5 / 5, 3.5 / 5]])
    assert model.emission is not None
    assert_allclose(model.emission, [[1.5 / 3, 1.5 / 3], [0.5 / 3, 2.5 / 3]])
    assert_allclose(model.initial, [0.5, 0.5])


@pytest.mark.parametrize(("step_s", "adjacent"), [(5, True), (10, True), (60, False)])
def test_windows_further_apart_than_their_length_give_no_smoothing_of_windows_side_by_side(
    step_s: int, adjacent: bool
) -> None:
    """Over a minute a class changes more often than from one window of 10 s to the next."""
    labels = np.repeat([0, 1, 0, 1], 6)
    data = sequence([1] * len(labels), step_s * np.arange(len(labels)), labels.tolist(), step_s)
    data = replace(data, window_s=10)
    check_consecutive(data)  # an evaluation smooths windows that are as far apart as those it learnt from
    context: Any = SimpleNamespace(
        dataset=data,
        split=SimpleNamespace(train=(1,)),
        windows=lambda participants: SimpleNamespace(rows=np.arange(len(labels))),
    )
    tables, why_not = smoothing_of_method(context, np.array([[9, 1], [1, 9]]))
    if adjacent:
        check_adjacent(data)
        assert (tables is not None, why_not) == (True, None)
        return
    with pytest.raises(DataError, match=r"windows of 10 s start every 60 s, so that none is beside another\. Prepare"):
        check_adjacent(data)
    assert (tables, why_not) == (None, NOT_CONSECUTIVE)


def test_smooth_predictions_removes_single_windows_but_not_across_gaps() -> None:
    labels = ([0] * 20 + [1] * 20) * 3
    count = len(labels)
    start = np.arange(0, 10 * count, 10.0)
    data = sequence([1] * 40 + [2] * 40 + [3] * 40, start, labels)
    noisy = np.array(labels[40:80])
    noisy[::5] = 1 - noisy[::5]
    model = fit_smoothing(data, np.arange(40), np.arange(40, 80), noisy)
    predicted = np.array(labels[80:])
    predicted[[7, 30]] = 1 - predicted[[7, 30]]
    assert_array_equal(smooth_predictions(data, np.arange(80, 120), predicted, model), labels[80:])
    apart = replace(data, start=np.arange(count) * 1000.0)
    assert_array_equal(smooth_predictions(apart, np.arange(80, 120), predicted, model), predicted)


@pytest.mark.parametrize("step_s", [10, 5])
def test_fit_adjacent_counts_transitions_over_the_length_of_a_window(step_s: int) -> None:
    """Windows that overlap change class half as often from one to the next, but not over the length of a window."""
    labels = np.repeat([0, 1, 0, 1, 1, 0], 10 // step_s).tolist()
    start = np.arange(0, step_s * len(labels), step_s)
    data = sequence([1] * len(labels), start, labels, step_s=step_s)
    data = replace(data, window_s=10)
    model = fit_adjacent(data, np.arange(len(labels)), np.array([[3, 1], [0, 4]]))
    copies = 10 // step_s  # of 0 1 0 1 1 0
    expected = np.array([[0.5, 0.5 + 2 * copies], [0.5 + 2 * copies, 0.5 + copies]])
    assert_allclose(model.transition, expected / expected.sum(axis=1, keepdims=True))
    assert model.emission is not None
    assert_allclose(model.emission, [[3.5 / 5, 1.5 / 5], [0.5 / 5, 4.5 / 5]])
