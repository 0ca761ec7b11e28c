"""Buffer of a recording's samples in temporary files, so that memory does not grow with the recording."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TIME = "time"
AXES = ("x", "y", "z")
TEMPERATURE = "temperature"


class SampleBuffer:
    """Samples on disk: a column of times in nanoseconds since 1970 (int64), and columns of float32 values.

    The files have no name: the system removes them when they are closed, also when the process is killed. Samples that
    are not finite, and samples that are not later than all samples before them, are left out.

    Args:
        folder: folder on the disk to write to; a sample takes 20 bytes, with temperature 24.
        columns: names of the values: `AXES`, and `TEMPERATURE` where the device measures it.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...] = AXES) -> None:
        self.columns = columns
        self._files = {name: tempfile.TemporaryFile(dir=folder) for name in (TIME, *columns)}  # noqa: SIM115
        self._count = 0
        self._last: int | None = None
        self._previous: int | None = None
        self.backwards: int | None = None
        """Number of samples before the first one that is earlier than its predecessor; None without such a sample."""
        self.unordered = 0
        """Number of samples that are not later than their predecessor."""

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Close and remove the files."""
        for file in self._files.values():
            file.close()

    def append(self, time: NDArray[np.int64], values: Mapping[str, NDArray[np.float32]]) -> None:
        """Add samples at the end: times (n,) in nanoseconds, and a column (n,) of each value."""
        if len(time) == 0:
            return
        before = np.concatenate([time[:1] - 1 if self._previous is None else [self._previous], time[:-1]])
        self.unordered += int((time <= before).sum())
        if self.backwards is None and (back := time < before).any():
            self.backwards = self._count + int(back.argmax())
        self._previous = int(time[-1])
        latest = np.maximum.accumulate(before if self._last is None else np.maximum(before, self._last))
        keep = (time > latest) & np.isfinite([values[name] for name in AXES]).all(axis=0)
        self._last = max(int(latest[-1]), int(time[-1]))
        kept: dict[str, NDArray[Any]] = {TIME: time, **values}
        if not keep.all():
            kept = {name: column[keep] for name, column in kept.items()}
        for name, file in self._files.items():
            file.seek(0, os.SEEK_END)
            file.write(np.ascontiguousarray(kept[name]).tobytes())
        self._count += len(kept[TIME])

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
