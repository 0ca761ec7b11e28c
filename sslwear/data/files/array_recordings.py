"""NumPy and Parquet recordings: their columns of times and accelerations, read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.arrays import release
from sslwear.data.files.buffer import AXES, TIME
from sslwear.data.files.recording_format import BY_PLACE, OTHER_COLUMNS, RecordingFormat, TableError


class _Table:
    """The columns of time, x, y and z of a file that cannot be opened if it was cut short.

    Args:
        file: the file.
        given: names of the columns.

    Attributes:
        unfinished: always false.
        note: empty.
    """

    unfinished = False
    note = ""

    def __init__(self, file: Path, given: RecordingFormat) -> None:
        self._file, self._given = file, given


class NumpyTable(_Table):
    """A ``.npy`` file: (n, 4) or (n, 3) numbers in the order of the names, or records with names.

    It is mapped into memory, and never unpickled.
    """

    def pieces(self, size: int) -> Iterator[pd.DataFrame]:
        """Read `size` samples at a time.

        Raises:
            ValueError: when the array has another shape or type, or lacks a column.
        """
        array = np.load(self._file, mmap_mode="r", allow_pickle=False)
        columns = self._columns(array)
        for first in range(0, len(array), size):
            rows = np.asarray(array[first : first + size])
            yield pd.DataFrame(
                {name: _native(rows[key] if rows.dtype.names else rows[:, key]) for name, key in columns}
            )
            release(array)

    def _columns(self, array: NDArray[Any]) -> list[tuple[str, Any]]:
        """Names of the columns, and where they are in the array."""
        given = self._given.columns
        read_as = (TIME, *AXES) if self._given.timed else AXES
        if array.dtype.names:
            if array.ndim != 1:
                raise ValueError(f"it has records of shape {array.shape}, not one record for each sample")
            if missing := [name for name in given if name not in array.dtype.names]:
                what = f"it has no column {', '.join(missing)}, but {', '.join(array.dtype.names)}"
                raise TableError(what, OTHER_COLUMNS)
            return list(zip(read_as, given, strict=True))
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise ValueError(f"it has {array.dtype} of shape {array.shape}, not a table of numbers")
        if all(name.isdecimal() and 0 < int(name) <= array.shape[1] for name in given):
            return list(zip(read_as, (int(name) - 1 for name in given), strict=True))
        if array.shape[1] == len(given):
            return list(zip(read_as, range(len(given)), strict=True))
        raise TableError(
            f"it has {array.shape[1]} columns, not {len(given)} ({', '.join(given)})",
            BY_PLACE if array.shape[1] > len(given) else OTHER_COLUMNS,
        )


class ParquetTable(_Table):
    """A ``.parquet`` file."""

    def pieces(self, size: int) -> Iterator[pd.DataFrame]:
        """Read at most `size` samples at a time.

        Raises:
            ValueError: when a column is missing.
        """
        from pyarrow import parquet

        given = list(self._given.columns)
        names = dict(zip(given, (TIME, *AXES) if self._given.timed else AXES, strict=True))
        with parquet.ParquetFile(self._file) as table:
            if missing := [name for name in given if name not in table.schema_arrow.names]:
                what = f"it has no column {', '.join(missing)}, but {', '.join(table.schema_arrow.names)[:100]}"
                raise TableError(what, OTHER_COLUMNS)
            for batch in table.iter_batches(batch_size=size, columns=given, use_threads=False):
                yield batch.to_pandas(date_as_object=False, ignore_metadata=True)[given].rename(columns=names)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Values in the byte order of this machine, which pandas needs."""
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
