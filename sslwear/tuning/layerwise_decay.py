"""Layer-wise learning-rate decay: all blocks learn, the nearer to the input the slower."""

from __future__ import annotations

from typing import Any, Self

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.tuning.base import HEAD, TuningStrategy, argument, parts


class LayerwiseDecay(TuningStrategy):
    """The head learns at the full rate, each block at `decay` times the rate of what follows it.

    After Howard and Ruder, 'Universal Language Model Fine-tuning for Text Classification', arXiv 1801.06146, where it
    is called discriminative fine-tuning.

    Args:
        decay: more than 0 and less than 1.
    """

    name = "layerwise_decay"
    form = "layerwise_decay(0.7)"
    examples = ("layerwise_decay(0.7)", "layerwise_decay(0.5)")

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.spec = f"{self.name}({decay})"

    @classmethod
    def parse(cls, text: str, encoder: type[Encoder]) -> Self | None:
        """Read ``layerwise_decay(0.7)``."""
        value = argument(text, cls.name, default=None)
        if value is None:
            return None
        if not 0 < value < 1:
            raise SettingsError(f"{text!r} decays by {value:g}; give more than 0 and less than 1, such as {cls.form}")
        return cls(value)

    @property
    def frozen(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """One group a block and one for the head."""
        groups, rate = [], learning_rate
        for name, part in reversed(parts(network).items()):
            rate = learning_rate if name == HEAD else rate * self._decay
            groups.append({"params": list(part.parameters()), "lr": rate})
        return groups
