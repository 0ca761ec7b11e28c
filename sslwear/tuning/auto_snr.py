"""Auto-SNR: freezing by the signal-to-noise ratio of gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

import torch
from torch import Tensor

from sslwear.encoders.base import Encoder
from sslwear.errors import SettingsError
from sslwear.tuning.automatic import Automatic
from sslwear.utils.arguments import argument

DEFAULT_THRESHOLD = 0.1
LEAST_NOISE = 1e-12


class AutoSnr(Automatic):
    """Freezing of tensors whose gradients have a low signal-to-noise ratio over batches.

    For each element of a tensor the ratio is the squared mean over the variance of its gradient; the ratio of the
    tensor is the mean over its elements. Tensors below `threshold` times the largest ratio are frozen for the epoch.

    Source: Lee et al., 'Surgical Fine-Tuning Improves Adaptation to Distribution Shifts', arXiv 2210.11466, Auto-SNR.

    Args:
        threshold: 0 to 1; at 0 all tensors learn, at 1 only the tensor with the largest ratio.
    """

    name = "auto_snr"
    form = "auto_snr or auto_snr(0.2) (tensors below 0.2 of the largest signal-to-noise ratio are frozen)"
    examples = ("auto_snr", "auto_snr(0.5)")

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self.spec = self.name if threshold == DEFAULT_THRESHOLD else f"{self.name}({threshold})"

    @classmethod
    def parse(cls, text: str, encoder: type[Encoder]) -> Self | None:
        """Read ``auto_snr`` or ``auto_snr(0.2)``."""
        threshold = argument(text, cls.name, default=DEFAULT_THRESHOLD)
        if threshold is None:
            return None
        if not 0 <= threshold <= 1:
            raise SettingsError(f"{text!r} has the threshold {threshold:g}. Give one from 0 to 1, or none for 0.1")
        return cls(threshold)

    def measure(self, weights: Mapping[str, Tensor], gradients: Iterator[Mapping[str, Tensor]]) -> dict[str, float]:
        """Signal-to-noise ratio of each tensor; 1 for all if there is only one batch."""
        count = 0
        sums = {name: torch.zeros_like(value) for name, value in weights.items()}
        squares = {name: torch.zeros_like(value) for name, value in weights.items()}
        for batch in gradients:
            count += 1
            for name, value in batch.items():
                sums[name] += value
                squares[name] += value.square()
        if count < 2:  # noise cannot be estimated from one batch
            return dict.fromkeys(weights, 1.0)
        ratios = {}
        for name, total in sums.items():
            signal = (total / count).square()
            noise = (squares[name] / count - signal).clamp(min=0)
            ratios[name] = float((signal / (noise + LEAST_NOISE)).mean())
        return ratios

    def share(self, relative: float) -> float:
        """1 if the relative ratio is at least the threshold, else 0."""
        return 1.0 if relative >= self._threshold else 0.0
