"""CSV recordings: files with the columns time, x, y, z, read in pieces into a buffer on disk."""

from __future__ import annotations

import csv
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
ZONE = r":\d\d[\d.]*\s*(?:Z|[+-]\d\d:?(?:\d\d)?)$"
"""A time of day with a time zone."""


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
            names = _names(text.peek())
            held: pd.DataFrame | None = None
            for piece in self._read(text, names, size):
                if held is not None:
                    yield self._checked(held)
                held = piece
            self.unfinished = watched.last != b"\n"
            if held is not None:  # the last number of a line without an end may be incomplete
                yield self._checked(held.iloc[:-1] if self.unfinished else held)

    def _read(self, text: IO[bytes], names: list[str], size: int) -> Iterator[pd.DataFrame]:
        table = pd.read_csv(
            text,
            names=names,
            header=0,
            usecols=list(COLUMNS),
            skipinitialspace=True,
            dtype=dict.fromkeys(AXES, np.float32),
            parse_dates=[TIME],
            date_format="ISO8601",
            chunksize=size,
        )
        try:
            yield from table
        except pd.errors.ParserError as error:
            raise ValueError(str(error).removeprefix("Error tokenizing data. C error: ")) from error
        except ValueError as error:  # it names neither column nor line
            raise ValueError(self._not_a_number(names) or error) from error

    def _not_a_number(self, names: list[str]) -> str | None:
        """Column, content and number of the first sample that has a text in place of a number."""
        with _open(self._file) as content:
            for piece in pd.read_csv(
                content, names=names, header=0, usecols=list(AXES), dtype=str, chunksize=PIECE_SAMPLES
            ):
                for name in AXES:
                    wrong = piece[name].notna() & pd.to_numeric(piece[name], errors="coerce").isna()
                    if wrong.any():
                        place = int(wrong.to_numpy().argmax())
                        return f"the column {name} has {piece[name].iloc[place]!r} in sample {piece.index[place] + 1}"
        return None

    @staticmethod
    def _checked(data: pd.DataFrame) -> pd.DataFrame:
        if len(data) and not pd.api.types.is_datetime64_dtype(data[TIME]):
            raise ValueError(f"the column time has {_not_a_time(data[TIME])!r}, not a date and time without time zone")
        try:
            return data.assign(**{TIME: data[TIME].dt.as_unit("ns")}) if len(data) else data
        except pd.errors.OutOfBoundsDatetime as error:
            raise ValueError("the column time has years before 1678 or after 2261") from error


def _not_a_time(time: pd.Series[Any]) -> str:
    """The first value that is not a date and time, or that has a time zone."""
    text = time.dropna().astype(str)
    unread = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True).isna()
    wrong = text[unread | text.str.contains(ZONE)]
    return str((wrong if len(wrong) else text).iloc[0])


def _names(beginning: bytes) -> list[str]:
    """Names of the columns; those that are not of `COLUMNS` are replaced by numbers.

    Args:
        beginning: the first lines of the file.

    Raises:
        ValueError: when they are not text, a column is missing or repeated, or a line has more values than columns.
    """
    first, *lines = beginning.decode("utf-8-sig", errors="replace").split("\n")
    first = first.strip()
    if "\0" in first or "\ufffd" in first:
        raise ValueError("it is not text in UTF-8")
    header = [name.strip(' "') for name in next(csv.reader([first], skipinitialspace=True), [])]
    if missing := [name for name in COLUMNS if name not in header]:
        raise ValueError(f"it has no column {', '.join(missing)}; its first line is {first[:100]!r}")
    if repeated := [name for name in COLUMNS if header.count(name) > 1]:
        raise ValueError(f"it has the column {repeated[0]} more than once")
    for number, values in enumerate(csv.reader(lines[:-1]), 2):  # pandas would take the first values
        if any(map(str.strip, values[len(header) :])):
            raise ValueError(f"line {number} has more values than the first line has columns, as with decimal commas")
    return [name if name in COLUMNS else str(i) for i, name in enumerate(header)]


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
