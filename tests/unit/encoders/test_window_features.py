"""Features of windows, on signals whose features are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sslwear.data.dataset import Dataset
from sslwear.encoders.window_features import BANDS_HZ, feature_names, features
from sslwear.evaluation import trees
from sslwear.evaluation.trees import features_of
from sslwear.training import Windows

RATE_HZ, SAMPLES = 30.0, 300
TIME = np.arange(SAMPLES) / RATE_HZ


def window(x: NDArray[np.float64], y: NDArray[np.float64] | float = 0.0, z: float = 1.0) -> NDArray[np.float64]:
    return np.stack([x, np.broadcast_to(y, x.shape), np.full_like(x, z)], axis=1)


def named(one: NDArray[np.floating], rate_hz: float = RATE_HZ) -> dict[str, float]:
    (row,) = features(one[None], rate_hz)
    return dict(zip(feature_names(), row.tolist(), strict=True))


def test_of_a_sine_all_is_known() -> None:
    found = named(window(0.4 * np.sin(2 * np.pi * 2 * TIME)))
    assert found["x_frequency_1"] == 2.0
    assert found["x_mean"] == pytest.approx(0, abs=1e-12)
    assert found["x_sd"] == pytest.approx(0.4 / np.sqrt(2))
    assert found["x_skewness"] == pytest.approx(0, abs=1e-9)
    assert found["x_kurtosis"] == pytest.approx(-1.5)
    assert found["x_share_1"] == pytest.approx(2 / 3)  # of three bins that the taper fills
    assert found["x_band_2-3_hz"] == pytest.approx(0.08 * 5 / 6)  # the bin below 2 Hz is in the next band
    assert sum(found[f"x_band_{low:g}-{high:g}_hz"] for low, high in BANDS_HZ) == pytest.approx(0.4**2 / 2)
    assert (found["z_mean"], found["z_sd"], found["z_median"], found["z_frequency_1"]) == (1.0, 0.0, 1.0, 0.0)


def test_the_second_frequency_is_another_one() -> None:
    found = named(window(0.4 * np.sin(2 * np.pi * 2 * TIME) + 0.2 * np.sin(2 * np.pi * 6 * TIME)))
    assert (found["x_frequency_1"], found["x_frequency_2"]) == (2.0, 6.0)
    assert found["x_share_1"] == pytest.approx(4 * found["x_share_2"])


def test_frequencies_are_in_hertz_at_any_rate() -> None:
    time = np.arange(1000) / 100
    assert named(window(np.sin(2 * np.pi * 2 * time)), 100.0)["x_frequency_1"] == 2.0
    x = np.sin(2 * np.pi * 2 * TIME)
    assert named(window(x), 60.0)["x_frequency_1"] == 4.0


def test_correlations_are_numpys() -> None:
    moving = np.random.default_rng(0).normal(size=(4, SAMPLES, 3))
    moving[..., 1] += moving[..., 0]
    found = dict(zip(feature_names(), features(moving, RATE_HZ).T, strict=True))
    for i in range(4):
        whole = np.corrcoef(moving[i].T)
        for name, (one, other) in {"xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}.items():
            assert found[f"correlation_{name}"][i] == pytest.approx(whole[one, other])


def test_entropy_tells_noise_from_a_tone() -> None:
    noise = named(window(np.random.default_rng(1).normal(size=SAMPLES)))["x_entropy"]
    tone = named(window(np.sin(2 * np.pi * 3 * TIME)))["x_entropy"]
    assert tone < 0.2 < 0.8 < noise < 1


def test_a_window_does_not_depend_on_its_neighbours() -> None:
    some = np.random.default_rng(2).normal(size=(5, 100, 3)).astype(np.float32)
    together = features(some, RATE_HZ)
    assert np.allclose(together[3:4], features(some[3:4], RATE_HZ), rtol=1e-12, atol=1e-12)
    assert together.shape == (5, len(feature_names()))
    assert len(set(feature_names())) == len(feature_names())


@given(st.integers(8, 64), st.sampled_from([0.0, 1e-9, 1.0, 8.0]), st.integers(0, 5))
def test_nothing_is_undefined(samples: int, scale: float, seed: int) -> None:
    windows = scale * np.random.default_rng(seed).normal(size=(2, samples, 3)) + [0.0, 0.0, 1.0]
    assert np.isfinite(features(windows, RATE_HZ)).all()


@pytest.mark.parametrize(
    ("window_s", "rate_hz"),
    [(5.0, 30.0), (3.0, 50.0), (6.0, 25.0), (None, 30.0)],
)
def test_the_rate_is_that_of_the_windows(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, window_s: float | None, rate_hz: float
) -> None:
    seen = set()

    def spy(windows: NDArray[np.floating], rate: float) -> NDArray[np.float64]:
        seen.add(rate)
        return np.asarray(windows[:, 0], np.float64)

    monkeypatch.setattr(trees, "features", spy)
    rows = np.arange(3)
    assert len(features_of(Windows(replace(small, window_s=window_s), rows))) == 3
    assert seen == {rate_hz}
