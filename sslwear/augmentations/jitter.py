"""Noise, because sensors have it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.augmentations.base import Augmentation, check_number


@dataclass(frozen=True)
class Jitter(Augmentation):
    """Adds white noise with a standard deviation of SIGMA_G (0.05) g.

    A window's parameter is the seed of its noise, so that memory does not hold the noise of an epoch. After Um et al.,
    'Data augmentation of wearable sensor data', ICMI 2017.

    Attributes:
        sigma_g: standard deviation in g.
    """

    name = "jitter"
    form = "jitter(SIGMA_G)"
    examples = ("jitter", "jitter(0.02)")
    on_device = True

    sigma_g: float = 0.05

    def __post_init__(self) -> None:
        check_number(self.form, self.sigma_g, 1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Seeds (count,)."""
        return torch.randint(0, 2**32, (count,), generator=generator)

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) with the noise of their seeds (B,)."""
        return x + self.sigma_g * transforms.white_noise(drawn, x.shape[-1]).to(x)
