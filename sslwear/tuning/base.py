"""What every tuning strategy offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from torch import nn

from sslwear import plugins
from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError


class TuningStrategy(ABC):
    """Decides which blocks learn and at which rate; the head always learns, because it is new.

    Attributes:
        spec: canonical text of the strategy in a study file; two strategies that do the same have the same text.
    """

    name: ClassVar[str]
    form: ClassVar[str]
    """How a user writes it, for messages."""
    examples: ClassVar[tuple[str, ...]]
    """Texts of a study file that ask for it, one of each kind."""
    spec: str

    @classmethod
    @abstractmethod
    def parse(cls, text: str, encoder: type[Encoder]) -> Self | None:
        """Read a study file's ``tuned:`` value for an encoder, or return None when it is not of this strategy's form.

        Raises:
            SettingsError: when it is of this form and asks for something that does not exist.
        """

    @property
    @abstractmethod
    def frozen(self) -> frozenset[str]:
        """Names of the blocks that stay as they are for the whole of training."""

    @abstractmethod
    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """Parameter groups for the optimizer, each with its learning rate; no parameter of a frozen block is in one."""

    def freeze(self, network: Network) -> None:
        """Switch gradients off for the frozen blocks' parameters, and on for all others."""
        network.requires_grad_(True)
        for name in self.frozen:
            network.blocks[name].requires_grad_(False)

    def train_mode(self, network: Network) -> None:
        """Put the network into training mode and its frozen blocks into evaluation mode.

        `nn.Module.train` alone would let frozen batch norms go on adapting their running statistics.
        """
        network.train()
        for name in self.frozen:
            network.blocks[name].eval()


def parse(text: str, encoder: type[Encoder], key: str = "tuned") -> TuningStrategy:
    """Read a study file's ``tuned:`` value.

    Raises:
        SettingsError: when no strategy knows it; the message lists the forms that there are.
    """
    strategies = plugins.find("sslwear.tuning", TuningStrategy)
    for strategy in strategies.values():
        try:
            parsed: TuningStrategy | None = strategy.parse(text, encoder)
        except SettingsError as error:
            raise SettingsError(f"{key}: {error}") from error
        if parsed is not None:
            return parsed
    forms = "; ".join(strategy.form for strategy in strategies.values())
    raise SettingsError(f"{key}: there is no tuning strategy {text!r}; write {forms}")


def trainable_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that get gradients."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
