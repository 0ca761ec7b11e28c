"""Jitter: how much noise was added to this window?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.pretext.base import LevelTask

SIGMAS_G = (0.0, 0.02, 0.05, 0.12)


class Jitter(LevelTask):
    """Tell how much white noise a window has: none, or one of three levels around the 0.05 g of Um et al., ICMI 2017.

    To tell noise from the quick part of real movement takes knowing how movement goes on from sample to sample.
    """

    name = "jitter"
    title = "How much noise, of four levels, was added to this window?"
    choices = len(SIGMAS_G)

    def level_names(self) -> Sequence[str]:
        """The standard deviations."""
        return [f"noise of {sigma:g} g" for sigma in SIGMAS_G]

    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Add the noise."""
        return transforms.jitter(x, torch.tensor(SIGMAS_G)[level], generator)
