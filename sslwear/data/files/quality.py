"""Quality of a recording: calibration, clipped samples, interruptions and damage, as numbers for tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Quality:
    """How good a recording is.

    Attributes:
        device: kind of device or file.
        rate_hz: samples per second, by the times.
        samples: number of samples that are used.
        calibrated: whether gravity was calibrated.
        calibration_error_before_mg: mean difference from 1 g at rest before calibration, in mg; None if there are too
            few still positions.
        calibration_error_after_mg: the same after calibration.
        clipped_share: share of the samples at the limit of the device's range.
        interrupts: number of gaps of more than one second.
        cut_seconds: length of the samples that cannot be used by their times.
        damaged_blocks: number of blocks of a device's file that cannot be read.
        nonwear_episodes: number of stretches in which the device was not worn.
    """

    device: str
    rate_hz: float
    samples: int
    calibrated: bool
    calibration_error_before_mg: float | None
    calibration_error_after_mg: float | None
    clipped_share: float
    interrupts: int
    cut_seconds: float
    damaged_blocks: int
    nonwear_episodes: int


def error_mg(value: Any) -> float | None:
    """A calibration error as actipy gives it; None where it is not a number."""
    return None if value is None or math.isnan(float(value)) else float(value)
