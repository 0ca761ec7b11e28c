"""What every tuning strategy offers."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.utils import plugins

HEAD = "head"
Gradients = Callable[[], Iterator[Mapping[str, Tensor]]]
"""Gives, batch by batch, the gradients of the parameters that learn, by name, at the weights as they are; some batches
of training windows, which change nothing in the network."""


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
        """Read a study file's ``tuning:`` value for an encoder, or return None when it is not of this strategy's form.

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

    def frozen_in(self, epoch: int) -> frozenset[str]:
        """Names of the blocks that stay as they are in an epoch, from 1; a block that has begun to learn goes on."""
        return self.frozen

    def start_epoch(self, epoch: int, network: Network, optimizer: torch.optim.Optimizer, gradients: Gradients) -> None:
        """Make network and optimizer ready for an epoch: what learns, and how fast.

        Args:
            epoch: from 1.
            network: what is trained.
            optimizer: has the groups of `parameter_groups`.
            gradients: for strategies that set rates by them; costs nothing when it is not called.
        """
        self.freeze(network, epoch)

    def freeze(self, network: Network, epoch: int) -> None:
        """Put what learns in an epoch into training mode with gradients, and the rest into evaluation mode without.

        `nn.Module.train` alone would let frozen batch norms go on adapting their running statistics.
        """
        frozen = self.frozen_in(epoch)
        for name, part in parts(network).items():
            part.requires_grad_(name not in frozen)
            set_mode(part, name not in frozen)


def parse(text: str, encoder: type[Encoder], key: str = "tuning") -> TuningStrategy:
    """Read a study file's ``tuning:`` value.

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


def argument(text: str, name: str, default: float | None) -> float | None:
    """The number of a strategy that is written ``name(number)``.

    Args:
        text: of a study file.
        name: the strategy's.
        default: the number that ``name`` by itself means, or None where it has to be given.

    Returns:
        The number, or None when the text is not of that form.

    Raises:
        SettingsError: when what is in the brackets is not a number, or nothing is and it has to be given.
    """
    match = re.fullmatch(rf"{name}\s*(?:\(\s*(.*?)\s*\))?", text.strip())
    if match is None:
        return None
    if match[1] is None and default is not None:
        return default
    try:
        value = float(match[1] or "")
        if not math.isfinite(value):
            raise ValueError("not finite")
    except ValueError as error:
        raise SettingsError(f"{text!r} lacks a number in brackets; write {name}(NUMBER)") from error
    return value


def parts(network: Network) -> dict[str, nn.Module]:
    """The blocks by name, and the head."""
    return {**network.blocks, HEAD: network.classifier}


def set_mode(part: nn.Module, training: bool) -> None:
    """Put a block or the head into training or evaluation mode, unless it is in it."""
    if part.training != training:  # going through all of its modules takes longer than an epoch of a head's batches
        part.train(training)


@dataclass(frozen=True)
class Learning:
    """How fast a block or the head learns, and how much of it.

    Attributes:
        rate: mean learning rate over its parameters (numbers, not tensors), those that rest counting 0.
        parameters: how many of them get gradients.
        tensors: the rate of each of its tensors by name, 0 for one that rests.
    """

    rate: float
    parameters: int
    tensors: Mapping[str, float]


def learning(network: Network, optimizer: torch.optim.Optimizer) -> dict[str, Learning]:
    """How fast each block and the head learn as network and optimizer are set."""
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
