"""Base class of tuning strategies, and learning rates of the parts of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.utils import plugins
from sslwear.utils.arguments import argument as argument  # for strategies of other packages

HEAD = "head"
Gradients = Callable[[], Iterator[Mapping[str, Tensor]]]
"""Function that yields the gradients of the parameters that learn, by name, for a few batches of training windows. It
does not change the network."""


class TuningStrategy(ABC):
    """Base class of tuning strategies: which blocks learn, and at which rate.

    The head always learns, except with strategies that compute rates from gradients (`Automatic`).

    Attributes:
        spec: canonical text of the strategy in a study file; equal strategies have equal texts.
    """

    name: ClassVar[str]
    form: ClassVar[str]
    """Forms of the strategy in a study file, for messages."""
    examples: ClassVar[tuple[str, ...]]
    """Examples of texts in a study file, one of each form."""
    spec: str

    @classmethod
    @abstractmethod
    def parse(cls, text: str, encoder: type[Encoder]) -> Self | None:
        """Strategy for a ``tuning:`` value of a study file; None if the text has another form.

        Raises:
            SettingsError: when the text has this form but a value that is not allowed.
        """

    @property
    @abstractmethod
    def frozen(self) -> frozenset[str]:
        """Names of the blocks that are frozen in all epochs."""

    @abstractmethod
    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """Parameter groups of the optimizer with their learning rates, without the parameters of frozen blocks."""

    def frozen_in(self, epoch: int) -> frozenset[str]:
        """Names of the blocks that are frozen in an epoch, counted from 1; an unfrozen block is never frozen again."""
        return self.frozen

    def start_epoch(self, epoch: int, network: Network, optimizer: torch.optim.Optimizer, gradients: Gradients) -> None:
        """Set which parameters learn in an epoch, and how fast.

        Args:
            epoch: number of the epoch, from 1.
            network: network in training.
            optimizer: optimizer with the groups of `parameter_groups`.
            gradients: for strategies that compute rates from gradients; it costs nothing if it is not called.
        """
        self.freeze(network, epoch)

    def freeze(self, network: Network, epoch: int) -> None:
        """Put the blocks that learn into training mode, and frozen blocks into evaluation mode without gradients.

        With `nn.Module.train` alone the running statistics of frozen batch norms would change.
        """
        frozen = self.frozen_in(epoch)
        for name, part in parts(network).items():
            part.requires_grad_(name not in frozen)
            set_mode(part, name not in frozen)


def parse(text: str, encoder: type[Encoder], key: str = "tuning") -> TuningStrategy:
    """Tuning strategy for a ``tuning:`` value of a study file.

    Raises:
        SettingsError: when no strategy has this form; the message lists the forms.
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
    raise SettingsError(f"{key}: there is no tuning strategy {text!r}. Write {forms}")


def parts(network: Network) -> dict[str, nn.Module]:
    """Blocks by name, and the head."""
    return {**network.blocks, HEAD: network.classifier}


def set_mode(part: nn.Module, training: bool) -> None:
    """Put a block or the head into training or evaluation mode, if it is not in it."""
    if part.training != training:  # the change visits all modules, which takes longer than an epoch of a head
        part.train(training)


@dataclass(frozen=True)
class Learning:
    """Learning rate of a block or the head, and number of its parameters that learn.

    Attributes:
        rate: mean learning rate over the parameters (numbers, not tensors); frozen ones count as 0.
        parameters: number of parameters that learn.
        tensors: learning rate of each tensor by name; 0 for a frozen one.
    """

    rate: float
    parameters: int
    tensors: Mapping[str, float]


def learning(network: Network, optimizer: torch.optim.Optimizer) -> dict[str, Learning]:
    """Current learning rates of each block and the head."""
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    found = {}
    for name, part in parts(network).items():
        tensors, counts = dict[str, float](), dict[str, int]()
        for tensor, parameter in part.named_parameters():
            tensors[tensor] = rates.get(parameter, 0.0) if parameter.requires_grad else 0.0
            counts[tensor] = parameter.numel()
        weighted = sum(counts[tensor] * rate for tensor, rate in tensors.items())
        learns = sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)
        found[name] = Learning(weighted / max(1, sum(counts.values())), learns, tensors)
    return found
