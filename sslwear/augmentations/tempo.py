"""Random tempos, because people move at different speeds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.augmentations.base import Augmentation, check_number


@dataclass(frozen=True)
class Tempo(Augmentation):
    """Plays the window up to SHARE (0.15) faster or slower, at the same length.

    The window is resampled about its middle. A slower window loses samples at both ends. A faster one is continued at
    both ends by its mirror image: at 1.15 times the speed, these are the first and the last 6.5 % of its samples.
    Acceleration is not scaled with the speed.

    Attributes:
        share: largest deviation of the speed from 1.
    """

    name = "tempo"
    form = "tempo(SHARE)"
    examples = ("tempo", "tempo(0.5)")
    on_device = True

    share: float = 0.15

    def __post_init__(self) -> None:
        check_number(self.form, self.share, 0.9)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Relative speeds (count,)."""
        return transforms.random_factors(count, generator, self.share)

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) at their relative speeds (B,)."""
        return transforms.tempo(x, drawn)
