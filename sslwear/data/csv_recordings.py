"""CSV recordings: files with the columns time, x, y, z, read in pieces into a buffer on disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from sslwear.data.buffer import AXES, TIME, SampleBuffer
from sslwear.data.calibration import UNCALIBRATED, check_unit_of
from sslwear.data.checks import check_range
from sslwear.data.unpacking import open_gzip

PIECE_SAMPLES = 250_000
COLUMNS = (TIME, *AXES)


def read_csv_recording(file: Path, folder: Path) -> tuple[SampleBuffer, dict[str, Any]]:
    """Read a CSV recording into a buffer.

    Args:
        file: ``.csv`` or ``.csv.gz``, with the acceleration in g.
        folder: where the buffer is.

    Returns:
        The samples in the order of the lines, and facts about them as actipy gives them, without the rate.

    Raises:
        ValueError: when the columns are not as they must be.
        DataError: when the samples are not in g, no accelerometer measures them, or their times are not in order.
    """
    table, buffer = CsvTable(file), SampleBuffer(folder)
    try:
        for piece in table.pieces(PIECE_SAMPLES):
            time = piece[TIME].to_numpy("datetime64[ns]").view(np.int64)
            buffer.append(time, {name: piece[name].to_numpy(np.float32) for name in AXES})
        if len(buffer):
            check_unit_of(file, buffer, UNCALIBRATED)
        for i, j in buffer.ranges(PIECE_SAMPLES):
            check_range(file, buffer.values(i, j), i)  # the filter would spread such a sample
    except BaseException:
        buffer.close()
        raise
    return buffer, {"Device": "CSV", "Unfinished": table.unfinished}


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

    def pieces(self, size: int) -> Iterator[pd.DataFrame]:
        """Read `size` lines at a time.

        Raises:
            ValueError: when a column is missing, repeated, or holds other values.
        """
        with _open(self._file) as content:
            watched = _LastByte(content)
            text = io.BufferedReader(watched)
            first = text.peek().split(b"\n")[0].decode("utf-8-sig", errors="replace").strip()
            header = [name.strip(' "') for name in first.split(",")]
            if missing := [name for name in COLUMNS if name not in header]:
                raise ValueError(f"it has no column {', '.join(missing)}; its first line is {first[:100]!r}")
            if repeated := [name for name in COLUMNS if header.count(name) > 1]:
                raise ValueError(f"it has the column {repeated[0]} more than once")
            table = pd.read_csv(
                text,
                usecols=list(COLUMNS),
                skipinitialspace=True,
                dtype=dict.fromkeys(AXES, np.float32),
                parse_dates=[TIME],
                date_format="ISO8601",
                chunksize=size,
            )
            held: pd.DataFrame | None = None
            for piece in table:
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
        return open_gzip(file, str(file))
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
