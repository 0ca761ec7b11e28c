"""Masked reconstruction: predict hidden segments of a window."""

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
"""Points of the reconstructed signal, 15 a second in a window of 10 s; it is linear between them."""
LEAST_MOTION_G = 0.05
"""Lower limit of the scale of a window's motion, so that noise is not magnified."""


class Masked(PretextTask):
    """Reconstruction of hidden segments of 0.5 s (at 30 Hz), 30 % of a window; only they count in the loss.

    Haresamudram et al., 'Masked reconstruction based self-supervision for human activity recognition', ISWC 2020, hide
    single samples, which can be interpolated from their neighbours; segments cannot. Hidden samples are replaced by the
    mean of the visible ones. The target is the difference from this mean, divided by the motion of the window.
    """

    name = "masked"
    title = "What was in the hidden segments of this window?"
    headline = "r2"

    def head(self, features: int) -> nn.Module:
        """Decoder to (B, 3, POINTS)."""
        return Decoder(features, POINTS)

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows with hidden segments; targets (B, 3, samples) are NaN at visible samples."""
        hidden = transforms.random_segments(len(x), x.shape[-1], generator).to(x.device)
        mean = transforms.visible_mean(x, hidden)
        square = transforms.visible_mean((x - mean).square(), hidden)
        motion = square.mean(dim=1, keepdim=True).sqrt().clamp(min=LEAST_MOTION_G)
        hidden = hidden.unsqueeze(1)
        return torch.where(hidden, mean, x), torch.where(hidden, (x - mean) / motion, torch.nan)

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error, averaged over the hidden samples of each window."""
        error, _ = _errors(output, target)
        return error.sum(), torch.tensor(float(len(target)), device=error.device)

    def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Variance of the hidden samples of each window about the visible mean (B,), and explained variance (B,)."""
        error, variance = _errors(output, target)
        return variance, variance - error

    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """``r2``, the explained share of the hidden samples' variance, and ``chance``, which is 0: the mean of each
        window explains nothing.
        """
        return {"r2": float(predicted.sum(dtype=np.float64) / truth.sum(dtype=np.float64)), CHANCE: 0.0}

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """A window with hidden segments."""
        inputs, target = self.batch(x, torch.zeros(1, dtype=torch.long), generator, training=True)
        return [Example("shaded segments are hidden", inputs[0], target[0, 0].isfinite())]


def _errors(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error and mean square of the target over each window's hidden samples, both (B,)."""
    hidden = ~target.isnan()
    known = target.nan_to_num(nan=0.0)
    errors = torch.where(hidden, output @ _interpolation(target.shape[-1]).to(output) - known, 0)
    count = hidden.sum(dim=(1, 2))
    return errors.square().sum(dim=(1, 2)) / count, known.square().sum(dim=(1, 2)) / count


@cache
def _interpolation(samples: int) -> Tensor:
    """Matrix (POINTS, samples) of linear interpolation; the gradient of PyTorch's own is not deterministic on CUDA."""
    return transforms.resize(torch.eye(POINTS).unsqueeze(0), samples)[0]
