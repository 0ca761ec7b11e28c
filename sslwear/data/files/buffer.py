"""Buffer of a recording's samples in temporary files, so that memory does not grow with the recording."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.time_axis import TimeAxis, TimeAxisReader

TIME = "time"
AXES = ("x", "y", "z")
TEMPERATURE = "temperature"
NO_TIME = np.iinfo(np.int64).min
"""Nanoseconds where there is no time, as in numpy."""
COPIED_SAMPLES = 1_000_000


class SampleBuffer:
    """Samples on disk: a column of times in nanoseconds since 1970 (int64), and columns of float32 values.

    The files have no name: the system removes them when they are closed, also when the process is killed. Samples are
    in the order in which they were recorded until `arrange` leaves those that can be used, in order of time.

    Args:
        folder: folder on the disk to write to; a sample takes 20 bytes, with temperature 24.
        columns: names of the values: `AXES`, and `TEMPERATURE` where the device measures it.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...] = AXES) -> None:
        self.columns = columns
        self._folder = folder
        self._files = {name: tempfile.TemporaryFile(dir=folder) for name in (TIME, *columns)}  # noqa: SIM115
        self._count = 0
        self._reader = TimeAxisReader()

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Close and remove the files."""
        for file in self._files.values():
            file.close()

    def append(self, time: NDArray[np.int64], values: Mapping[str, NDArray[np.float32]]) -> None:
        """Add samples at the end: times (n,) in nanoseconds or NO_TIME, and a column (n,) of each value.

        Raises:
            DataError: see `TimeAxisReader.add`.
        """
        axes = np.stack([values[name] for name in AXES])
        known = (time != NO_TIME) & np.isfinite(axes).all(axis=0)
        keep = self._reader.add(time, known, (axes == 0).all(axis=0))
        kept: dict[str, NDArray[Any]] = {TIME: time, **values}
        if not keep.all():
            kept = {name: column[keep] for name, column in kept.items()}
        for name, file in self._files.items():
            file.seek(0, os.SEEK_END)
            file.write(np.ascontiguousarray(kept[name]).tobytes())
        self._count += len(kept[TIME])

    def arrange(self) -> TimeAxis:
        """Leave the samples that can be used, in order of time; returns what `TimeAxisReader.finish` does."""
        axis = self._reader.finish(self.time, np.datetime64(0, "ns"))
        if axis.used < self._count or axis.ranges != sorted(axis.ranges):
            for name, file in self._files.items():
                dtype = np.dtype(np.int64 if name == TIME else np.float32)
                arranged = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
                for begin, end in axis.ranges:
                    for first in range(begin, end, COPIED_SAMPLES):
                        arranged.write(self._read(name, dtype, first, min(first + COPIED_SAMPLES, end)).tobytes())
                self._files[name] = arranged
                file.close()
            self._count = axis.used
        return axis

    def time(self, first: int, last: int) -> NDArray[np.int64]:
        """Times of the samples from `first` to before `last`, in nanoseconds since 1970."""
        return self._read(TIME, np.dtype(np.int64), first, last)

    def values(self, first: int, last: int, columns: tuple[str, ...] = AXES) -> NDArray[np.float32]:
        """Values of the samples from `first` to before `last`, (last - first, columns)."""
        found = np.empty((max(0, min(last, self._count) - first), len(columns)), np.float32)
        for i, name in enumerate(columns):
            found[:, i] = self._read(name, np.dtype(np.float32), first, last)
        return found

    def replace(self, first: int, values: NDArray[np.float32]) -> None:
        """Overwrite the axes of the samples from `first` on with `values` (n, 3)."""
        for name, column in zip(AXES, values.T, strict=True):
            file = self._files[name]
            file.seek(first * values.itemsize)
            file.write(np.ascontiguousarray(column).tobytes())

    def ranges(self, size: int) -> Iterator[tuple[int, int]]:
        """Ranges (first, last), the last excluded, of at most `size` samples each."""
        for first in range(0, self._count, size):
            yield first, min(first + size, self._count)

    def _read(self, name: str, dtype: np.dtype[Any], first: int, last: int) -> NDArray[Any]:
        file, count = self._files[name], max(0, min(last, self._count) - first)
        file.seek(first * dtype.itemsize)
        return np.frombuffer(file.read(count * dtype.itemsize), dtype)
