"""Hand-crafted features of the windows of a data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sslwear.data.arrays import release
from sslwear.data.participant import RATE_HZ
from sslwear.encoders.window_features import feature_names, features
from sslwear.training import Windows

BATCH = 2048


def features_of(windows: Windows, samples: int | None = None) -> NDArray[np.float64]:
    """Features (n, F) of windows in the order of `feature_names`; the windows are read in parts.

    Args:
        windows: the windows.
        samples: length in samples to which they are resampled first; None for windows at their own rate.
    """
    length, rate_hz = samples or windows.dataset.samples, window_rate(windows, samples)
    found = []
    for first in range(0, len(windows), BATCH):
        rows = windows.rows[first : first + BATCH]
        if samples is None:
            found.append(features(windows.dataset.windows[rows], rate_hz))
            release(windows.dataset.windows)
        else:
            found.append(features(windows.dataset.gather(rows, length).transpose(1, 2).numpy(), rate_hz))
    return np.concatenate(found) if found else np.empty((0, len(feature_names())))


def window_rate(windows: Windows, samples: int | None = None) -> float:
    """Sampling rate by the window length, after resampling to `samples`; 30 Hz before where it is not known."""
    dataset = windows.dataset
    return (samples or dataset.samples) / (dataset.window_s or dataset.samples / RATE_HZ)
