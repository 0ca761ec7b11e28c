"""Random changes of speed within a window."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.augmentations.base import Augmentation, check_number

KNOTS = 6
"""Number of places with a speed, both ends of the window included."""


@dataclass(frozen=True)
class TimeWarp(Augmentation):
    """Warps time smoothly; relative speeds have a standard deviation of SIGMA (0.2).

    Both ends are kept; see `sslwear.transforms.time_warp`. After Um et al., 'Data augmentation of wearable sensor
    data', ICMI 2017.

    Attributes:
        sigma: standard deviation of the relative speed.
    """

    name = "time_warp"
    form = "time_warp(SIGMA)"
    examples = ("time_warp", "time_warp(0.1)")

    sigma: float = 0.2

    def __post_init__(self) -> None:
        check_number(self.form, self.sigma, 1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Deviations of the speed (count, KNOTS), in standard deviations."""
        return torch.randn(count, KNOTS, generator=generator)

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) with time warped by their deviations (B, KNOTS)."""
        speeds = 1 + self.sigma * drawn.cpu().double()  # so that positions do not depend on the size of a batch
        return transforms.warp_time(x, speeds)
