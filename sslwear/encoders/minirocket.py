"""Fitted MiniRocket with its ridge classifier as arrays, which are kept and loaded as the weights of a network are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sslwear.encoders.arrays import Arrays

LENGTH = 9
"""Length of the kernels in samples."""
KERNELS = tuple(combinations(range(LENGTH), 3))
"""Places of the weights 2 of each kernel; the other weights are -1."""


class MiniRocketClassifier(Arrays):
    """Logarithms of the class probabilities of a ridge classifier on MiniRocket's features.

    A feature is the share of samples at which a convolution of some channels is above a threshold (Dempster et al.,
    KDD 2021). The channels are the three axes and the length of acceleration.
    """

    dilations: Tensor
    counts: Tensor
    channels: Tensor
    thresholds: Tensor
    coefficients: Tensor
    intercepts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("dilations", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("counts", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("channels", torch.zeros(0, 0, 0))
        self.register_buffer("thresholds", torch.zeros(0))
        self.register_buffer("coefficients", torch.zeros(0, 0))
        self.register_buffer("intercepts", torch.zeros(0))

    @classmethod
    def of(cls, parameters: Sequence[NDArray[Any]]) -> Self:
        """Convolutions of a fitted transform; `set_ridge` adds the classifier.

        Args:
            parameters: ``MiniRocket.parameters`` of aeon: numbers of channels and channels of each combination of
                dilation and kernel, dilations, features of each kernel by dilation, thresholds.
        """
        numbers, used, dilations, counts, thresholds = parameters
        channels = np.zeros((len(numbers), int(used.max()) + 1), np.float32)
        channels[np.repeat(np.arange(len(numbers)), numbers), used] = 1
        made = cls()
        made.dilations, made.counts = (torch.from_numpy(part.astype(np.int32)) for part in (dilations, counts))
        made.channels = torch.from_numpy(channels.reshape(len(dilations), len(KERNELS), -1))
        made.thresholds = torch.from_numpy(thresholds.astype(np.float32))
        return made

    def set_ridge(self, coefficients: NDArray[np.float64], intercepts: NDArray[np.float64]) -> None:
        """Set the coefficients (F, classes) and intercepts (classes,) of logits, of features that are not scaled."""
        self.coefficients = torch.from_numpy(coefficients).float()
        self.intercepts = torch.from_numpy(intercepts).float()

    def features(self, x: Tensor) -> Tensor:
        """Features (B, F) of windows (B, 3, samples) in g, in aeon's order."""
        x = torch.cat([x, torch.linalg.vector_norm(x, dim=1, keepdim=True)], dim=1)[:, : self.channels.shape[2]]
        weights = x.new_full((len(KERNELS), 1, LENGTH), -1.0)
        weights[torch.arange(len(KERNELS))[:, None], 0, torch.tensor(KERNELS)] = 2.0
        found, first = [], 0
        for number, (dilation, count) in enumerate(zip(self.dilations.tolist(), self.counts.tolist(), strict=True)):
            margin = dilation * (LENGTH // 2)
            of_channels = weights * self.channels[number, :, :, None]
            sums = functional.conv1d(x, of_channels, padding=margin, dilation=dilation)
            thresholds = self.thresholds[first : first + len(KERNELS) * count].reshape(len(KERNELS), count)
            # Every other kernel leaves out the samples at which it reaches beyond the window.
            is_whole = (torch.arange(len(KERNELS), device=x.device) + number) % 2 == 0
            shares = sums.new_empty(len(x), len(KERNELS), count)
            shares[:, is_whole] = _shares_above(sums[:, is_whole], thresholds[is_whole])
            shares[:, ~is_whole] = _shares_above(sums[:, ~is_whole, margin:-margin], thresholds[~is_whole])
            found.append(shares.flatten(1))
            first += len(KERNELS) * count
        return torch.cat(found, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (B, 3, samples) to logarithms of probabilities (B, classes)."""
        with torch.autocast(x.device.type, enabled=False):
            logits = self.features(x.float()) @ self.coefficients + self.intercepts
            return logits.log_softmax(dim=1)


def _shares_above(sums: Tensor, thresholds: Tensor) -> Tensor:
    """Shares (B, K, F) of the samples of sums (B, K, samples) that are above thresholds (K, F)."""
    sums = sums.contiguous()
    above = torch.empty_like(sums)  # a result of numbers takes a third of the time of one of booleans
    found = [torch.gt(sums, one[:, None], out=above).sum(dim=2) for one in thresholds.T]
    return torch.stack(found, dim=2) / sums.shape[2]
