"""Filter, calibration and time not worn of a recording on disk, as actipy finds them for one in memory.

What needs the whole recording at once, fitting the calibration and finding time not worn, needs only means and
deviations of 10 s; actipy does both, on a stand-in that has these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.buffer import AXES, TEMPERATURE, Spool
from sslwear.data.checks import check_unit
from sslwear.data.device_files import LOWPASS_HZ, UNIT_SAMPLES, check_span, is_csv

FILTER_SAMPLES, MARGIN_SAMPLES = 1_000_000, 100
"""So many are filtered at a time, with so many on both sides: what actipy does with a whole recording."""
STILL_S, STILL_G = 10, 0.015
"""A stretch of so long is still when no axis deviates by more than that: actipy's rule for calibration and wear."""


@dataclass(frozen=True)
class Calibration:
    """Acceleration in g as the device should have measured it: ``slope * x + offset + warmth * temperature``."""

    slope: NDArray[np.float32]
    offset: NDArray[np.float32]
    warmth: NDArray[np.float32] | None

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrate (n, 3), or (n, 4) with the temperature."""
        found = values[:, :3] * self.slope + self.offset
        return found if self.warmth is None else found + values[:, 3:] * self.warmth


UNCALIBRATED = Calibration(np.ones(3, np.float32), np.zeros(3, np.float32), None)


def treat(file: Path, spool: Spool, info: Mapping[str, Any]) -> tuple[Calibration, dict[str, Any]]:
    """Filter the samples on disk, and find the calibration and time not worn.

    Args:
        file: where they are from.
        spool: the samples, which are replaced.
        info: what is known of them, the sampling rate for the filter under ``Filtered``.

    Raises:
        DataError: when they are years apart, or those of a device's file are not in g.
    """
    from actipy import processing

    if len(spool) == 0:
        return UNCALIBRATED, dict(info)
    ends = [pd.Timestamp(int(spool.time(i, i + 1)[0])) for i in (0, len(spool) - 1)]
    check_span(file, ends[0], ends[1])
    _filter(spool, float(info["Filtered"]))
    means, deviations = _still_statistics(spool, None)
    still = _still(deviations)
    _, fitted = processing.calibrate_gravity(_stand_in(spool, still, means))
    calibration = UNCALIBRATED
    if "CalibxSlope" in fitted:
        slope, offset, warmth = (
            np.array([fitted.get(f"Calib{axis}{what}", np.nan) for axis in AXES], np.float32)
            for what in ("Slope", "Intercept", "SlopeT")
        )
        calibration = Calibration(slope, offset, warmth if TEMPERATURE in spool.columns else None)
        _, deviations = _still_statistics(spool, calibration)
    if not is_csv(file):
        check_unit_of(file, spool, calibration)
    return calibration, {**info, "CalibOK": fitted["CalibOK"], "nonwear": _nonwear(spool, deviations)}


def _filter(spool: Spool, rate_hz: float) -> None:
    """Take out of the samples on disk what is above 20 Hz."""
    from actipy import processing

    before = spool.values(0, 0)
    for first, last in spool.ranges(FILTER_SAMPLES):
        core = spool.values(first, last + MARGIN_SAMPLES)
        frame = pd.DataFrame(np.concatenate([before, core]), columns=list(AXES))
        found, _ = processing.lowpass(frame, rate_hz, LOWPASS_HZ, chunksize=len(frame))
        spool.replace(first, found.to_numpy(np.float32)[len(before) :][: last - first])
        before = core[: last - first][-MARGIN_SAMPLES:]


def _still_statistics(spool: Spool, calibration: Calibration | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations of every 10 s from the first sample, (n, columns); NaN where there are none."""
    columns = spool.columns if calibration is None else AXES
    origin = int(spool.time(0, 1)[0])
    width = STILL_S * 10**9
    bins = (int(spool.time(len(spool) - 1, len(spool))[0]) - origin) // width + 1
    counts = np.zeros((bins, 1), np.int64)
    sums, squares = np.zeros((bins, len(columns))), np.zeros((bins, len(columns)))
    for first, last in spool.ranges(FILTER_SAMPLES):
        values = spool.values(first, last, spool.columns)
        values = values if calibration is None else calibration(values)
        here = (spool.time(first, last) - origin) // width
        low, many = int(here[0]), int(here[-1] - here[0]) + 1
        here -= low
        counts[low : low + many, 0] += np.bincount(here, minlength=many)
        for i, column in enumerate(values.T.astype(np.float64)):
            sums[low : low + many, i] += np.bincount(here, column, many)
            squares[low : low + many, i] += np.bincount(here, column * column, many)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        deviations = np.sqrt(np.maximum(squares - sums * means, 0) / (counts - 1))
    return means, np.where(counts > 1, deviations, np.nan)


def _still(deviations: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each 10 s were still, by the deviations of the axes in the first three columns."""
    still: NDArray[np.bool_] = np.all(deviations[:, :3] < STILL_G, axis=1)
    return still


def _stand_in(spool: Spool, still: NDArray[np.bool_], means: NDArray[np.float64]) -> pd.DataFrame:
    """Two samples for each 10 s that were still, with their means: it is calibrated as the whole recording is."""
    times = (np.flatnonzero(still)[:, None] * STILL_S + [0, STILL_S / 2]).ravel() * 1e9
    index = pd.DatetimeIndex((int(spool.time(0, 1)[0]) + times.astype(np.int64)).view("datetime64[ns]"))
    return pd.DataFrame(np.repeat(means[still], 2, axis=0), index, columns=list(spool.columns))


def _nonwear(spool: Spool, deviations: NDArray[np.float64]) -> NDArray[np.int64]:
    """Starts and ends of time not worn, found in a recording that is still and moves when this one does."""
    from actipy import processing

    moving = ~_still(deviations)
    times = (np.arange(len(moving))[:, None] * STILL_S + [0, STILL_S / 2]).ravel() * 1e9
    index = pd.DatetimeIndex((int(spool.time(0, 1)[0]) + times.astype(np.int64)).view("datetime64[ns]"))
    values = (moving[:, None] * [-1.0, 1.0]).ravel()
    found = processing.find_nonwear_segments(pd.DataFrame(dict.fromkeys(AXES, values), index))
    starts = found.index.to_numpy("datetime64[ns]").view(np.int64)
    return np.stack([starts, starts + found.to_numpy("timedelta64[ns]").view(np.int64)], axis=1)


def check_unit_of(file: Path, spool: Spool, calibration: Calibration) -> None:
    """Refuse another unit than g by the median length of some samples, those that `DeviceFiles` looks at."""
    every, lengths = 1 + len(spool) // UNIT_SAMPLES, []
    for first, last in spool.ranges(FILTER_SAMPLES):
        picked = spool.values(first, last, spool.columns)[-first % every :: every]
        lengths.append(np.linalg.norm(calibration(picked), axis=1))
    check_unit(file, float(np.median(np.concatenate(lengths))))
