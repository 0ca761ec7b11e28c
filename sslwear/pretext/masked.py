"""Masked reconstruction: what was in the stretches that are hidden?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sslwear import transforms
from sslwear.encoders.heads import Decoder
from sslwear.pretext.base import CHANCE, Example, PretextTask

POINTS = 150
"""Instants at which the head gives the signal, which is linear between them: 15 a second in a window of 10 s."""
LEAST_MOTION_G = 0.05
"""Windows that move less are not magnified further, so that nobody learns their noise."""


class Masked(PretextTask):
    """Fill in stretches of half a second (at 30 Hz) that are hidden, 30 % of the window; only they count in the loss.

    After Haresamudram et al., 'Masked reconstruction based self-supervision for human activity recognition', ISWC 2020,
    who hide single samples; those could be guessed from their neighbours, stretches cannot. A hidden sample is shown as
    the mean of those that are seen, and reconstructed as its departure from it, in units of how much the window moves.
    """

    name = "masked"
    title = "What was in the stretches of this window that are hidden?"
    headline = "r2"

    def head(self, features: int) -> nn.Module:
        """A decoder to (B, 3, POINTS)."""
        return Decoder(features, POINTS)

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows with stretches hidden; the target (B, 3, samples) is what was there, and NaN where it is seen."""
        hidden = transforms.stretches(len(x), x.shape[-1], generator).to(x.device)
        mean = transforms.visible_mean(x, hidden)
        square = transforms.visible_mean((x - mean).square(), hidden)
        motion = square.mean(dim=1, keepdim=True).sqrt().clamp(min=LEAST_MOTION_G)
        hidden = hidden.unsqueeze(1)
        return torch.where(hidden, mean, x), torch.where(hidden, (x - mean) / motion, torch.nan)

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared error over the hidden samples of each window."""
        error, _ = _errors(output, target)
        return error.sum(), torch.tensor(float(len(target)), device=error.device)

    def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Of each window (B,): the spread of the hidden samples about the mean of those seen, and how much of it the
        reconstruction explains.
        """
        error, spread = _errors(output, target)
        return spread, spread - error

    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """``r2``, the share of the hidden samples' spread that is explained: 1 is all of it, 0 is no better than each
        window's mean, which is ``chance``.
        """
        return {"r2": float(predicted.sum(dtype=np.float64) / truth.sum(dtype=np.float64)), CHANCE: 0.0}

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """A window with stretches hidden."""
        inputs, target = self.batch(x, torch.zeros(1, dtype=torch.long), generator, training=True)
        return [Example("shaded stretches are hidden", inputs[0], target[0, 0].isfinite())]


def _errors(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squares over each window's hidden samples (B,): of what the reconstruction misses, and of what there is."""
    hidden = ~target.isnan()
    there = target.nan_to_num(nan=0.0)
    missed = torch.where(hidden, output @ _between(target.shape[-1]).to(output) - there, 0)
    count = hidden.sum(dim=(1, 2))
    return missed.square().sum(dim=(1, 2)) / count, there.square().sum(dim=(1, 2)) / count


@cache
def _between(samples: int) -> Tensor:
    """Matrix (POINTS, samples) of linear interpolation; PyTorch's own has no repeatable gradient on CUDA."""
    return transforms.resize(torch.eye(POINTS).unsqueeze(0), samples)[0]
