"""Length of windows in seconds, by the description or by start times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.arrays import Description
from sslwear.data.window_length import described_length_s, length_from_starts_s
from sslwear.errors import DataError

START = np.datetime64("2024-05-01T09:00:00")


def recording(seconds: float, rate_hz: float, seed: int = 0) -> np.ndarray:
    """Acceleration (n, 3) of a wrist that moves irregularly."""
    noise = np.random.default_rng(seed).normal(size=(int(seconds * rate_hz) + 1, 3))
    kernel = np.hanning(int(rate_hz // 3)) / rate_hz**0.5
    return np.apply_along_axis(np.convolve, 0, noise, kernel, "same") * 0.3 + [0, 0, 1]


def cut(samples: np.ndarray, rate_hz: float, window_s: float, step_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Windows and their starts in seconds."""
    length, step = round(window_s * rate_hz), round(step_s * rate_hz)
    first = np.arange(0, len(samples) - length + 1, step)
    return np.stack([samples[i : i + length] for i in first]).astype(np.float32), first / rate_hz


@given(
    rate_hz=st.sampled_from([20, 25, 30, 31.25, 40, 50, 62.5, 80, 100]),
    window_s=st.sampled_from([4, 8, 10]),
    overlap=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 100),
)
def test_the_length_is_found_with_and_without_overlap(rate_hz: float, window_s: float, overlap: int, seed: int) -> None:
    windows, start = cut(recording(80, rate_hz, seed), rate_hz, window_s, window_s / overlap)
    assert length_from_starts_s(windows, np.zeros(len(windows)), start) == pytest.approx(window_s, rel=0.002)


@pytest.mark.parametrize("form", ["M8[ms]", "M8[s]", "U26", float])
def test_starts_may_be_dates_text_or_seconds(form: Any) -> None:
    windows, start = cut(recording(150, 30), 30, 5, 5)
    times: np.ndarray = start if form is float else (START + (start * 1000).astype("m8[ms]")).astype(form)
    assert length_from_starts_s(windows, np.zeros(len(windows)), times) == 5


def test_overlapping_windows_that_were_resampled_one_by_one_are_recognised() -> None:
    fine, start = cut(recording(150, 100), 100, 10, 5)
    then = np.linspace(0, fine.shape[1] - 1, 300)
    windows = np.array([[np.interp(then, np.arange(fine.shape[1]), axis) for axis in one.T] for one in fine])
    found = length_from_starts_s(windows.transpose(0, 2, 1), np.zeros(len(start)), start)
    assert found == pytest.approx(10, rel=0.01)


def test_periodic_motion_is_not_taken_for_overlap() -> None:
    time = np.arange(6000) / 30
    wave = np.stack([np.sin(2 * np.pi * 1.8 * time + phase) for phase in (0, 1, 2)], 1)
    noise = 0.01 * np.random.default_rng(0).normal(size=wave.shape)
    for samples in (wave, wave + noise):
        windows, start = cut(samples, 30, 10, 10)
        assert length_from_starts_s(windows, np.zeros(len(windows)), start) == 10


@pytest.mark.parametrize(("rate_hz", "window_s"), [(85.7, 10), (66.7, 10), (33.3, 30), (50, 2.56), (100, 10.24)])
@pytest.mark.parametrize("overlap", [1, 2])
def test_whole_seconds_go_before_whole_rates(rate_hz: float, window_s: float, overlap: int) -> None:
    windows, start = cut(recording(240, rate_hz), rate_hz, window_s, window_s / overlap)
    assert length_from_starts_s(windows, np.zeros(len(windows)), start) == pytest.approx(window_s, rel=1e-6)


def test_starts_in_whole_seconds_give_the_true_length() -> None:
    windows, start = cut(recording(600, 30), 30, 32 / 3, 32 / 3)
    assert length_from_starts_s(windows, np.zeros(len(windows)), np.floor(start)) == pytest.approx(32 / 3, rel=0.005)


@pytest.mark.parametrize("form", ["M8[s]", float])
@pytest.mark.parametrize("overlap", [1, 2, 4])
@pytest.mark.parametrize("window_s", [1.5, 2.56, 2.5, 3, 4, 5.12, 6.4, 12.8])
def test_starts_in_whole_seconds_give_the_length_of_short_windows(window_s: float, overlap: int, form: Any) -> None:
    windows, start = cut(recording(300, 50), 50, window_s, window_s / overlap)
    times = np.floor(start) if form is float else (START + (start * 1000).astype("m8[ms]")).astype(form)
    pid = np.arange(len(windows)) // 40
    assert length_from_starts_s(windows, pid, times) == pytest.approx(window_s, rel=0.03)


def test_two_sensors_of_a_participant_that_start_together_do_not_halve_the_length() -> None:
    first, second = (cut(recording(100, 50, seed), 50, 1, 1) for seed in (0, 1))
    windows = np.stack([first[0], second[0]], axis=1).reshape(-1, 50, 3)
    assert length_from_starts_s(windows, np.zeros(len(windows)), np.repeat(first[1], 2)) == 1


@pytest.mark.parametrize(
    "start",
    [
        np.zeros(12),
        np.arange(12),  # numbers of windows
        np.arange(12) * 60.0,  # a window each minute
        np.cumsum(np.random.default_rng(0).uniform(5, 500, 12)),
        np.array(["first", "second"] * 6),
        np.arange(12)[::-1] * 10.0,
    ],
)
def test_starts_that_do_not_tell_give_nothing(start: np.ndarray) -> None:
    windows = np.random.default_rng(0).normal(size=(12, 300, 3))
    assert length_from_starts_s(windows, np.zeros(12), start) is None


def test_windows_of_different_participants_are_not_compared() -> None:
    windows, start = cut(recording(40, 30), 30, 10, 10)
    assert length_from_starts_s(windows, np.arange(len(windows)), start) is None


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [({}, None), ({"rate_hz": 50}, 6), ({"window_s": 10}, 10), ({"rate_hz": 30, "window_s": 10}, 10)],
)
def test_the_description_gives_length_or_rate(facts: dict[str, float], seconds: float | None) -> None:
    assert described_length_s(Path("data"), Description(name="mine", **facts), 300) == seconds  # type: ignore[arg-type]


def test_length_and_rate_that_contradict_the_arrays_are_refused() -> None:
    with pytest.raises(DataError, match=r"dataset\.json: windows of 10 s at 50 Hz have 500 samples, but those .* 300"):
        described_length_s(Path("data"), Description(name="mine", rate_hz=50, window_s=10), 300)
