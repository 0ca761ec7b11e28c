"""Means over participants with intervals, and paired differences."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sslwear.evaluation.intervals import difference, interval

SCORES = arrays(float, st.integers(5, 8), elements=st.floats(-1, 1))


@given(SCORES)
def test_the_interval_lies_within_the_scores_and_around_the_mean(scores: np.ndarray) -> None:
    found = interval(scores)
    assert found.mean == pytest.approx(scores.mean())
    assert found.sd == pytest.approx(scores.std(ddof=1))
    assert scores.min() - 1e-12 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= scores.max() + 1e-12
    assert found == interval(scores)


def test_a_known_interval() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(0.7, 0.1, 200)
    found = interval(scores)
    half = 1.96 * scores.std(ddof=1) / np.sqrt(200)
    assert found.low == pytest.approx(scores.mean() - half, abs=0.002)
    assert found.high == pytest.approx(scores.mean() + half, abs=0.002)


def test_undefined_scores_are_left_out_and_few_participants_have_no_interval() -> None:
    assert interval([0.5, np.nan, 0.7]).participants == 2
    one = interval([0.5, np.nan])
    assert (one.mean, one.participants) == (0.5, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.sd)
    assert str(one) == "0.500 (1 participant)"
    assert interval([np.nan]).participants == 0
    assert str(interval([])) == "undefined"
    assert str(interval([0.5] * 5)) == "0.500 [0.500, 0.500]"


@pytest.mark.parametrize("participants", [2, 3, 4])
def test_fewer_than_five_participants_have_a_mean_and_no_limits(participants: int) -> None:
    found = interval([0.449, 0.673, 0.6, 0.5][:participants])
    assert np.isfinite([found.mean, found.sd]).all()
    assert np.isnan([found.low, found.high]).all()
    assert not found.known
    assert str(found) == f"{found.mean:.3f} ({participants} participants)"
    assert found.text("+", spread=True) == f"{found.mean:+.3f} ± {found.sd:.3f} ({participants} participants)"
    five = interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert five.known
    assert five.text("+") == f"+0.300 [+{five.low:.3f}, +{five.high:.3f}]"


def test_a_difference_is_paired() -> None:
    first = pd.Series({"a": 0.9, "b": 0.5, "c": 0.7, "d": 0.3, "e": 0.2, "only first": 0.1})
    second = pd.Series({"c": 0.6, "a": 0.8, "b": 0.4, "d": 0.2, "e": 0.1, "only second": 0.9})
    found = difference(first, second)
    assert found.interval.participants == 5
    assert found.interval.mean == pytest.approx(0.1)
    assert found.interval.low == pytest.approx(0.1)
    assert found.p == pytest.approx(2 / 32)  # the least that five pairs can give
    assert difference(first, first).p == 1.0
    tied = pd.Series([0.1, 0.2, 0.3, 0.4, 0.5, *[0.0] * 9])
    assert difference(tied, 0 * tied).p == pytest.approx(2 / 32)  # pairs that are equal say nothing
    assert math.isnan(difference(first[:1], second[1:2]).p)


def test_equal_differences_are_tied_although_rounding_makes_them_unequal() -> None:
    first = pd.Series([0.4, 0.8, 0.4, 0.4, 0.4, 0.1 + 0.2])
    second = pd.Series([0.7, 0.6, 0.2, 0.7, 0.2, 0.3])
    assert len(set((first - second).abs())) > 3
    exact = difference(pd.Series([-3, 2, 2, -3, 2, 0]), pd.Series([0] * 6))
    assert difference(first, second).p == exact.p == pytest.approx(20 / 32)
