"""Jitter: detect the level of added noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.pretext.base import LevelTask

SIGMAS_G = (0.0, 0.02, 0.05, 0.12)


class Jitter(LevelTask):
    """Detection of the level of white noise: none, or one of three levels around the 0.05 g of Um et al., ICMI 2017.

    To distinguish noise from fast movement, a network must learn how movement continues from sample to sample.
    """

    name = "jitter"
    title = "How much noise, of four levels, was added to this window?"
    choices = len(SIGMAS_G)

    def level_names(self) -> Sequence[str]:
        """Standard deviations of the noise."""
        return [f"noise of {sigma:g} g" for sigma in SIGMAS_G]

    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Windows with added noise."""
        return transforms.jitter(x, torch.tensor(SIGMAS_G)[level], generator)
