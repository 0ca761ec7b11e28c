"""Non-wear: stretches of time in which the device did not move, for 90 minutes by default."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.buffer import AXES
from sslwear.data.files.recording_format import NonwearRule

STILL_S, STILL_G = 10, 0.015
"""10 s are still when the standard deviation of no axis is above 0.015 g: actipy's rule for calibration and wear."""


def still(deviations: NDArray[np.float64], most_g: float = STILL_G) -> NDArray[np.bool_]:
    """Whether the device was still in each 10 s, by the standard deviations (n, 3 or more) of the axes in g."""
    found: NDArray[np.bool_] = np.all(deviations[:, :3] < most_g, axis=1)
    return found


def index_of(first: int, rows: NDArray[np.int64]) -> pd.DatetimeIndex:
    """Two times in each of some 10 s, counted from `first`, in nanoseconds since 1970."""
    times = (rows[:, None] * STILL_S + [0, STILL_S / 2]).ravel() * 1e9
    return pd.DatetimeIndex((first + times.astype(np.int64)).view("datetime64[ns]"))


def find_nonwear(
    first: int, rows: NDArray[np.int64], deviations: NDArray[np.float64], rule: NonwearRule
) -> NDArray[np.int64]:
    """Find non-wear by actipy's rule, from standard deviations instead of the samples themselves.

    Args:
        first: time of the first sample, in nanoseconds since 1970.
        rows: the 10 s from there on that have samples (n,), increasing.
        deviations: standard deviations of the axes in each of them (n, 3), in g; NaN for less than two samples.
        rule: when the device is still, and for how long.

    Returns:
        Starts and ends (n, 2) of non-wear, both included, in nanoseconds since 1970.
    """
    from actipy import processing

    # actipy gets a recording of two samples each 10 s that is still and moves when the real one does; any gap is 10 s
    # there, which end non-wear as a longer gap does, so that memory does not grow with gaps
    places = np.arange(len(rows)) + np.cumsum(np.diff(rows, prepend=rows[:1]) > 1)
    values = (~still(deviations, rule.still_g)[:, None] * [-1.0, 1.0]).ravel()
    found = processing.find_nonwear_segments(
        pd.DataFrame(dict.fromkeys(AXES, values), index_of(0, places)), f"{round(60 * rule.minutes)}s"
    )
    begins = found.index.to_numpy("datetime64[ns]").view(np.int64) // (STILL_S * 10**9)
    starts = first + rows[np.searchsorted(places, begins)] * STILL_S * 10**9
    return np.stack([starts, starts + found.to_numpy("timedelta64[ns]").view(np.int64)], axis=1)


def worn_at(time: NDArray[np.int64], nonwear: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the device was worn at each of some times (n,), in increasing order; see `find_nonwear`."""
    worn = np.ones(len(time), bool)
    for begin, end in nonwear:
        worn[np.searchsorted(time, begin) : np.searchsorted(time, end, side="right")] = False
    return worn
