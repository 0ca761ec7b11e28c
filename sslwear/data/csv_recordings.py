"""CSV recordings: files with the columns time, x, y, z, read in pieces into a buffer on disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from isal import igzip
from numpy.typing import NDArray

from sslwear.data.buffer import AXES, TIME, SampleBuffer
from sslwear.data.calibration import UNCALIBRATED, check_unit_of
from sslwear.data.checks import check_range
from sslwear.data.device_checks import check_span

PIECE_SAMPLES = 250_000
COLUMNS = (TIME, *AXES)
STEP_BITS = 20


def read_csv_recording(file: Path, folder: Path) -> tuple[SampleBuffer, dict[str, Any]]:
    """Read a CSV recording into a buffer.

    Lost samples, and those without a time, are left out. A file that is not in order of time is sorted, for which its
    samples are in memory once; of samples with the same time the first is kept.

    Args:
        file: ``.csv`` or ``.csv.gz``, with the acceleration in g.
        folder: where the buffer is.

    Returns:
        The samples, and facts about them as actipy gives them; none when there are no samples.

    Raises:
        ValueError: when the columns are not as they must be.
        DataError: when the samples are not in g, no accelerometer measures them, or they span more than a year.
    """
    table, buffer = CsvTable(file), SampleBuffer(folder)
    try:
        for piece in table.pieces(PIECE_SAMPLES):
            _append(buffer, piece)
        if buffer.backwards is not None:
            buffer.close()
            buffer = SampleBuffer(folder)
            (whole,) = table.pieces()
            _append(buffer, whole.sort_values(TIME, kind="stable"))
        if len(buffer) == 0:
            return buffer, {}
        first, last = (pd.Timestamp(int(buffer.time(i, i + 1)[0])) for i in (0, len(buffer) - 1))
        check_span(file, first, last)
        check_unit_of(file, buffer, UNCALIBRATED)
        for i, j in buffer.ranges(PIECE_SAMPLES):
            check_range(file, buffer.values(i, j), i)  # the filter would spread such a sample
        rate_hz = 1e9 / median_step(buffer) if len(buffer) > 1 else 1.0
    except BaseException:
        buffer.close()
        raise
    info = {"Device": "CSV", "SampleRate": round(rate_hz, 3), "Filtered": rate_hz, "Unfinished": table.unfinished}
    return buffer, info


def _append(buffer: SampleBuffer, table: pd.DataFrame) -> None:
    """Add the rows that have a time and finite values."""
    kept = table[table[TIME].notna().to_numpy() & np.isfinite(table[list(AXES)].to_numpy()).all(axis=1)]
    time = kept[TIME].to_numpy("datetime64[ns]").view(np.int64)
    buffer.append(time, {name: kept[name].to_numpy(np.float32) for name in AXES})


class CsvTable:
    """The columns time, x, y, z of a CSV file, in the order of its lines.

    Args:
        file: ``.csv`` or ``.csv.gz``.

    Attributes:
        unfinished: after reading, whether the last line has no line end, and was left out.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.unfinished = False

    def pieces(self, size: int | None = None) -> Iterator[pd.DataFrame]:
        """Read `size` lines at a time, or all lines at once.

        Raises:
            ValueError: when a column is missing, repeated, or holds other values.
        """
        with _open(self._file) as content:
            watched = _LastByte(content)
            text = io.BufferedReader(watched)
            header = [name.strip(' "\r') for name in text.peek().split(b"\n")[0].decode(errors="replace").split(",")]
            if repeated := [name for name in COLUMNS if header.count(name) > 1]:
                raise ValueError(f"it has the column {repeated[0]} more than once")
            table = pd.read_csv(
                text,
                usecols=list(COLUMNS),
                dtype=dict.fromkeys(AXES, np.float32),
                parse_dates=[TIME],
                date_format="ISO8601",
                chunksize=size,
            )
            held: pd.DataFrame | None = None
            for piece in [table] if isinstance(table, pd.DataFrame) else table:
                if held is not None:
                    yield self._checked(held)
                held = piece
            self.unfinished = watched.last != b"\n"
            if held is not None:  # the last number of a line without an end may be incomplete
                yield self._checked(held.iloc[:-1] if self.unfinished else held)

    @staticmethod
    def _checked(data: pd.DataFrame) -> pd.DataFrame:
        if len(data) and not pd.api.types.is_datetime64_dtype(data[TIME]):
            raise ValueError("the column time does not hold dates and times without time zone")
        return data


def _open(file: Path) -> IO[bytes]:
    if file.name.lower().endswith(".gz"):
        return igzip.open(file)  # type: ignore[no-untyped-call, no-any-return]
    return file.open("rb")


class _LastByte(io.RawIOBase):
    """A file that keeps the last byte that was read from it."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.last = b""

    def readable(self) -> bool:
        """Whether it can be read, which is always so."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, and return the number of bytes."""
        piece = self._content.read(len(buffer))
        buffer[: len(piece)] = piece
        self.last = piece[-1:] or self.last
        return len(piece)


def median_step(buffer: SampleBuffer) -> float:
    """The median of the nanoseconds between samples.

    It is counted in bounded memory: first roughly, then exactly near the median. Steps of more than a minute count as a
    minute, because no device records so slowly.
    """
    count = len(buffer) - 1
    ranks = ((count - 1) // 2, count // 2)
    coarse = np.zeros(2 ** (36 - STEP_BITS), np.int64)
    for steps in _steps(buffer):
        coarse += np.bincount(np.minimum(steps >> STEP_BITS, len(coarse) - 1), minlength=len(coarse))
    until = np.cumsum(coarse)
    found = []
    for rank in ranks:
        near = int(np.searchsorted(until, rank, side="right"))
        fine = np.zeros(2**STEP_BITS, np.int64)
        for steps in _steps(buffer):
            inside = steps[np.minimum(steps >> STEP_BITS, len(coarse) - 1) == near] & (2**STEP_BITS - 1)
            fine += np.bincount(inside, minlength=len(fine))
        before = int(until[near] - coarse[near])
        found.append((near << STEP_BITS) + int(np.searchsorted(np.cumsum(fine), rank - before, side="right")))
    return sum(found) / 2


def _steps(buffer: SampleBuffer) -> Iterator[NDArray[np.int64]]:
    for first, last in buffer.ranges(PIECE_SAMPLES):
        yield np.diff(buffer.time(max(0, first - 1), last))
