"""Recording to windows: even sampling, gaps, resampling, cutting, labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.sources.base import NO_LABEL, Recording
from sslwear.errors import DataError

Samples = NDArray[np.float32]
MAX_GAP_S = 1.0
"""Samples further apart than this are not interpolated between: no window lies across."""
CHUNK_WINDOWS = 512


@dataclass(frozen=True)
class Cut:
    """Windows of one recording.

    Attributes:
        windows: (N, samples, 3) in g.
        start: seconds from the recording's second 0 (N,).
        labels: indices into `names`, or NO_LABEL (N,).
        names: annotations.
        worn: whether the device was worn for most of the window (N,).
        clipped: whether a sample is at the device's limit (N,).
    """

    windows: Samples
    start: NDArray[np.float64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    worn: NDArray[np.bool_]
    clipped: NDArray[np.bool_]


def cut_recording(
    recording: Recording, rate_hz: float, window_s: float, step_s: float, limit_g: float | None = None
) -> Cut:
    """Bring a recording to a rate and cut it into windows.

    Samples are put in order of time; of those with the same time the first is kept; those that are not finite are
    taken out. Where samples are then more than MAX_GAP_S apart the recording is in two stretches, each of which is
    resampled and cut on its own. The label of a window is the one that most of its samples have, none being one too;
    of several with the same count the first in `names`.

    Args:
        recording: what was recorded.
        rate_hz: samples per second wanted.
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.
        limit_g: what the device cannot measure beyond, to tell clipped windows.
    """
    names, codes = _annotations(recording)
    parts = []
    for time, samples, here in _stretches(recording):
        even = resample_at(samples, time, 1 / recording.rate_hz, rate_hz)
        windows, start = cut(even, rate_hz, window_s, step_s)
        if len(windows) == 0:
            continue
        before = np.searchsorted(time, time[0] + np.arange(len(even)) / rate_hz + 1e-9, side="right") - 1
        first = np.rint(start * rate_hz).astype(np.int64)
        labels = np.zeros(len(windows), np.int64)
        if codes is not None:
            labels = _most_frequent(codes[here][before], first, windows.shape[1], len(names))
        elif not names:
            labels[:] = NO_LABEL
        worn = np.ones(len(windows), bool)
        if recording.worn is not None:
            worn = _most_frequent(recording.worn[here][before].astype(np.int8), first, windows.shape[1], 2) == 1
        clipped = np.zeros(len(windows), bool)
        if limit_g is not None:
            until = np.concatenate([[0], np.cumsum((np.abs(samples) >= limit_g).any(axis=1))])
            ends = time[0] + start + window_s
            clipped = until[np.searchsorted(time, ends)] > until[np.searchsorted(time, ends - window_s)]
        parts.append((windows, time[0] + start, labels, worn, clipped))
    if not parts:
        empty = cut(np.empty((0, 3), np.float32), rate_hz, window_s, step_s)
        parts = [(*empty, np.empty(0, np.int64), np.empty(0, bool), np.empty(0, bool))]
    windows, start, labels, worn, clipped = (
        np.concatenate(column) if len(parts) > 1 else column[0] for column in zip(*parts, strict=True)
    )
    return Cut(windows, start, labels, names, worn, clipped)


def _annotations(recording: Recording) -> tuple[tuple[str, ...], NDArray[np.integer] | None]:
    """Names of annotations, and the index of each sample's unless all have the same."""
    if isinstance(recording.label, pd.Categorical):
        return tuple(map(str, recording.label.categories)), np.asarray(recording.label.codes)
    return (() if recording.label is None else (recording.label,)), None


def _stretches(
    recording: Recording,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.floating], NDArray[np.int64] | slice]]:
    """Time, samples and place in the recording of the stretches without gaps."""
    samples, time = recording.samples, recording.time
    if time is None:
        time = np.arange(len(samples)) / recording.rate_hz
    here: NDArray[np.int64] | slice = slice(None)
    finite = np.isfinite(samples).all(axis=1) & np.isfinite(time)
    if not finite.all() or (np.diff(time) <= 0).any():
        kept = np.flatnonzero(finite)
        order = kept[np.argsort(time[kept], kind="stable")]
        order = order[np.diff(time[order], prepend=-np.inf) > 0]
        time, samples, here = time[order], samples[order], order
    edges = [0, *(np.flatnonzero(np.diff(time) > MAX_GAP_S) + 1), len(time)]
    for first, last in pairwise(edges):
        if last > first:
            place = slice(first, last) if isinstance(here, slice) else here[first:last]
            yield time[first:last], samples[first:last], place


def _most_frequent(codes: NDArray[np.integer], first: NDArray[np.int64], length: int, kinds: int) -> NDArray[np.int64]:
    """The code, from NO_LABEL to kinds - 1, that most samples of each window have; NO_LABEL loses a draw."""
    result = np.empty(len(first), np.int64)
    inside = np.arange(length)
    for low in range(0, len(first), CHUNK_WINDOWS):
        chunk = codes[first[low : low + CHUNK_WINDOWS, None] + inside].astype(np.int64)
        chunk[chunk == NO_LABEL] = kinds
        chunk += np.arange(len(chunk))[:, None] * (kinds + 1)
        counts = np.bincount(chunk.ravel(), minlength=(len(chunk)) * (kinds + 1)).reshape(len(chunk), kinds + 1)
        result[low : low + len(chunk)] = counts.argmax(axis=1)
    result[result == kinds] = NO_LABEL
    return result


def resample(samples: NDArray[np.floating], rate_hz: float, target_hz: float) -> Samples:
    """Bring evenly sampled acceleration to another rate, see `resample_at`."""
    return resample_at(samples, np.arange(len(samples)) / rate_hz, 1 / rate_hz, target_hz)


def resample_at(samples: NDArray[np.floating], time: NDArray[np.float64], period_s: float, target_hz: float) -> Samples:
    """Sample acceleration evenly by linear interpolation, as the published models' data was.

    Args:
        samples: (n, 3) in g.
        time: seconds of each sample (n,), increasing.
        period_s: how long the last sample lasts; its value is held, so that 10 s of samples are 10 s at any rate.
        target_hz: samples per second wanted.

    Returns:
        (m, 3) float32 in g at `target_hz`; the first sample stays where it is, and m is as many as fit into the
        recording's duration.
    """
    if len(samples) == 0:
        return samples.astype(np.float32)
    count = max(1, int((time[-1] - time[0] + period_s) * target_hz + 1e-6))
    then = time[0] + np.arange(count) / target_hz
    return np.stack([np.interp(then, time, axis) for axis in samples.T], axis=1).astype(np.float32)


def cut(samples: Samples, rate_hz: float, window_s: float, step_s: float) -> tuple[Samples, NDArray[np.float64]]:
    """Cut evenly sampled acceleration into windows; an incomplete last one is dropped.

    Args:
        samples: (n, 3) in g at `rate_hz`.
        rate_hz: samples per second.
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.

    Returns:
        Windows (N, round(window_s * rate_hz), 3) and their starts (N,) in seconds from the first sample.

    Raises:
        DataError: when a window or a step is less than one sample long.
    """
    length, step = round(window_s * rate_hz), round(step_s * rate_hz)
    if length < 1 or step < 1:
        raise DataError(f"a window of {window_s} s with a step of {step_s} s is less than a sample at {rate_hz} Hz")
    starts = np.arange(0, len(samples) - length + 1, step)
    if len(starts) == 0:
        return np.empty((0, length, 3), np.float32), np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(samples, length, axis=0)[starts]
    return np.ascontiguousarray(windows.transpose(0, 2, 1)), starts / rate_hz
