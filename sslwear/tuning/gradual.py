"""Gradual unfreezing: the head first, then one block after another down to the input."""

from __future__ import annotations

from typing import Any, Self

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.tuning.base import TuningStrategy, argument


class GradualUnfreezing(TuningStrategy):
    """Only the head learns at first, and every so many epochs the last block that is still frozen joins in.

    After Howard and Ruder, 'Universal Language Model Fine-tuning for Text Classification', arXiv 1801.06146.

    Args:
        epochs: that pass before a further block begins to learn.
        encoder: whose blocks they are.
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
            raise SettingsError(f"{text!r} asks for a block every {epochs:g} epochs; give a whole number, 1 or more")
        return cls(int(epochs), encoder)

    @property
    def frozen(self) -> frozenset[str]:
        """None for the whole of training."""
        return frozenset()

    def frozen_in(self, epoch: int) -> frozenset[str]:
        """All blocks in the first epochs, then fewer and fewer, those near the input longest."""
        thawed = (epoch - 1) // self._epochs
        return frozenset(self._blocks[: max(0, len(self._blocks) - thawed)])

    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """One group, of all parameters; those that are frozen in an epoch get no gradients."""
        return [{"params": list(network.parameters()), "lr": learning_rate}]
