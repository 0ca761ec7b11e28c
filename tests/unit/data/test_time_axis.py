"""Time axes of any kind give windows of undisturbed samples only, and what is cut is counted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sslwear.data.cuts import FAR, MISSING, NOT_LATER, STRAY, TWICE, Cut, add_up, check_rate, check_used, duration
from sslwear.data.recording import Recording
from sslwear.data.time_axis import MAX_SET_BACKS, TimeAxis, TimeAxisReader, measure_rate
from sslwear.data.windowing import usable_part
from sslwear.errors import DataError
from tests.cutting import cut_recording

SECOND = 10**9
NOON = int(np.datetime64("2024-05-01T12:00", "ns").astype(np.int64))


def axis_of(seconds: np.ndarray, size: int = 10**6, known: np.ndarray | None = None) -> tuple[TimeAxis, np.ndarray]:
    """Time axis of samples at some seconds after noon, and the times of the usable samples."""
    time = NOON + np.rint(np.asarray(seconds, float) * 1e9).astype(np.int64)
    known = np.ones(len(time), bool) if known is None else known
    reader = TimeAxisReader()
    idle = np.zeros(len(time), bool)
    parts = [slice(i, i + size) for i in range(0, len(time), size)]
    keep = [reader.add(time[part], known[part], idle[part]) for part in parts]
    kept = time[np.concatenate([np.zeros(0, bool), *keep])]
    axis = reader.finish(lambda first, last: kept[first:last], np.datetime64(0, "ns"))
    return axis, np.concatenate([kept[:0], *(kept[first:last] for first, last in axis.ranges)])


def cuts_of(axis: TimeAxis) -> dict[str, int]:
    return {cut.kind: cut.samples for cut in axis.cuts}


def even(begin: float, seconds: float, rate_hz: float = 50) -> np.ndarray:
    return begin + np.arange(round(seconds * rate_hz)) / rate_hz


@st.composite
def clocks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    """True and recorded times of samples, both in seconds, of a clock that jumps; and the rate."""
    rate_hz = draw(st.floats(10, 200))
    jumps = st.one_of(st.floats(2, 90), st.floats(-90, -0.5), st.sampled_from([-3600.0, 3600.0, -2e8, 3e8]))
    blocks = draw(st.lists(st.tuples(st.floats(0.05, 40), jumps), min_size=1, max_size=6))
    lengths = [max(1, round(seconds * rate_hz)) for seconds, _ in blocks]
    true = np.arange(sum(lengths)) / rate_hz
    shown = true + np.repeat(np.concatenate([[0], np.cumsum([jump for _, jump in blocks])[:-1]]), lengths)
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    shown += random.uniform(-0.2, 0.2, len(true)) / rate_hz * draw(st.booleans())
    shown = np.round(shown, draw(st.sampled_from([3, 6, 9])))
    again = np.repeat(np.arange(len(true)), 1 + (random.random(len(true)) < 0.02) * draw(st.booleans()))
    return true[again], shown[again], rate_hz


@given(clock=clocks(), size=st.integers(1, 3000))
def test_no_window_spans_a_jump_and_no_sample_is_used_twice(clock: tuple[Any, ...], size: int) -> None:
    true, shown, rate_hz = clock
    recording = Recording(1, np.stack([true, true, true], axis=1), rate_hz, time=shown)
    usable, axis = usable_part(recording)
    assert usable.time is not None
    assert axis.used + sum(cut.samples for cut in axis.cuts) == len(true)
    assert axis.used == len(usable.samples) == len(np.unique(usable.samples[:, 0])) == len(np.unique(usable.time))
    assert (np.diff(usable.time) > 0).all()
    windows = cut_recording(recording, 30, 2, 2)
    assert (np.diff(windows.start) > 2 - 1e-6).all()
    elapsed = windows.samples[:, -1, 0].astype(float) - windows.samples[:, 0, 0]  # the signal is the true time
    np.testing.assert_allclose(elapsed, 59 / 30, atol=2 / rate_hz + 0.02)
    pieces, _ = axis_of(shown, size)
    assert pieces.ranges == axis_of(shown)[0].ranges


@given(
    rate_hz=st.integers(10, 200) | st.floats(10, 200),
    count=st.integers(2, 6000),
    digits=st.sampled_from([3, 6, 9]),
    cut=st.booleans(),
    window_s=st.sampled_from([1, 2, 5, 10]),
)
def test_an_even_axis_gives_every_window_that_fits(
    rate_hz: float, count: int, digits: int, cut: bool, window_s: int
) -> None:
    length = Fraction(count) / Fraction(rate_hz)
    unit = Fraction(1, 10**digits)
    assume(length % window_s <= window_s - 2 * unit)  # a length that rounding hides
    time = np.arange(count) / rate_hz
    shown = np.floor(time * 10**digits + 1e-6) / 10**digits if cut else np.round(time, digits)
    found = cut_recording(Recording(1, np.ones((count, 3)), rate_hz, time=shown), 30, window_s, window_s)
    assert len(found) == length // window_s


@pytest.mark.parametrize("rate_hz", [20, 25, 30, 32, 40, 50, 60, 64, 75, 80, 90, 100, 128, 200])
@pytest.mark.parametrize("digits", [3, 6])
def test_ten_seconds_are_a_window_of_ten_seconds(rate_hz: int, digits: int) -> None:
    time = np.floor(np.arange(10 * rate_hz) / rate_hz * 10**digits + 1e-6) / 10**digits
    for missing, windows in ((0, 1), (1, 0)):
        shown = time[: len(time) - missing]
        found = cut_recording(Recording(1, np.ones((len(shown), 3)), rate_hz, time=shown), 30, 10, 10)
        assert len(found) == windows


def test_a_clock_that_is_set_back_leaves_the_times_that_occur_once() -> None:
    axis, time = axis_of(np.concatenate([even(0, 1800), even(1750, 1800)]))
    assert cuts_of(axis) == {NOT_LATER: 3, TWICE: 2 * 50 * 50 - 6}
    assert axis.cuts[1].start == np.datetime64("2024-05-01T12:29:10.06", "ns")
    assert float(time[0] - NOON) == 0
    assert (time[-1] - NOON) / SECOND == pytest.approx(3549.98)
    assert np.diff(time).max() / SECOND == pytest.approx(50, abs=0.1)


def test_an_hour_that_occurs_twice_is_refused_when_it_is_most_of_the_recording() -> None:
    for offset in (0, 0.007):
        axis, _ = axis_of(np.concatenate([even(0, 3600, 20), even(offset, 3600, 20)]))
        assert axis.used <= 20
        assert axis.rate_hz == pytest.approx(20)
        with pytest.raises(
            DataError, match=r"^anna.csv has times that cannot be right: .*2 h 0 min cut \(times that occ"
        ):
            check_used("anna.csv", axis.used, axis.cuts)


def test_an_hour_that_occurs_twice_in_a_day_is_cut_and_counted() -> None:
    axis, _ = axis_of(np.concatenate([even(0, 3 * 3600, 10), even(2 * 3600, 22 * 3600, 10)]))
    check_used("anna.csv", axis.used, axis.cuts)
    assert str(axis.cuts[-1]) == f"2 h 0 min cut ({TWICE}, from 2024-05-01 14:00:00)"
    assert axis.used == 23 * 36_000 + 3  # the first samples after the set-back show that it is one


@pytest.mark.parametrize("wrong_s", [7200, -7200, 3e8])
def test_a_block_with_a_wrong_time_is_cut_alone(wrong_s: float) -> None:
    shown = even(0, 3600)
    shown[90_000:90_080] += wrong_s
    axis, time = axis_of(shown)
    assert axis.used >= 180_000 - 80 - 50 - 3
    assert sum(cuts_of(axis).values()) == 180_000 - axis.used
    assert time[-1] - time[0] < 3600 * SECOND
    check_used("anna.csv", axis.used, axis.cuts)


def test_times_interpolated_across_a_set_back_are_cut() -> None:
    backwards = np.linspace(1800, 600, 80, endpoint=False)
    axis, time = axis_of(np.concatenate([even(0, 1800, 100), backwards, even(10_000, 9000, 100)]))
    assert cuts_of(axis)[STRAY] + cuts_of(axis)[NOT_LATER] >= 79
    assert axis.used >= 1_080_000 - 1
    assert np.diff(time).max() / SECOND > 8000


def test_a_clock_that_was_not_set_is_cut() -> None:
    axis, time = axis_of(np.concatenate([even(-7e8, 60), even(0, 1800)]))
    assert cuts_of(axis) == {FAR: 3000}
    assert time[0] == NOON
    check_used("anna.csv", axis.used, axis.cuts)
    axis, _ = axis_of(np.concatenate([even(-7e8, 1800), even(0, 1800)]))
    with pytest.raises(DataError, match=r"30 min cut .* days from the rest.*50% of it; correct the times, or remove"):
        check_used("anna.csv", axis.used, axis.cuts)


@pytest.mark.parametrize("unit_s", [1, 0.1])
def test_times_cut_to_the_second_are_refused(unit_s: float) -> None:
    axis, _ = axis_of(np.floor(even(0, 120, 30) / unit_s + 1e-6) * unit_s)
    assert set(cuts_of(axis)) == {NOT_LATER}
    with pytest.raises(DataError, match=r"no later time than the sample before.*; write times with more .* --rate"):
        check_used("anna.csv", axis.used, axis.cuts)


def test_swapped_and_repeated_samples_are_cut_alone() -> None:
    shown = even(0, 60)
    axis, _ = axis_of(np.concatenate([shown[:100], shown[[99, 101, 100]], shown[102:]]))
    assert cuts_of(axis) == {NOT_LATER: 2}
    assert axis.ranges == [(0, 2999)]


def test_samples_without_a_time_or_values_are_counted_and_no_reason_to_refuse() -> None:
    known = np.ones(3000, bool)
    known[100:2000] = False
    axis, _ = axis_of(even(0, 60), known=known)
    assert cuts_of(axis) == {MISSING: 1900}
    assert str(axis.cuts[0]) == f"38 s cut ({MISSING})"
    assert axis.ranges == [(0, 100), (100, 1100)]
    check_used("anna.csv", axis.used, axis.cuts)


def test_shuffled_times_are_refused() -> None:
    shown = np.random.default_rng(0).permutation(even(0, 60))
    axis, _ = axis_of(shown)
    with pytest.raises(DataError, match="times that cannot be right"):
        check_used("anna.csv", axis.used, axis.cuts)
    with pytest.raises(DataError, match=f"goes back more than {MAX_SET_BACKS} times; put the samples in order of time"):
        axis_of(-np.arange(100_000.0))


@pytest.mark.parametrize("rate_hz", [30, 60, 80, 90])
@pytest.mark.parametrize("digits", [2, 3, 6])
def test_the_rate_is_exact_although_times_are_rounded(rate_hz: float, digits: int) -> None:
    time = np.rint(np.round(np.arange(60_000) / rate_hz, digits) * 1e9).astype(np.int64)
    time = np.delete(time, np.random.default_rng(0).integers(0, 60_000, 100))
    found = measure_rate(len(time), lambda first, last: time[first:last])
    assert found == pytest.approx(rate_hz, rel=0.004 if digits == 2 else 1e-4)


@pytest.mark.parametrize("burst", [2, 4, 25, 90])
def test_the_rate_is_that_of_the_samples_when_their_times_come_in_bursts(burst: int) -> None:
    sample = np.arange(60_000)
    time = (sample // burst * burst / 100 + sample % burst * 0.0005) * SECOND
    found = measure_rate(len(time), lambda first, last: time[first:last].astype(np.int64))
    assert found == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize("spread_s", [0.001, 0.003, 0.02])
def test_the_rate_of_uneven_times_is_not_biased(spread_s: float) -> None:
    time = np.sort(np.arange(60_000) / 100 + np.random.default_rng(0).normal(0, spread_s, 60_000)) * SECOND
    found = measure_rate(len(time), lambda first, last: time[first:last].astype(np.int64))
    assert found == pytest.approx(100, rel=0.01)


def test_cuts_of_several_recordings_are_added_up() -> None:
    cuts = [Cut(FAR, 10, 1.0, 2.5), Cut(MISSING, 5, 0.5), Cut(FAR, 30, 3.0, 99.0)]
    assert add_up(cuts) == (Cut(FAR, 40, 4.0, 2.5), Cut(MISSING, 5, 0.5))
    assert add_up(cuts)[0].report() == {"kind": FAR, "samples": 40, "seconds": 4.0, "start": 2.5}
    assert str(Cut(FAR, 9, 0.018, 7.25)) == f"0.018 s cut ({FAR}, from second 7.25)"


def test_a_rate_below_half_of_the_windows_is_refused() -> None:
    check_rate("anna.csv", 15, 30)
    with pytest.raises(DataError, match=r"^anna.csv has 14.9 samples a second, but windows at 30 Hz need at least 15;"):
        check_rate("anna.csv", 14.9, 30)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.8, "0.8 s"), (59.6, "60 s"), (1800, "30 min"), (7260, "2 h 1 min"), (90_060, "1 d 1 h 1 min")],
)
def test_durations_are_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_of_two_different_steps_the_shorter_one_gives_the_rate() -> None:
    time = np.array([0, 50, 950], np.int64) * (SECOND // 1000)
    assert measure_rate(3, lambda first, last: time[first:last]) == pytest.approx(20)
