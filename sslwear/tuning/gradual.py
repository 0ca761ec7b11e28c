"""Gradual unfreezing: first the head, then one block after another from the head to the input."""

from __future__ import annotations

from typing import Any, Self

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.tuning.base import TuningStrategy
from sslwear.utils.arguments import argument


class GradualUnfreezing(TuningStrategy):
    """Gradual unfreezing: only the head learns at first, then the last frozen block is unfrozen every few epochs.

    After Howard and Ruder, 'Universal Language Model Fine-tuning for Text Classification', arXiv 1801.06146.

    Args:
        epochs: epochs between two unfreezings.
        encoder: encoder with the blocks.
    """

    name = "gradual"
    form = "gradual or gradual(3) (one more block every 3 epochs)"
    examples = ("gradual", "gradual(3)")

    def __init__(self, epochs: int, encoder: type[Encoder]) -> None:
        self._epochs = epochs
        self._blocks = encoder.block_names()
        self.spec = self.name if epochs == 1 else f"{self.name}({epochs})"

    @classmethod
    def parse(cls, text: str, encoder: type[Encoder]) -> Self | None:
        """Read ``gradual`` or ``gradual(3)``."""
        epochs = argument(text, cls.name, default=1)
        if epochs is None:
            return None
        if epochs < 1 or epochs != int(epochs):
            raise SettingsError(f"{text!r} unfreezes a block every {epochs:g} epochs. Give a whole number, 1 or more")
        return cls(int(epochs), encoder)

    @property
    def frozen(self) -> frozenset[str]:
        """Empty: no block is frozen in all epochs."""
        return frozenset()

    def frozen_in(self, epoch: int) -> frozenset[str]:
        """All blocks in the first epochs, then fewer; the first block is frozen longest."""
        unfrozen = (epoch - 1) // self._epochs
        return frozenset(self._blocks[: max(0, len(self._blocks) - unfrozen)])

    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """One group of all parameters; those of frozen blocks get no gradients."""
        return [{"params": list(network.parameters()), "lr": learning_rate}]
