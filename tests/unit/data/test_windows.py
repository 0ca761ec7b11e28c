"""Recordings are resampled linearly and cut into windows."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sslwear.data.recording import Recording
from sslwear.errors import DataError
from tests.cutting import cut_recording

lengths = st.integers(1, 400)
rates = st.integers(1, 200)


def resample(samples: np.ndarray, rate_hz: float, target_hz: float) -> np.ndarray:
    """All even samples, as windows of one sample."""
    return cut_recording(Recording(1, samples, rate_hz), target_hz, 1 / target_hz, 1 / target_hz).samples[:, 0]


def cut(samples: np.ndarray, rate_hz: float, window_s: float, step_s: float) -> tuple[np.ndarray, np.ndarray]:
    found = cut_recording(Recording(1, samples, rate_hz), rate_hz, window_s, step_s)
    return found.samples, found.start


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 3)).astype(np.float32)


@given(length=lengths, rate_dhz=st.integers(1, 2000), target_dhz=st.integers(1, 2000))
@example(length=2, rate_dhz=11, target_dhz=33)
def test_resampling_gives_as_many_samples_as_fit_into_the_duration(length: int, rate_dhz: int, target_dhz: int) -> None:
    result = resample(noise(length), rate_dhz / 10, target_dhz / 10)
    assert result.shape == (max(1, Fraction(length, rate_dhz) * target_dhz // 1), 3)
    assert result.dtype == np.float32


@given(length=lengths, rate_hz=rates, target_hz=rates)
def test_resampling_keeps_the_first_sample(length: int, rate_hz: int, target_hz: int) -> None:
    samples = noise(length)
    assert_array_equal(resample(samples, rate_hz, target_hz)[0], samples[0])


@given(length=lengths, rate_hz=rates, target_hz=rates)
def test_resampling_keeps_a_linear_ramp_linear(length: int, rate_hz: int, target_hz: int) -> None:
    slopes, offsets = np.array([1.0, -2.0, 0.25]), np.array([0.5, 0.0, -3.0])
    result = resample(np.arange(length)[:, None] / rate_hz * slopes + offsets, rate_hz, target_hz)
    then = np.minimum(np.arange(len(result)) / target_hz, (length - 1) / rate_hz)  # the last sample is held
    expected = then[:, None] * slopes + offsets
    assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@given(length=lengths, factor=st.integers(1, 10))
def test_resampling_to_a_fraction_of_the_rate_takes_every_so_many_samples(length: int, factor: int) -> None:
    samples = noise(length)
    assert_allclose(resample(samples, 30 * factor, 30), samples[::factor][: max(1, length // factor)], rtol=1e-6)


def test_resampling_interpolates_each_axis_on_its_own() -> None:
    samples = np.array([[0, 10, -1], [1, 20, -1], [4, 0, -1]])
    assert_allclose(
        resample(samples, 10, 20),
        [[0, 10, -1], [0.5, 15, -1], [1, 20, -1], [2.5, 10, -1], [4, 0, -1], [4, 0, -1]],
        rtol=1e-6,
    )


@pytest.mark.parametrize("length", [0, 7])
def test_resampling_to_the_same_rate_changes_nothing_but_the_type(length: int) -> None:
    samples = np.random.default_rng(0).normal(size=(length, 3))
    result = resample(samples, 50, 50)
    assert result.dtype == np.float32
    assert_array_equal(result, samples.astype(np.float32))


def test_resampling_nothing_gives_nothing() -> None:
    assert resample(np.empty((0, 3)), 50, 30).shape == (0, 3)


@given(length=st.integers(0, 300), rate_hz=st.integers(1, 30), window=st.integers(1, 60), step=st.integers(1, 60))
def test_windows_equal_slices_of_the_recording(length: int, rate_hz: int, window: int, step: int) -> None:
    samples = noise(length)
    windows, seconds = cut(samples, rate_hz, window / rate_hz, step / rate_hz)
    starts = [start for start in range(0, length, step) if start + window <= length]
    assert windows.shape == (len(starts), window, 3)
    assert windows.dtype == np.float32
    assert_allclose(seconds, np.array(starts) / rate_hz)
    for start, piece in zip(starts, windows, strict=True):
        assert_array_equal(piece, samples[start : start + window])


@pytest.mark.parametrize(
    ("length", "window_s", "step_s", "starts"),
    [
        (900, 10, 5, [0, 5, 10, 15, 20]),
        (899, 10, 5, [0, 5, 10, 15]),
        (900, 10, 10, [0, 10, 20]),
        (900, 10, 20, [0, 20]),
        (900, 30, 1, [0]),
        (300, 10, 5, [0]),
        (299, 10, 5, []),
        (0, 10, 5, []),
    ],
)
def test_incomplete_windows_are_dropped(length: int, window_s: float, step_s: float, starts: list[float]) -> None:
    windows, seconds = cut(noise(length), 30, window_s, step_s)
    assert windows.shape == (len(starts), window_s * 30, 3)
    assert seconds.tolist() == starts


def test_windows_do_not_change_with_the_recording() -> None:
    samples = noise(10)
    windows, _ = cut(samples, 1, 4, 2)
    before = windows.copy()
    samples[:] = 0
    assert_array_equal(windows, before)


@pytest.mark.parametrize(("window_s", "step_s"), [(0, 5), (0.01, 5), (10, 0), (10, 0.01), (-10, 5), (10, -5)])
def test_windows_of_less_than_a_sample_are_refused(window_s: float, step_s: float) -> None:
    with pytest.raises(DataError) as caught:
        cut(noise(400), 30, window_s, step_s)
    for value in (window_s, step_s, 30):
        assert str(value) in str(caught.value)
