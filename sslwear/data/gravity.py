"""Checks of acceleration against physics: its length is 1 g at rest, and never 0 in all axes for long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslwear.errors import DataError

STILL_G = 0.1
"""Standard deviation of acceleration at rest, at most."""
REST_G, MOVING_G = (0.7, 1.4), (0.3, 3.0)
"""Range of the resting length of acceleration in g, and of its length when the arm never rests, as in running."""
METRES_PER_S2, MILLI_G = (4, 16), (400, 1600)
"""Range of the resting length of acceleration in these units."""
BLOCK_SAMPLES = 300
"""Length of the stretches in which rest is searched."""
IDLE_SHARE = 0.1
"""Share of samples of exactly 0, 0, 0 above which a window is refused; no accelerometer at rest measures zero."""


def check_idle(path: Path, found: int | None) -> None:
    """Refuse windows of zeros, by the index of the first one, see `first_idle`.

    Raises:
        DataError: with that window.
    """
    if found is not None:
        raise DataError(
            f"{path} has samples of 0, 0, 0 in window {found}, as in idle sleep mode or after padding; drop such "
            "windows, or mark them as not worn in worn.npy"
        )


def first_idle(windows: NDArray[np.floating]) -> int | None:
    """Index of the first window with many samples of 0, 0, 0, or None; windows are (n, samples, 3)."""
    idle = (~windows.any(axis=2)).mean(axis=1) > IDLE_SHARE
    return int(idle.argmax()) if idle.any() else None


def rest_statistics(windows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Length of the median acceleration and standard deviation in each block of windows.

    The median, unlike the mean, does not depend on a few damaged samples.

    Args:
        windows: (n, samples, 3).

    Returns:
        Both statistics (n * blocks, 2), in the unit of the windows. A window shorter than BLOCK_SAMPLES is one block.
    """
    size = min(windows.shape[1], BLOCK_SAMPLES)
    blocks = windows[:, : windows.shape[1] // size * size].astype(np.float64).reshape(-1, size, 3)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(np.median(blocks, axis=1), axis=1)
        return np.stack([lengths, np.sqrt(blocks.var(axis=1).sum(axis=1))], axis=1)


def _at_rest(statistics: NDArray[np.float64]) -> tuple[float, float]:
    """Length of acceleration and its standard deviation in the stillest tenth of the blocks."""
    stillest = statistics[np.argsort(statistics[:, 1])[: max(3, len(statistics) // 10)]]
    length, deviation = (float(value) for value in np.median(stillest, axis=0))
    return length, deviation


def unit_of(statistics: NDArray[np.float64]) -> str:
    """The unit of acceleration by its length at rest: ``m/s2`` or ``mg``; otherwise ``g``.

    Args:
        statistics: statistics of blocks (n, 2) of one participant or recording, see `rest_statistics`.
    """
    length = _at_rest(statistics)[0] if len(statistics) else 1.0
    ranges = {"m/s2": METRES_PER_S2, "mg": MILLI_G}
    return next((unit for unit, (low, high) in ranges.items() if low <= length <= high), "g")


def gravity_problem(statistics: NDArray[np.float64]) -> str | None:
    """What is wrong with the unit of acceleration, by its length in the stillest tenth of the blocks; None if nothing.

    Args:
        statistics: statistics of blocks (n, 2) of one participant or recording, see `rest_statistics`.
    """
    if len(statistics) == 0:
        return None
    length, deviation = _at_rest(statistics)
    low, high = REST_G if deviation <= STILL_G else MOVING_G
    if low <= length <= high:
        return None
    if METRES_PER_S2[0] <= length <= METRES_PER_S2[1]:
        guess = "looks like m/s^2: divide by 9.80665"
    elif MILLI_G[0] <= length <= MILLI_G[1]:
        guess = "looks like mg: divide by 1000"
    elif high < length < 4:
        guess = "looks like normalised or damaged data: give acceleration as it was recorded, in g"
    elif length > high:
        guess = "looks like raw counts: convert them with the device's scale"
    else:
        guess = "looks like another unit, or like acceleration without gravity: give acceleration with gravity, in g"
    return f"{length:.4g} instead of about 1, which {guess}"


def check_gravity(place: object, statistics: NDArray[np.float64], owner: str = "") -> None:
    """Refuse acceleration that is not in g or lacks gravity, see `gravity_problem`.

    Args:
        place: the file, for the message.
        statistics: statistics of blocks (n, 2) of one participant or recording, see `rest_statistics`.
        owner: words that name a participant, for the message.

    Raises:
        DataError: with the probable unit.
    """
    if (problem := gravity_problem(statistics)) is not None:
        raise DataError(
            f"{place} cannot be in g: the resting length of its acceleration{owner} is {problem}", reason="not in g"
        )
