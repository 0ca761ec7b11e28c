"""Recordings with gaps, repeated and unordered times, labels by sample, and time not worn become clean windows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sslwear.data.cuts import NOT_LATER
from sslwear.data.sources.base import NO_LABEL, Recording
from sslwear.data.time_axis import MAX_GAP_S
from sslwear.data.windowing import label_names, usable_part
from tests.cutting import cut_recording

RATE_HZ = 50.0


def signal(time: np.ndarray) -> np.ndarray:
    """Three axes that are known at any time."""
    return np.stack([np.sin(time), np.cos(time), 1 + 0.1 * time / (1 + time)], axis=1)


def recording(seconds: float = 60, **changes: Any) -> Recording:
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return Recording(**{"participant": 1, "samples": signal(time), "rate_hz": RATE_HZ, "label": "walk"} | changes)


def timed(time: np.ndarray, **changes: Any) -> Recording:
    return recording(samples=signal(time), time=time, **changes)


def cut(some: Recording, window_s: float = 10, step_s: float = 10, **kwargs: Any) -> Any:
    return cut_recording(some, 30, window_s, step_s, **kwargs)


def test_windows_hold_the_signal_at_their_start_and_rate() -> None:
    found = cut(recording(60), step_s=5)
    assert found.samples.shape == (11, 300, 3)
    assert_allclose(found.start, np.arange(11) * 5)
    for start, window in zip(found.start, found.samples, strict=True):
        assert_allclose(window, signal(start + np.arange(300) / 30), atol=1e-3)


def test_no_window_lies_across_a_gap() -> None:
    time = np.arange(3000) / RATE_HZ
    found = cut(timed(time[(time < 14) | (time >= 25)]))
    assert_allclose(found.start, [0, 25, 35, 45])
    for start, window in zip(found.start, found.samples, strict=True):
        assert_allclose(window, signal(start + np.arange(300) / 30), atol=1e-3)


@pytest.mark.parametrize(("gap_s", "windows"), [(MAX_GAP_S * 0.9, 6), (MAX_GAP_S * 1.2, 5)])
def test_short_gaps_are_interpolated_and_long_ones_are_not(gap_s: float, windows: int) -> None:
    time = np.arange(3001) / RATE_HZ
    assert len(cut(timed(time[(time < 15) | (time >= 15 + gap_s)])).samples) == windows


def test_samples_that_are_not_finite_are_gaps() -> None:
    some = recording(60)
    samples = some.samples.copy()
    samples[700:1250, 1] = np.nan
    samples[1999] = np.inf
    found = cut(recording(60, samples=samples))
    assert_allclose(found.start, [0, 25, 35, 45])
    assert np.isfinite(found.samples).all()


def test_blocks_in_another_order_are_put_in_order_and_not_joined() -> None:
    time = np.concatenate([np.arange(1600, 3000), np.arange(1600)]) / RATE_HZ
    found = cut(timed(time, label=pd.Categorical(np.where(time < 32, "a", "b"))))
    assert_allclose(found.start, [0.06, 10.06, 20.06, 33, 43], atol=0.021)
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    for start, window in zip(found.start, found.samples, strict=True):
        assert_allclose(window, signal(start + np.arange(300) / 30), atol=1e-3)


def test_labels_and_wear_stay_with_their_samples_when_some_are_cut() -> None:
    time = np.insert(np.arange(3000) / RATE_HZ, 400, 7.0)
    codes, worn = (time // 10).astype(int), time < 30
    some = timed(time, label=pd.Categorical.from_codes(codes, list("abcdef")), worn=worn)
    found = cut(some)
    assert found.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.worn.tolist() == [True, True, True, False, False, False]
    assert [(one.kind, one.samples) for one in usable_part(some)[1].cuts] == [(NOT_LATER, 1)]


def test_of_samples_with_the_same_time_the_first_is_kept() -> None:
    time = np.repeat(np.arange(1500) / RATE_HZ, 2)
    samples = signal(time)
    samples[1::2] = 100
    assert cut(recording(samples=samples, time=time)).samples.max() < 2


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["a"] * 500, "a"),
        (["a"] * 260 + ["b"] * 240, "a"),
        (["b"] * 240 + ["a"] * 260, "a"),
        ([None] * 260 + ["a"] * 240, None),
        ([None] * 240 + ["a"] * 260, "a"),
        ([None] * 200 + ["a"] * 140 + ["b"] * 160, None),
        (["b"] * 250 + ["a"] * 250, "a"),
        ([None] * 250 + ["b"] * 250, "b"),
        ([None] * 500, None),
    ],
)
def test_a_window_takes_the_label_that_most_of_it_has(labels: list[str | None], expected: str | None) -> None:
    found = cut(recording(10.02, label=pd.Categorical([*labels, labels[-1]], ["a", "b"])))
    assert len(found.labels) == 1
    assert (None if found.labels[0] == NO_LABEL else "ab"[found.labels[0]]) == expected


def test_labels_stay_with_their_windows_behind_a_gap() -> None:
    time = np.arange(3000) / RATE_HZ
    kept = (time < 14) | (time >= 25)
    labels = pd.Categorical(np.array(["a", "b", "c", "d", "e", "f"])[(time // 10).astype(int)])
    found = cut(timed(time[kept], label=labels[kept]))
    assert ["abcdef"[label] for label in found.labels] == ["a", "c", "d", "e"]


def test_a_label_of_the_whole_recording_is_every_windows() -> None:
    assert label_names(recording(60)) == ("walk",)
    assert cut(recording(60)).labels.tolist() == [0] * 6


def test_a_recording_without_labels_gives_windows_without() -> None:
    found = cut(recording(60, label=None))
    assert found.labels.tolist() == [NO_LABEL] * 6
    assert label_names(recording(60, label=None)) == ()


def test_many_windows_with_many_labels_are_counted_right() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(-1, 40, 30 * 2000)
    some = Recording(1, np.ones((len(codes), 3)), 30, pd.Categorical.from_codes(codes, [f"{i:02}" for i in range(40)]))
    found = cut_recording(some, 30, 1, 1)
    for i in range(0, 2000, 97):
        values, counts = np.unique(codes[30 * i : 30 * i + 30], return_counts=True)
        best = values[counts == counts.max()]
        assert found.labels[i] == (best[best >= 0].min() if (best >= 0).any() else NO_LABEL)


def test_windows_are_marked_not_worn_when_most_of_them_is() -> None:
    worn = np.ones(3000, bool)
    worn[900:1700] = False  # 18 s to 34 s
    assert cut(recording(60, worn=worn)).worn.tolist() == [True, True, False, True, True, True]


def test_windows_in_which_one_sample_is_at_the_limit_are_clipped() -> None:
    samples = recording(60).samples.copy()
    samples[1234, 2] = -8
    assert cut(recording(60, samples=samples), limit_g=8).clipped.tolist() == [False, False, True, False, False, False]
    assert not cut(recording(60, samples=samples)).clipped.any()


@pytest.mark.parametrize("samples", [0, 1, 299])
def test_recordings_shorter_than_a_window_give_none(samples: int) -> None:
    found = cut_recording(Recording(1, np.ones((samples, 3)), 30.0, "walk"), 30, 10, 5)
    assert found.samples.shape == (0, 300, 3)
    assert len(found.start) == len(found.labels) == len(found.worn) == len(found.clipped) == 0
