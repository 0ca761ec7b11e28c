"""Layer-wise learning-rate decay: lower learning rates nearer to the input."""

from __future__ import annotations

from typing import Any, Self

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.tuning.base import HEAD, TuningStrategy, parts
from sslwear.utils.arguments import argument


class LayerwiseDecay(TuningStrategy):
    """Layer-wise decay: each block learns at `decay` times the rate of the block or head after it.

    After Howard and Ruder, 'Universal Language Model Fine-tuning for Text Classification', arXiv 1801.06146, which
    calls it discriminative fine-tuning.

    Args:
        decay: factor between 0 and 1, both excluded.
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
            raise SettingsError(
                f"{text!r} has the decay {value:g}. Give more than 0 and less than 1, such as {cls.form}"
            )
        return cls(value)

    @property
    def frozen(self) -> frozenset[str]:
        """Empty: all blocks learn."""
        return frozenset()

    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """One group for each block and one for the head."""
        groups, rate = [], learning_rate
        for name, part in reversed(parts(network).items()):
            rate = learning_rate if name == HEAD else rate * self._decay
            groups.append({"params": list(part.parameters()), "lr": rate})
        return groups
