"""Cutting a recording that comes in pieces into the windows that `cut_recording` cuts it into as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sslwear.data.windows import MAX_GAP_S, Samples

TOLERANCE_S = 1e-6
"""A window waits for samples that are later than its end by this."""


@dataclass(frozen=True)
class Windows:
    """Some windows of a recording, in order.

    Attributes:
        samples: (N, samples, 3) in g.
        start: seconds from the recording's second 0 (N,).
        worn: whether the device was worn for most of the window (N,).
    """

    samples: Samples
    start: NDArray[np.float64]
    worn: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.samples)


class Cutter:
    """Windows side by side of a recording whose samples come in pieces; memory holds a piece and a window.

    Args:
        recorded_hz: samples per second of the recording, nominally.
        rate_hz: samples per second of the windows.
        window_samples: their length.
    """

    def __init__(self, recorded_hz: float, rate_hz: float, window_samples: int) -> None:
        self._period_s, self._rate_hz, self._length = 1 / recorded_hz, rate_hz, window_samples
        self._time: NDArray[np.float64] = np.empty(0)
        self._samples: NDArray[np.float32] = np.empty((0, 3), np.float32)
        self._worn: NDArray[np.bool_] = np.empty(0, bool)
        self._origin = 0.0
        """When the stretch without gaps began that goes on."""
        self._done = 0
        """How many windows it has given."""

    def add(self, time: NDArray[np.float64], samples: NDArray[np.float32], worn: NDArray[np.bool_]) -> Windows:
        """Go on with a piece, and give the windows that are complete.

        Args:
            time: seconds of each sample (n,), later than all before.
            samples: (n, 3) in g, finite.
            worn: whether the device was worn, at each sample (n,).
        """
        if len(time) == 0:
            return self._joined([])
        if len(self._time) == 0:
            self._origin = time[0]
        time = np.concatenate([self._time, time])
        samples, worn = np.concatenate([self._samples, samples]), np.concatenate([self._worn, worn])
        edges = [0, *(np.flatnonzero(np.diff(time) > MAX_GAP_S) + 1), len(time)]
        parts = []
        for first, last in pairwise(edges):
            self._time, self._samples, self._worn = time[first:last], samples[first:last], worn[first:last]
            if first > 0:
                self._origin, self._done = time[first], 0
            if last < len(time):
                parts.append(self._cut(self._whole()))
        parts.append(self._cut(int((self._time[-1] - TOLERANCE_S - self._origin) * self._rate_hz) // self._length))
        self._forget()
        return self._joined(parts)

    def finish(self) -> Windows:
        """Give the windows of what is left at the end of the recording."""
        left = self._joined([self._cut(self._whole())] if len(self._time) else [])
        self._time, self._samples, self._worn = self._time[:0], self._samples[:0], self._worn[:0]
        self._done = 0
        return left

    def _whole(self) -> int:
        """How many windows the stretch gives when it ends with the last sample that came."""
        return max(1, int((self._time[-1] - self._origin + self._period_s) * self._rate_hz + 1e-6)) // self._length

    def _cut(self, until: int) -> Windows:
        """The stretch's next windows, until it has given so many."""
        count = max(0, until - self._done)
        grid = np.arange(self._done * self._length, (self._done + count) * self._length)
        then = self._origin + grid / self._rate_hz
        even = [np.interp(then, self._time, axis) for axis in self._samples.T] if count else [then] * 3
        before = np.searchsorted(self._time, then + 1e-9, side="right") - 1
        worn = self._worn[before].reshape(count, self._length).sum(axis=1) * 2 > self._length
        start = self._origin + grid[:: self._length] / self._rate_hz
        self._done += count
        return Windows(np.stack(even, axis=1).astype(np.float32).reshape(count, self._length, 3), start, worn)

    def _forget(self) -> None:
        """Drop the samples before the next window."""
        begin = self._origin + self._done * self._length / self._rate_hz
        first = max(0, int(np.searchsorted(self._time, begin, side="right")) - 2)
        self._time, self._samples = self._time[first:].copy(), self._samples[first:].copy()
        self._worn = self._worn[first:].copy()

    def _joined(self, parts: list[Windows]) -> Windows:
        empty = Windows(np.empty((0, self._length, 3), np.float32), np.empty(0), np.empty(0, bool))
        parts = [part for part in parts if len(part)] or [empty]
        return Windows(
            np.concatenate([part.samples for part in parts]),
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.worn for part in parts]),
        )
