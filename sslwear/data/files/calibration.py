"""Low-pass filter and gravity calibration of samples on disk, with the results that actipy gives in memory.

Fitting the calibration and finding non-wear need the whole recording at once, but only the means and standard
deviations of each 10 s. actipy does both here, on a small recording with the same means and deviations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.buffer import AXES, TEMPERATURE, SampleBuffer
from sslwear.data.files.clipping import Clipping
from sslwear.data.files.device_checks import is_table
from sslwear.data.files.nonwear import STILL_S, find_nonwear, index_of, still
from sslwear.data.files.recording_format import NonwearRule
from sslwear.data.gravity import BLOCK_SAMPLES, check_gravity, rest_statistics

LOWPASS_HZ = 20
"""Cut-off frequency of the low-pass filter, as for the recordings that the published models were trained on."""
FILTER_SAMPLES, MARGIN_SAMPLES = 1_000_000, 100
"""Samples that are filtered at a time, and samples on both sides of them: as actipy filters."""
FEWEST_SAMPLES = 28
"""Fewer samples, less than a second at 40 Hz, are not filtered: scipy cannot continue them at both ends."""
UNIT_BLOCKS = 1000
"""Number of stretches of samples that the unit is checked on, at most."""


@dataclass(frozen=True)
class Calibration:
    """Gravity calibration: ``slope * x + offset + temperature_slope * temperature`` is the acceleration in g."""

    slope: NDArray[np.float32]
    offset: NDArray[np.float32]
    temperature_slope: NDArray[np.float32] | None

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrate values (n, 3), or (n, 4) with the temperature; returns (n, 3) in g."""
        found = values[:, :3] * self.slope + self.offset
        return found if self.temperature_slope is None else found + values[:, 3:] * self.temperature_slope


UNCALIBRATED = Calibration(np.ones(3, np.float32), np.zeros(3, np.float32), None)


def filter_and_calibrate(
    file: Path, buffer: SampleBuffer, info: Mapping[str, Any], rule: NonwearRule | None = None
) -> tuple[Calibration, dict[str, Any]]:
    """Filter the samples on disk, and find their calibration and non-wear.

    Args:
        file: the file that the samples are from.
        buffer: the samples, which are overwritten by the filtered ones.
        info: facts about the recording, with the sampling rate for the filter under ``Filtered``.
        rule: when the device counts as not worn; actipy's rule by default.

    Returns:
        The calibration, and `info` with ``CalibOK``, ``CalibErrorBefore(mg)``, ``CalibErrorAfter(mg)``, ``Clipped``
        (share of the samples) and ``nonwear`` (see `find_nonwear`).

    Raises:
        DataError: when the samples of a device's file are not in g.
    """
    from actipy import processing

    if len(buffer) == 0:
        return UNCALIBRATED, dict(info)
    clipping = _filter(buffer, float(info["Filtered"]))
    rows, means, deviations = _statistics(buffer, None)
    means = means[still(deviations)]
    index = index_of(0, np.arange(len(means)))
    small = pd.DataFrame(np.repeat(means, 2, axis=0), index, columns=list(buffer.columns))
    _, fitted = processing.calibrate_gravity(small)
    calibration = UNCALIBRATED
    if "CalibxSlope" in fitted:
        slope, offset, temperature_slope = (
            np.array([fitted.get(f"Calib{axis}{name}", np.nan) for axis in AXES], np.float32)
            for name in ("Slope", "Intercept", "SlopeT")
        )
        calibration = Calibration(slope, offset, temperature_slope if TEMPERATURE in buffer.columns else None)
        _, _, deviations = _statistics(buffer, calibration)
    if not is_table(file):
        check_unit_of(file, buffer, calibration)
    nonwear = find_nonwear(int(buffer.time(0, 1)[0]), rows, deviations, rule or NonwearRule())
    errors = {name: fitted[name] for name in ("CalibErrorBefore(mg)", "CalibErrorAfter(mg)")}
    return calibration, {
        **info,
        **errors,
        "CalibOK": fitted["CalibOK"],
        "Clipped": clipping.share,
        "nonwear": nonwear,
    }


def _filter(buffer: SampleBuffer, rate_hz: float) -> Clipping:
    """Remove frequencies above 20 Hz from the samples on disk; returns how many were at the limit of the range."""
    from actipy import processing

    clipping = Clipping()
    if len(buffer) < FEWEST_SAMPLES:
        clipping.add(buffer.values(0, len(buffer)))
        return clipping
    before = buffer.values(0, 0)
    for first, last in buffer.ranges(FILTER_SAMPLES):
        core = buffer.values(first, last + MARGIN_SAMPLES)
        clipping.add(core[: last - first])
        frame = pd.DataFrame(np.concatenate([before, core]), columns=list(AXES))
        found, _ = processing.lowpass(frame, rate_hz, LOWPASS_HZ, chunksize=len(frame))
        buffer.replace(first, found.to_numpy(np.float32)[len(before) :][: last - first])
        before = core[: last - first][-MARGIN_SAMPLES:]
    return clipping


def _statistics(
    buffer: SampleBuffer, calibration: Calibration | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations of each 10 s that have samples.

    Returns:
        The 10 s, counted from the first sample on (n,); means and deviations (n, columns), NaN for one sample.
    """
    columns = buffer.columns if calibration is None else AXES
    origin, width = int(buffer.time(0, 1)[0]), STILL_S * 10**9
    parts: list[NDArray[np.int64]] = []
    totals: list[NDArray[np.float64]] = []
    for first, last in buffer.ranges(FILTER_SAMPLES):
        values = buffer.values(first, last, buffer.columns)
        values = values if calibration is None else calibration(values)
        rows, place = np.unique((buffer.time(first, last) - origin) // width, return_inverse=True)
        columns_of = values.T.astype(np.float64)
        weights = [None, *columns_of, *(column * column for column in columns_of)]
        parts.append(rows)
        totals.append(np.stack([np.bincount(place, one, len(rows)) for one in weights], axis=1))
    rows, place = np.unique(np.concatenate(parts), return_inverse=True)
    total = np.zeros((len(rows), 1 + 2 * len(columns)))
    np.add.at(total, place, np.concatenate(totals))  # two pieces may share 10 s
    counts, sums, squares = total[:, :1], total[:, 1 : 1 + len(columns)], total[:, 1 + len(columns) :]
    means = sums / counts
    with np.errstate(invalid="ignore", divide="ignore"):
        deviations = np.sqrt(np.maximum(squares - sums * means, 0) / (counts - 1))
    return rows, means, np.where(counts > 1, deviations, np.nan)


def check_unit_of(file: Path, buffer: SampleBuffer, calibration: Calibration) -> None:
    """Refuse another unit than g, and acceleration without gravity, by stretches at even distances.

    Raises:
        DataError: when the resting length of the acceleration is not near 1 g.
    """
    check_gravity(file, rest_of(buffer, calibration))


def rest_of(buffer: SampleBuffer, calibration: Calibration) -> NDArray[np.float64]:
    """Statistics of stretches at even distances (n, 2), see `rest_statistics`; there must be samples."""
    size = min(len(buffer), BLOCK_SAMPLES)
    begins = np.linspace(0, len(buffer) - size, min(UNIT_BLOCKS, len(buffer) // size)).astype(int)
    blocks = [calibration(buffer.values(first, first + size, buffer.columns)) for first in begins.tolist()]
    return rest_statistics(np.stack(blocks))
