"""Random strengths of motion, because people move with different force."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.augmentations.base import Augmentation, check_number


@dataclass(frozen=True)
class ScaleMotion(Augmentation):
    """Makes the motion weaker or stronger by up to SHARE (0.2), and keeps its mean.

    The mean of each axis stays, which is mostly gravity.

    Attributes:
        share: largest deviation of the factor from 1.
    """

    name = "scale_motion"
    form = "scale_motion(SHARE)"
    examples = ("scale_motion", "scale_motion(0.5)")
    on_device = True

    share: float = 0.2

    def __post_init__(self) -> None:
        check_number(self.form, self.share, 0.9)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Factors (count,)."""
        return transforms.random_factors(count, generator, self.share)

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) whose deviations from their mean are multiplied by their factors (B,)."""
        return transforms.scale_motion(x, drawn)
