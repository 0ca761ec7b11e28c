"""Clipping: samples at the limit of the device's range, found from the samples themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RANGES_G = (2.0, 3.0, 4.0, 6.0, 8.0, 16.0)
"""Usual ranges of accelerometers."""
NEAR = 0.005
"""Difference from the range, as a share, of samples at the limit: zero errors of a device shift its limit."""


class Clipping:
    """Number of samples at the limit of the range, from all samples in pieces.

    The range is taken as the usual one that the largest value is at. A device whose largest value is at none of them
    was never at its limit.

    Attributes:
        samples: number of samples.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._largest = 0.0
        self._counts = np.zeros(len(RANGES_G), np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Add samples (n, 3) in g, before they are filtered."""
        if len(values) == 0:
            return
        largest = np.abs(values).max(axis=1)
        self.samples += len(values)
        self._largest = max(self._largest, float(largest.max()))
        for place, limit in enumerate(RANGES_G):
            if self._largest >= limit * (1 - NEAR):
                self._counts[place] += int((largest >= limit * (1 - NEAR)).sum())

    @property
    def share(self) -> float:
        """Share of the samples that are at the limit of the range."""
        for limit, count in zip(RANGES_G, self._counts.tolist(), strict=True):
            if abs(self._largest / limit - 1) <= NEAR:
                return count / max(1, self.samples)
        return 0.0
