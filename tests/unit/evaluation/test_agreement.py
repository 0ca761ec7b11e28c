"""Bias, limits of agreement and correlations of predicted with labelled minutes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sslwear.evaluation.agreement import Agreement, Estimate, agreement

MINUTES = arrays(float, st.integers(1, 12), elements=st.floats(0, 1440).map(lambda value: round(value, 2)))
PEFR = (
    np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427], float),
    np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451], float),
)
"""Peak flow by two meters of 17 people, of Bland and Altman, Lancet 1986, 1:307."""


def test_the_published_example_of_bland_and_altman() -> None:
    found = agreement(*PEFR)
    assert found.participants == 17
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # the article rounds 1.96 to 2, and its intervals of the limits are approximate
    assert found.lower.value == pytest.approx(-2.1 - 1.96 * 38.8, abs=0.2)
    assert found.upper.value == pytest.approx(-2.1 + 1.96 * 38.8, abs=0.2)
    assert (found.bias.low, found.bias.high) == pytest.approx((-22.0, 17.8), abs=0.2)
    assert found.lower.low < -113 < found.lower.value < found.lower.high < -40
    assert found.correlation.value == pytest.approx(0.94, abs=0.005)


def test_the_correlation_and_its_interval_are_those_of_scipy() -> None:
    expected = stats.pearsonr(*PEFR)
    found = agreement(*PEFR).correlation
    assert found.value == pytest.approx(expected.statistic)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_concordance_is_lower_than_correlation_by_a_shift_and_a_scale() -> None:
    x = np.array([1.0, 2, 3, 4, 5, 6])
    assert agreement(x, x).concordance == Estimate(1.0, 1.0, 1.0)
    shifted = agreement(x + 2, x)
    assert shifted.correlation.value == pytest.approx(1)
    variance = x.var()
    assert shifted.concordance.value == pytest.approx(2 * variance / (2 * variance + 4))
    opposite = agreement(-x, x)
    assert opposite.correlation.value == pytest.approx(-1)
    assert opposite.concordance.value < 0


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    true = random.normal(100, 20, (1500, 10))
    x, y = true + 5 + random.normal(0, 10, true.shape), true + random.normal(0, 5, true.shape)
    found = [agreement(*pair) for pair in zip(x, y, strict=True)]
    truths = {
        "bias": 5.0,
        "lower": 5 - 1.96 * np.sqrt(125),
        "upper": 5 + 1.96 * np.sqrt(125),
        "correlation": 400 / np.sqrt(500 * 425),
        "concordance": 800 / (500 + 425 + 25),
    }
    for name, truth in truths.items():
        inside = [getattr(one, name).low <= truth <= getattr(one, name).high for one in found]
        # Lin's interval is for many participants, and holds the truth a little less often for 10 of them
        assert np.mean(inside) == pytest.approx(0.95, abs=0.04 if name == "concordance" else 0.02), name


def test_few_participants_have_no_intervals_and_one_has_no_limits() -> None:
    four = agreement([1.0, 2, 3, 5], [2.0, 2, 3, 4])
    assert np.isfinite([four.lower.value, four.upper.value, four.correlation.value]).all()
    assert np.isnan([four.bias.low, four.upper.high, four.correlation.low, four.concordance.low]).all()
    one = agreement([3.0], [1.0])
    assert one.bias == Estimate(2.0) or one.bias.value == 2.0
    assert np.isnan([one.sd, one.lower.value, one.correlation.value, one.concordance.value]).all()
    assert one.lower.text() == "undefined"
    assert one.bias.text() == "+2.0"


def test_constant_minutes_have_no_correlation() -> None:
    found = agreement([5.0] * 6, [1.0, 2, 3, 4, 5, 6])
    assert np.isnan(found.correlation.value)
    assert found.concordance.value == 0
    assert np.isnan(agreement([0.0] * 6, [0.0] * 6).concordance.value)
    assert agreement([0.0] * 6, [0.0] * 6).bias == Estimate(0, 0, 0)


@given(MINUTES, st.integers(0, 2**16))
def test_any_minutes_have_ordered_intervals(labelled: np.ndarray, seed: int) -> None:
    predicted = labelled + np.random.default_rng(seed).integers(-30, 30, len(labelled))
    found = agreement(predicted, labelled)
    check(found)
    swapped = agreement(labelled, predicted)
    assert swapped.bias.value == pytest.approx(-found.bias.value, abs=1e-9)
    assert swapped.concordance.value == pytest.approx(found.concordance.value, nan_ok=True)


def check(found: Agreement) -> None:
    for one in (found.bias, found.lower, found.upper, found.correlation, found.concordance):
        assert np.isnan(one.low) == np.isnan(one.high)
        if not np.isnan(one.low):
            assert one.low <= one.value + 1e-9
            assert one.value <= one.high + 1e-9
    if found.participants > 1:
        assert found.lower.value <= found.bias.value <= found.upper.value
    for one in (found.correlation, found.concordance):
        assert np.isnan(one.value) or -1 <= one.value <= 1
