"""Random scales, because sensors have gain errors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.augmentations.base import Augmentation, check_number


@dataclass(frozen=True)
class Scale(Augmentation):
    """Multiplies by 1 - SHARE to 1 + SHARE (0.1), gravity too, as a gain error does.

    The three axes have the same factor. After Um et al., 'Data augmentation of wearable sensor data', ICMI 2017, whose
    factors are from a normal distribution.

    Attributes:
        share: largest deviation of the factor from 1.
    """

    name = "scale"
    form = "scale(SHARE)"
    examples = ("scale", "scale(0.2)")
    on_device = True

    share: float = 0.1

    def __post_init__(self) -> None:
        check_number(self.form, self.share, 0.9)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Factors (count,)."""
        return transforms.random_factors(count, generator, self.share)

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) multiplied by their factors (B,)."""
        return transforms.scale(x, drawn)
