"""Acceleration is judged by physics: 1 g at rest, with gravity, and not zero for long."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.gravity import first_idle, gravity_problem, rest_statistics


def motion(strength: float, samples: int = 300, count: int = 20, hz: float = 2.0, seed: int = 0) -> np.ndarray:
    """Windows at 30 Hz of a wrist that swings, with gravity, in g."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(count, 1, 3))
    phase = 2 * np.pi * hz * np.arange(samples)[:, None] / 30 + rng.uniform(0, 6, (count, 1, 1)) + np.arange(3)
    noise = 0.01 * rng.normal(size=(count, samples, 3))
    return direction / np.linalg.norm(direction, axis=2, keepdims=True) + strength * np.sin(phase) + noise


@given(strength=st.floats(0, 1), seed=st.integers(0, 50), samples=st.sampled_from([60, 300, 900, 1000]))
def test_acceleration_with_gravity_in_g_is_accepted(strength: float, seed: int, samples: int) -> None:
    assert gravity_problem(rest_statistics(motion(strength, samples, seed=seed))) is None


@given(strength=st.floats(0, 1), seed=st.integers(0, 50))
@pytest.mark.parametrize(
    ("unit", "guess"),
    [
        (9.80665, r"m/s^2"),
        (1000.0, "mg: divide by 1000"),
        (1 / 9.80665, "another unit"),
        (64.0, "raw counts"),
        (0.0, "0 instead of about 1"),
    ],
)
def test_other_units_are_recognised_at_any_strength(unit: float, guess: str, strength: float, seed: int) -> None:
    assert guess in (gravity_problem(rest_statistics(unit * motion(strength, seed=seed))) or "")


@given(strength=st.floats(0, 2), seed=st.integers(0, 50))
def test_acceleration_without_gravity_is_recognised_at_any_strength(strength: float, seed: int) -> None:
    windows = motion(strength, seed=seed)
    windows -= windows.mean(axis=1, keepdims=True)
    assert "without gravity" in (gravity_problem(rest_statistics(windows)) or "")


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_wrong_scale_is_recognised_at_rest(scale: float) -> None:
    assert gravity_problem(rest_statistics(scale * motion(0.02)))


def test_normalised_windows_are_not_taken_for_counts() -> None:
    windows = motion(0.02)
    windows = (windows - windows.min()) / np.ptp(windows) + 0.5
    assert "normalised" in (gravity_problem(rest_statistics(windows)) or "")


def test_a_few_damaged_windows_do_not_decide() -> None:
    windows = motion(0.1)
    windows[3] = 50
    windows[4, 7] = -1e30
    assert gravity_problem(rest_statistics(windows)) is None
    assert gravity_problem(rest_statistics(windows[:0])) is None


@pytest.mark.parametrize(("zeros", "found"), [(0, None), (3, None), (30, None), (31, 2), (300, 2)])
def test_windows_with_many_samples_of_zero_are_found(zeros: int, found: int | None) -> None:
    windows = motion(0.1, count=4)
    windows[2, :zeros] = 0
    windows[3, :, 0] = 0  # one axis may be zero
    assert first_idle(windows) == found
