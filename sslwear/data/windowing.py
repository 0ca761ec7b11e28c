"""Cutting recordings into windows: gaps, resampling, labels, wear and clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.recording import NO_LABEL, Recording
from sslwear.data.time_axis import MAX_GAP_S, SECOND, TimeAxis, TimeAxisReader
from sslwear.errors import DataError

CHUNK_WINDOWS = 512
TOLERANCE_S = 1e-6
"""A window is complete when there are samples later than its end by this."""


@dataclass(frozen=True)
class Windows:
    """Windows of one recording, in order of time.

    Attributes:
        samples: (N, samples, 3) in g.
        start: seconds from the recording's second 0 (N,).
        labels: indices of the recording's label names, or NO_LABEL (N,).
        worn: whether the device was worn for more than half of the window (N,).
        clipped: whether a sample is at the limit of the device's range (N,).
    """

    samples: NDArray[np.float32]
    start: NDArray[np.float64]
    labels: NDArray[np.int64]
    worn: NDArray[np.bool_]
    clipped: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.samples)


def concatenate(parts: Sequence[Windows]) -> Windows:
    """Join windows; there must be at least one part, which may be empty."""
    parts = [part for part in parts if len(part)] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    return Windows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Windows)))


class Windower:
    """Windows of a recording whose samples arrive in pieces; memory holds one piece and one window.

    Where samples are more than MAX_GAP_S apart, the recording is in two stretches, each of which is cut on its own: it
    is sampled evenly by linear interpolation, from its first sample on, and an incomplete last window is dropped. The
    last sample is held for its duration, so that 10 s of samples are 10 s at any rate, also when their times are
    rounded. The label of a window is the one that most of its samples have, where no label counts as one too; in a tie
    it is the label with the lowest index.

    Args:
        recorded_hz: samples per second of the recording.
        rate_hz: samples per second of the windows.
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.
        label_count: number of different labels.
        limit_g: limit of the device's range in g, for clipped windows; None where it is unknown.
        resolution_s: seconds to which times are rounded; 0 for exact times.

    Raises:
        DataError: when a window or a step is shorter than one sample.
    """

    def __init__(
        self,
        recorded_hz: float,
        rate_hz: float,
        window_s: float,
        step_s: float,
        label_count: int = 0,
        limit_g: float | None = None,
        resolution_s: float = 0,
    ) -> None:
        self._length, self._step = round(window_s * rate_hz), round(step_s * rate_hz)
        if self._length < 1 or self._step < 1:
            raise DataError(
                f"a window of {window_s} s with a step of {step_s} s is shorter than one sample at {rate_hz} Hz; "
                "choose longer ones"
            )
        self._rate_hz, self._window_s = rate_hz, window_s
        self._last_s = 1 / recorded_hz + min(resolution_s, 0.5 / recorded_hz)  # duration of the last sample, at most
        self._label_count, self._limit_g = label_count, limit_g
        self._time: NDArray[np.float64] = np.empty(0)
        self._samples: NDArray[np.floating] = np.empty((0, 3), np.float32)
        self._worn: NDArray[np.bool_] = np.empty(0, bool)
        self._codes: NDArray[np.integer] = np.empty(0, np.int16)
        self._origin = 0.0  # seconds of the first sample of the current stretch
        self._done = 0  # windows cut from the current stretch

    def add(
        self,
        time: NDArray[np.float64],
        samples: NDArray[np.floating],
        worn: NDArray[np.bool_] | None = None,
        codes: NDArray[np.integer] | None = None,
    ) -> Windows:
        """Add a piece of the recording, and return the windows that it completes.

        Args:
            time: seconds of each sample (n,), increasing, and later than those of the pieces before.
            samples: (n, 3) in g, finite.
            worn: whether the device was worn, at each sample (n,); None for always.
            codes: index of each sample's label, or NO_LABEL (n,); None for a recording without labels.
        """
        if len(time) == 0:
            return self._cut(0)
        if len(self._time) == 0:
            self._origin = time[0]
        time = _append(self._time, time)
        samples = _append(self._samples, samples)
        worn = _append(self._worn, np.ones(len(time) - len(self._worn), bool) if worn is None else worn)
        codes = _append(
            self._codes, np.full(len(time) - len(self._codes), NO_LABEL, np.int16) if codes is None else codes
        )
        edges = [0, *(np.flatnonzero(np.diff(time) > MAX_GAP_S) + 1), len(time)]
        parts = []
        for first, last in pairwise(edges):
            self._time, self._samples = time[first:last], samples[first:last]
            self._worn, self._codes = worn[first:last], codes[first:last]
            if first > 0:
                self._origin, self._done = time[first], 0
            if last < len(time):
                parts.append(self._cut(self._all_points()))
        parts.append(self._cut(int((self._time[-1] - TOLERANCE_S - self._origin) * self._rate_hz)))
        self._drop_used_samples()
        return concatenate(parts)

    def finish(self) -> Windows:
        """Return the windows that the end of the recording completes."""
        return self._cut(self._all_points() if len(self._time) else 0)

    def _all_points(self) -> int:
        """Number of even samples of the current stretch, when it ends with the last sample added."""
        return max(1, int((self._time[-1] - self._origin + self._last_s) * self._rate_hz + 1e-6))

    def _cut(self, points: int) -> Windows:
        """The next windows of the current stretch within its first `points` even samples."""
        count = max(0, (points - self._length) // self._step + 1 - self._done)
        first = self._done * self._step
        if count == 0:
            return Windows(
                np.empty((0, self._length, 3), np.float32),
                np.empty(0),
                np.empty(0, np.int64),
                np.empty(0, bool),
                np.empty(0, bool),
            )
        grid = self._origin + np.arange(first, first + (count - 1) * self._step + self._length) / self._rate_hz
        even = np.empty((len(grid), 3), np.float32)
        for i, axis in enumerate(self._samples.T):
            even[:, i] = np.interp(grid, self._time, axis)
        samples = np.lib.stride_tricks.sliding_window_view(even, self._length, axis=0)[:: self._step]
        before = np.searchsorted(self._time, grid + 1e-9, side="right") - 1
        worn = np.lib.stride_tricks.sliding_window_view(self._worn[before], self._length)[:: self._step]
        rows = np.arange(count) * self._step
        start = self._origin + (first + rows) / self._rate_hz
        self._done += count
        return Windows(
            np.ascontiguousarray(samples.transpose(0, 2, 1)),
            start,
            self._majority(self._codes[before], rows),
            worn.sum(axis=1) * 2 > self._length,
            self._clipped(start),
        )

    def _majority(self, codes: NDArray[np.integer], first: NDArray[np.int64]) -> NDArray[np.int64]:
        """The label of most of the samples of each window; at a draw the lowest index, and NO_LABEL last."""
        kinds, result = self._label_count, np.full(len(first), NO_LABEL, np.int64)
        if kinds == 0:
            return result
        inside = np.arange(self._length)
        for low in range(0, len(first), CHUNK_WINDOWS):
            chunk = codes[first[low : low + CHUNK_WINDOWS, None] + inside].astype(np.int64)
            chunk[chunk == NO_LABEL] = kinds
            chunk += np.arange(len(chunk))[:, None] * (kinds + 1)
            counts = np.bincount(chunk.ravel(), minlength=len(chunk) * (kinds + 1)).reshape(len(chunk), kinds + 1)
            result[low : low + len(chunk)] = counts.argmax(axis=1)
        result[result == kinds] = NO_LABEL
        return result

    def _clipped(self, start: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether a recorded sample within each window is at the limit of the range."""
        if self._limit_g is None:
            return np.zeros(len(start), bool)
        until = np.concatenate([[0], np.cumsum((np.abs(self._samples) >= self._limit_g).any(axis=1))])
        end = start + self._window_s
        clipped: NDArray[np.bool_] = (
            until[np.searchsorted(self._time, end)] > until[np.searchsorted(self._time, end - self._window_s)]
        )
        return clipped

    def _drop_used_samples(self) -> None:
        """Drop the samples before the next window."""
        begin = self._origin + self._done * self._step / self._rate_hz
        first = max(0, int(np.searchsorted(self._time, begin, side="right")) - 2)
        self._time, self._samples = self._time[first:].copy(), self._samples[first:].copy()
        self._worn, self._codes = self._worn[first:].copy(), self._codes[first:].copy()


def _append(before: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([before, values]) if len(before) else values


def usable_part(recording: Recording) -> tuple[Recording, TimeAxis]:
    """The part of a recording in memory that can be used, in order of time, and its time axis.

    Raises:
        DataError: when the times are not in order.
    """
    count, time = len(recording.samples), recording.time
    if time is None:
        time = np.arange(count) / recording.rate_hz
    known = np.isfinite(recording.samples).all(axis=1) & np.isfinite(time)
    nanoseconds = np.rint(np.where(known, time, 0) * SECOND).astype(np.int64)
    reader = TimeAxisReader()
    rows = np.flatnonzero(reader.add(nanoseconds, known, (recording.samples == 0).all(axis=1)))
    axis = reader.finish(lambda first, last: nanoseconds[rows[first:last]], recording.start, recording.rate_hz)
    if axis.used < count or axis.ranges != sorted(axis.ranges):
        rows = np.concatenate([rows[:0], *(rows[first:last] for first, last in axis.ranges)])
        worn, label = recording.worn, recording.label
        recording = replace(
            recording,
            samples=recording.samples[rows],
            label=label[rows] if isinstance(label, pd.Categorical) else label,
            worn=None if worn is None else worn[rows],
        )
        time = time[rows]
    exact = recording.time is None or axis.rate_hz is None
    rate_hz, resolution_s = (recording.rate_hz, 0.0) if exact else (axis.rate_hz, axis.resolution_s)
    return replace(recording, time=time), axis._replace(rate_hz=rate_hz, resolution_s=resolution_s)


def cut_usable(
    recording: Recording,
    axis: TimeAxis,
    rate_hz: float,
    window_s: float,
    step_s: float,
    limit_g: float | None = None,
) -> Windows:
    """Resample the usable part of a recording in memory and cut it into windows, see `Windower`.

    Args:
        recording: what `usable_part` returns.
        axis: what it returns too.
        rate_hz: samples per second of the windows.
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.
        limit_g: limit of the device's range in g, for clipped windows; None where it is unknown.

    Returns:
        The windows, whose labels are indices of `label_names`.

    Raises:
        DataError: when a window or a step is shorter than one sample.
    """
    assert recording.time is not None
    assert axis.rate_hz is not None
    names, codes = label_names(recording), None
    if isinstance(recording.label, pd.Categorical):
        codes = np.asarray(recording.label.codes)
    elif recording.label is not None:
        codes = np.zeros(len(recording.samples), np.int8)
    windower = Windower(axis.rate_hz, rate_hz, window_s, step_s, len(names), limit_g, axis.resolution_s)
    return concatenate([windower.add(recording.time, recording.samples, recording.worn, codes), windower.finish()])


def label_names(recording: Recording) -> tuple[str, ...]:
    """Names of a recording's labels, in the order of the indices of windows."""
    if isinstance(recording.label, pd.Categorical):
        return tuple(map(str, recording.label.categories))
    return () if recording.label is None else (recording.label,)
