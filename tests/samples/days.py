"""Made-up recordings that are worth calibrating."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOISE_G = 0.003


def miscalibrated(rate_hz: int, still_hours: float, positions: int = 150) -> tuple[NDArray[np.floating], int]:
    """As a device with wrong scales and offsets measures it: many positions of 17 s each, then lying still for hours,
    then moving for five minutes.

    Returns:
        Samples (n, 3) in g, and how many of them come before it lies still.
    """
    random = np.random.default_rng(0)
    directions = random.normal(size=(positions, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    posed = np.repeat(directions, 17 * rate_hz, axis=0)
    still = np.repeat(directions[:1], int(still_hours * 3600) * rate_hz, axis=0)
    moving = directions[:1] + random.normal(0, 0.2, (300 * rate_hz, 3))
    true = np.concatenate([posed, still, moving])
    true += random.normal(0, NOISE_G, true.shape)
    return true * [1.05, 0.97, 1.02] + [0.03, -0.02, 0.01], len(posed)
