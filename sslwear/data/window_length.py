"""Length of windows in seconds: as described in ``dataset.json``, or else from the start times of the windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.arrays import Description
from sslwear.data.checks import DESCRIPTION
from sslwear.errors import DataError

POSSIBLE_HZ = (0.1, 10_000.0)
"""Range of the sampling rate of any accelerometer; another rate is a mistake in ``dataset.json``."""
RATES_HZ = (20.0, 200.0)
"""Range of the sampling rate when the length is taken from start times; others are probably windows with gaps."""
SNAP = 0.005
"""Relative difference from a whole number of Hz that comes from rounded start times or a drifting clock."""
SNAP_S = 0.001
"""The same for a whole number of seconds, which goes first: 10 s at 85.7 Hz are not 9.97 s at 86 Hz."""
PAIRS = 16
"""Number of pairs of consecutive windows in which overlapping samples are searched."""
SAME, ALIKE = 1e-6, 0.1
"""Mean squared difference of overlapping samples, as a share of the variance: of copies, and after resampling."""


def described_length_s(folder: Path, description: Description, samples: int) -> float | None:
    """Length of windows in seconds by ``dataset.json``; None where it does not tell.

    Args:
        folder: the data set directory.
        description: content of its ``dataset.json``.
        samples: length of the windows in samples.

    Raises:
        DataError: when length, rate and samples contradict each other, or no accelerometer has such a rate.
    """
    rate_hz, window_s = description.rate_hz, description.window_s
    if rate_hz is not None and window_s is not None and abs(rate_hz * window_s - samples) >= 1:
        raise DataError(
            f"{folder / DESCRIPTION}: windows of {window_s:g} s at {rate_hz:g} Hz have {rate_hz * window_s:g} samples, "
            f"but those of the arrays have {samples}; correct window_s or rate_hz"
        )
    found_s = samples / rate_hz if window_s is None and rate_hz is not None else window_s
    if found_s is not None and not POSSIBLE_HZ[0] <= samples / found_s <= POSSIBLE_HZ[1]:
        raise DataError(
            f"{folder / DESCRIPTION}: windows of {samples} samples in {found_s:g} s have {samples / found_s:g} Hz, "
            "which is not the rate of an accelerometer; correct window_s or rate_hz"
        )
    return found_s


def length_from_starts_s(windows: NDArray[np.floating], pid: NDArray[Any], start: NDArray[Any]) -> float | None:
    """Length of windows in seconds by their start times; None where these do not tell.

    Most windows of a participant start equally far apart. If they share samples, the number of samples between two
    starts gives the rate. Otherwise each window lasts until the next one starts, if this gives a usual rate.

    Args:
        windows: (N, samples, 3).
        pid: participants (N,).
        start: start times (N,), datetime64, text, or seconds.
    """
    seconds = _seconds(start)
    if seconds is None or len(seconds) < 2:
        return None
    steps = np.where(pid[1:] == pid[:-1], np.diff(seconds), np.nan)
    values, counts = np.unique(steps[steps > 0].round(3), return_counts=True)
    if len(values) == 0:
        return None
    step = float(values[counts.argmax()])
    usual = np.isclose(steps, step, rtol=0.1)
    if not ((seconds - seconds[0]) % 1).any():  # steps between times in whole seconds vary by one
        near = max((step - 1, step + 1), key=lambda other: int((steps == other).sum()))
        if near > 0 or _shared_step(windows, np.flatnonzero(steps == 0)):  # two sensors may record the same second
            usual |= steps == near
    if usual.sum() * 2 < (steps > 0).sum():
        return None
    step_s, samples = float(steps[usual].mean()), windows.shape[1]
    rate_hz = (_shared_step(windows, np.flatnonzero(usual)) or samples) / step_s
    whole_s, whole_hz = max(1, round(samples / rate_hz)), max(1, round(rate_hz))
    if abs(samples / rate_hz - whole_s) <= SNAP_S * whole_s:
        rate_hz = samples / whole_s
    elif abs(rate_hz - whole_hz) <= SNAP * whole_hz:
        rate_hz = whole_hz
    return samples / rate_hz if RATES_HZ[0] <= rate_hz <= RATES_HZ[1] else None


def _seconds(start: NDArray[Any]) -> NDArray[np.float64] | None:
    """Start times as seconds."""
    if start.dtype.kind in "US":
        try:
            start = start.astype("datetime64[ms]")
        except ValueError:
            return None
    if start.dtype.kind == "M":
        return (start - start[0]) / np.timedelta64(1, "s") if len(start) else None
    return start.astype(np.float64)


def _shared_step(windows: NDArray[np.floating], first: NDArray[np.int64]) -> int | None:
    """Number of samples between the starts of consecutive windows that share samples; None if they share none.

    Args:
        windows: (N, samples, 3).
        first: indices of windows whose next window is the consecutive one.
    """
    some = first[:: 1 + len(first) // (4 * PAIRS)]
    moved = windows[some].astype(np.float64).std(axis=1).mean(axis=1)
    some = np.sort(some[np.argsort(-moved)[:PAIRS]])  # windows without motion are alike anyway
    one, other = (windows[rows].astype(np.float64) for rows in (some, some + 1))
    samples = windows.shape[1]
    variance = one.var(axis=1).sum(axis=1) + other.var(axis=1).sum(axis=1)
    least = max(8, samples // 10)
    if samples <= least or not (variance > 0).any():
        return None
    one, other, variance = one[variance > 0], other[variance > 0], variance[variance > 0]
    steps = np.arange(1, samples - least + 1)
    differences = np.array(
        [np.median(((one[:, k:] - other[:, : samples - k]) ** 2).sum(axis=2).mean(axis=1) / variance) for k in steps]
    )
    for limit in (SAME, ALIKE):
        found = np.flatnonzero(differences < limit)
        if len(found) and np.ptp(found) <= 3:  # periodic motion is alike at many steps
            return int(steps[differences.argmin()])
    return None
