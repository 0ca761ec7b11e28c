"""Recordings in tables, CSV, NumPy and Parquet, read in pieces into a buffer on disk; they need no Java."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sslwear.data.checks import check_range
from sslwear.data.files.array_recordings import NumpyTable, ParquetTable
from sslwear.data.files.buffer import AXES, TIME, SampleBuffer
from sslwear.data.files.calibration import UNCALIBRATED, check_unit_of, rest_of
from sslwear.data.files.csv_recordings import PIECE_SAMPLES, CsvTable
from sslwear.data.files.device_checks import CSV_ENDINGS
from sslwear.data.files.recording_format import UNITS, Reading
from sslwear.data.files.table_times import TableTimes
from sslwear.data.gravity import gravity_problem, unit_of
from sslwear.errors import DataError


def read_table_recording(
    file: Path, folder: Path, reading: Reading | None = None
) -> tuple[SampleBuffer, dict[str, Any]]:
    """Read a CSV, NumPy or Parquet recording into a buffer.

    Args:
        file: ``.csv``, ``.csv.gz``, ``.npy`` or ``.parquet``.
        folder: where the buffer is.
        reading: how it is read; by default columns time, x, y, z, with the device's dates and times, in g.

    Returns:
        The samples in g in the order of the lines, and facts about them as actipy gives them, without the rate, and
        ``Absolute``, whether the times are in UTC.

    Raises:
        ValueError: when the columns are not as they must be.
        DataError: when the samples are not in g, no accelerometer measures them, or their times are not in order.
    """
    reading = reading or Reading()
    name = file.name.lower()
    kind, table = "CSV", CsvTable(file, reading.format)
    if not name.endswith(CSV_ENDINGS):
        kind = "NumPy" if name.endswith(".npy") else "Parquet"
        table = (NumpyTable if kind == "NumPy" else ParquetTable)(file, reading.format)  # type: ignore[assignment]
    times, buffer = TableTimes(reading), SampleBuffer(folder)
    unit = reading.format.unit
    try:
        for piece in table.pieces(PIECE_SAMPLES):
            time = times(piece[TIME]) if reading.format.timed else times.count(len(piece))
            buffer.append(time, {axis: _values(piece, axis, UNITS[unit or "g"]) for axis in AXES})
        found = unit
        if len(buffer):
            found = unit or _convert(buffer)
            _check_given(file, buffer, found)
            check_unit_of(file, buffer, UNCALIBRATED)
        for i, j in buffer.ranges(PIECE_SAMPLES):
            check_range(file, buffer.values(i, j), i)  # the filter would spread such a sample
    except BaseException:
        buffer.close()
        raise
    notes = [table.note, times.note, f"in {found}" if found not in (None, "g") else ""]
    info = {"Device": kind, "Unfinished": table.unfinished, "Absolute": times.absolute, "Format": notes}
    if reading.format.rate_hz is not None:
        info["SampleRate"] = reading.format.rate_hz
    return buffer, info


def _values(piece: pd.DataFrame, axis: str, scale: float) -> Any:
    """Accelerations of an axis in g."""
    if not pd.api.types.is_numeric_dtype(piece[axis]) or pd.api.types.is_bool_dtype(piece[axis]):
        raise ValueError(f"the column {axis} has {piece[axis].dropna().iloc[:1].tolist()!r}, which is not a number")
    values = piece[axis].to_numpy(np.float32, na_value=np.nan)
    return values if scale == 1 else values / np.float32(scale)


def _check_given(file: Path, buffer: SampleBuffer, unit: str) -> None:
    """Refuse a unit where gravity says that the samples are in another one of `UNITS`."""
    rest = rest_of(buffer, UNCALIBRATED)
    probable = unit_of(rest * UNITS[unit])
    if probable != unit and gravity_problem(rest) is not None:
        raise DataError(
            f"{file} is not in {unit}: by the length of its acceleration at rest it is in {probable}. "
            f"Give --units {probable}",
            reason="not in g",
        )


def _convert(buffer: SampleBuffer) -> str:
    """Find the unit of the samples by gravity, and convert them to g; returns the unit."""
    unit = unit_of(rest_of(buffer, UNCALIBRATED))
    if unit != "g":
        for first, last in buffer.ranges(PIECE_SAMPLES):
            buffer.replace(first, buffer.values(first, last) / np.float32(UNITS[unit]))
    return unit
