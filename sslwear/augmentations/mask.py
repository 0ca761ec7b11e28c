"""Hidden stretches of windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.augmentations.base import Augmentation, check_number


@dataclass(frozen=True)
class Mask(Augmentation):
    """Hides one stretch of SHARE (0.2) of the window behind the mean of the rest.

    After DeVries and Taylor, 'Improved regularization of convolutional neural networks with cutout', arXiv 1708.04552.

    Attributes:
        share: length of the stretch as a share of the window.
    """

    name = "mask"
    form = "mask(SHARE)"
    examples = ("mask", "mask(0.1)")
    on_device = True

    share: float = 0.2

    def __post_init__(self) -> None:
        check_number(self.form, self.share, 0.9)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Places of the stretches (count,), from 0 for the beginning of the window to 1 for its end."""
        return torch.rand(count, generator=generator)

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) with hidden stretches at their places (B,)."""
        samples = x.shape[-1]
        return transforms.hide(x, transforms.stretches(drawn, samples, max(1, round(self.share * samples))))
