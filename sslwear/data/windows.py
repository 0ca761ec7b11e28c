"""Recording to windows: resampling and cutting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sslwear.errors import DataError

Samples = NDArray[np.float32]


def resample(samples: NDArray[np.floating], rate_hz: float, target_hz: float) -> Samples:
    """Bring evenly sampled acceleration to another rate by linear interpolation, as the published models' data was.

    Args:
        samples: (n, 3) in g at `rate_hz`.
        rate_hz: samples per second now.
        target_hz: samples per second wanted.

    Returns:
        (m, 3) float32 in g at `target_hz`; the first sample stays where it is, and m is as many as lie within the
        recording.
    """
    if len(samples) == 0 or rate_hz == target_hz:
        return samples.astype(np.float32)
    count = int((len(samples) - 1) * target_hz / rate_hz + 1e-6) + 1
    then = np.arange(count) * (rate_hz / target_hz)
    now = np.arange(len(samples))
    return np.stack([np.interp(then, now, axis) for axis in samples.T], axis=1).astype(np.float32)


def cut(samples: Samples, rate_hz: float, window_s: float, step_s: float) -> tuple[Samples, NDArray[np.float64]]:
    """Cut a recording into windows; an incomplete last one is dropped.

    Args:
        samples: (n, 3) in g at `rate_hz`.
        rate_hz: samples per second.
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.

    Returns:
        Windows (N, round(window_s * rate_hz), 3) and their starts (N,) in seconds from the recording's start.

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
