"""Auto-RGN: tensors learn the faster, the larger their gradient is for their size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from torch import Tensor

from sslwear.encoders.base import Encoder
from sslwear.tuning.automatic import Automatic


class AutoRgn(Automatic):
    """Relative gradient norm: a tensor's rate is proportional to its gradient's norm over its own.

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
        """Mean over the batches of the gradient's norm over the weights' norm; 0 for weights that are all 0."""
        norms = {name: float(value.norm()) for name, value in weights.items()}
        batches = [{name: float(value.norm()) for name, value in batch.items()} for batch in gradients]
        return {
            name: sum(batch[name] for batch in batches) / len(batches) / norm if norm > 0 else 0.0
            for name, norm in norms.items()
        }
