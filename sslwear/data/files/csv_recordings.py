"""CSV recordings: their columns of times and accelerations, read in pieces."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from sslwear.data.files.buffer import AXES, TIME
from sslwear.data.files.csv_dialect import Dialect, find_dialect
from sslwear.data.files.recording_format import RecordingFormat
from sslwear.data.unpacking import open_gzip

PIECE_SAMPLES = 250_000


class CsvTable:
    """The columns of time, x, y and z of a CSV file, in the order of its lines.

    Args:
        file: ``.csv`` or ``.csv.gz``.
        given: names of the columns.

    Attributes:
        unfinished: after reading, whether the last line has no line end, and was left out.
        note: after the first piece, what is unusual about the file, in words.
    """

    def __init__(self, file: Path, given: RecordingFormat) -> None:
        self._file = file
        self._given = given
        self._read_as = (TIME, *AXES) if given.timed else AXES
        self.unfinished = False
        self.note = ""

    def pieces(self, size: int) -> Iterator[pd.DataFrame]:
        """Read `size` lines at a time: ``x``, ``y`` and ``z`` as numbers, and ``time`` as it is written.

        Raises:
            ValueError: when a column is missing, repeated, or holds other values.
        """
        with _open(self._file) as content:
            watched = _LastByte(content)
            text = io.BufferedReader(watched)
            dialect = find_dialect(text.peek(), self._given.columns, self._read_as)
            self.note = dialect.note
            held: pd.DataFrame | None = None
            for piece in self._read(text, dialect, size):
                if held is not None:
                    yield held
                held = piece
            self.unfinished = watched.last != b"\n"
            if held is not None:  # the last number of a line without an end may be incomplete
                yield held.iloc[:-1] if self.unfinished else held

    def _read(self, text: IO[bytes], dialect: Dialect, size: int) -> Iterator[pd.DataFrame]:
        # numbers since 1970 have the decimal comma too, and dates, unless their form names it
        commas = dialect.decimal == "," and self._given.timed and "," not in (self._given.time_format or "")
        table = pd.read_csv(
            text,
            sep=dialect.separator,
            decimal=dialect.decimal,
            names=list(dialect.names),
            header=0 if dialect.header else None,
            usecols=list(self._read_as),
            skipinitialspace=True,
            dtype={**dict.fromkeys(AXES, np.float32), **({TIME: str} if self._given.timed else {})},
            encoding="utf-8-sig",
            chunksize=size,
        )
        try:
            for piece in table:
                if commas:
                    piece[TIME] = piece[TIME].str.replace(",", ".", regex=False)
                yield piece
        except pd.errors.ParserError as error:
            raise ValueError(str(error).removeprefix("Error tokenizing data. C error: ")) from error
        except ValueError as error:  # it names neither column nor line
            raise ValueError(self._not_a_number(dialect) or error) from error

    def _not_a_number(self, dialect: Dialect) -> str | None:
        """Column, content and number of the first sample that has a text in place of a number."""
        with _open(self._file) as content:
            for piece in pd.read_csv(
                content,
                sep=dialect.separator,
                names=list(dialect.names),
                header=0 if dialect.header else None,
                usecols=list(AXES),
                dtype=str,
                chunksize=PIECE_SAMPLES,
            ):
                for name in AXES:
                    plain = piece[name].str.replace(dialect.decimal, ".", regex=False)
                    wrong = piece[name].notna() & pd.to_numeric(plain, errors="coerce").isna()
                    if wrong.any():
                        place = int(wrong.to_numpy().argmax())
                        return f"the column {name} has {piece[name].iloc[place]!r} in sample {piece.index[place] + 1}"
        return None


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
