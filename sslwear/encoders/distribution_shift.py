"""Distribution shift: windows that differ from those that a classifier was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sslwear.encoders.card import Card

STATISTICS = ("mean x", "mean y", "mean z", "length", "motion")
"""Statistics of a window by which distribution shift is detected, see `statistics`."""
REFERENCE_PERCENTILES = (1, 99)
"""Percentiles of a statistic over the training windows that bound its reference range."""
SHIFT_SHARE = 0.2
"""Share of windows outside of a reference range above which a recording gets a warning."""


def statistics(windows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Statistics of windows by which distribution shift is detected.

    They are the mean of each axis, which depends on the orientation of the device; the mean length of acceleration,
    which is about 1 g; and the standard deviation of the length, which measures motion.

    Args:
        windows: windows (N, samples, 3) in g.

    Returns:
        Statistics (N, len(STATISTICS)) in g.
    """
    length = np.linalg.norm(windows, axis=2)
    columns = [windows.mean(axis=1), length.mean(axis=1)[:, None], length.std(axis=1)[:, None]]
    found: NDArray[np.floating] = np.concatenate(columns, axis=1)
    return found.astype(np.float64)


def reference_ranges(found: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """Range of nearly all windows for each statistic.

    Args:
        found: statistics of the windows (N, len(STATISTICS)).
    """
    low, high = np.percentile(found, REFERENCE_PERCENTILES, axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(STATISTICS)}


def distribution_shift_warning(card: Card, found: NDArray[np.float64]) -> str | None:
    """Warning about windows that differ from the training windows; None if they do not.

    Args:
        card: card of the model.
        found: statistics of the windows (N, len(STATISTICS)).
    """
    if not card.reference_ranges or len(found) == 0:
        return None
    ranges = np.array([card.reference_ranges[name] for name in STATISTICS])
    outside = ((found < ranges[:, 0]) | (found > ranges[:, 1])).mean(axis=0)
    worst = int(outside.argmax())
    if outside[worst] <= SHIFT_SHARE:
        return None
    low, high = ranges[worst]
    return (
        f"{outside[worst]:.0%} of the windows are outside of the range of the training data: {STATISTICS[worst]} was "
        f"{low:.2f} to {high:.2f} g in training, and its median is {np.median(found[:, worst]):.2f} g here. Check the "
        "labels with care"
    )
