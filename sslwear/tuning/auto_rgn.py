"""Auto-RGN: learning rates by relative gradient norm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from torch import Tensor

from sslwear.encoders.base import Encoder
from sslwear.tuning.automatic import Automatic


class AutoRgn(Automatic):
    """Learning rates proportional to the relative gradient norm: the gradient's norm over the tensor's own norm.

    Source: Lee et al., 'Surgical Fine-Tuning Improves Adaptation to Distribution Shifts', arXiv 2210.11466, Auto-RGN.
    """

    name = "auto_rgn"
    form = "auto_rgn"
    examples = ("auto_rgn",)

    def __init__(self) -> None:
        self.spec = self.name

    @classmethod
    def parse(cls, text: str, encoder: type[Encoder]) -> Self | None:
        """Read ``auto_rgn``."""
        return cls() if text == cls.name else None

    def measure(self, weights: Mapping[str, Tensor], gradients: Iterator[Mapping[str, Tensor]]) -> dict[str, float]:
        """Relative gradient norm of each tensor, averaged over batches; 0 for a tensor of zeros."""
        norms = {name: float(value.norm()) for name, value in weights.items()}
        batches = [{name: float(value.norm()) for name, value in batch.items()} for batch in gradients]
        return {
            name: sum(batch[name] for batch in batches) / len(batches) / norm if norm > 0 else 0.0
            for name, norm in norms.items()
        }
