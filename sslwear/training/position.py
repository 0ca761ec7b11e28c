"""Where a training is within an epoch, and the states of its network and of random numbers, for checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from sslwear.encoders.base import Network


@dataclass
class Position:
    """Where a training is within an epoch.

    Attributes:
        order: state of the generator of the windows' order, at the start of the epoch.
        batches: number of batches so far.
        windows: number of windows so far.
        rates: learning rates of the epoch without the factor of the schedule; empty before the epoch starts.
        factors: factors of the schedule so far.
        sums: sums of losses and of their weights so far (2,), one for each batch.
        averaged: whether the weights were averaged after the last batch.
        seconds: duration of the epoch so far.
    """

    order: Tensor
    batches: int = 0
    windows: int = 0
    rates: list[float] = field(default_factory=list)
    factors: list[float] = field(default_factory=list)
    sums: list[Tensor] = field(default_factory=list)
    averaged: bool = False
    seconds: float = 0.0

    def add(self, sums: Tensor, factor: float, windows: int) -> None:
        """Count a batch.

        Args:
            sums: sum of its losses and sum of their weights (2,).
            factor: factor of the schedule.
            windows: its number of windows.
        """
        self.sums.append(sums)
        self.factors.append(factor)
        self.windows += windows
        self.batches += 1

    def state(self) -> dict[str, Any]:
        """The position in a form that `of` reads; it does not change with the position."""
        sums = torch.stack(self.sums).cpu() if self.sums else None
        return {**vars(self), "sums": sums, "factors": list(self.factors), "rates": list(self.rates)}

    @classmethod
    def of(cls, state: dict[str, Any], device: torch.device) -> Self:
        """The position of a state, for a training on a device."""
        return cls(**{**state, "sums": [] if state["sums"] is None else list(state["sums"].to(device))})


def network_state(network: Network) -> dict[str, Any]:
    """Tensors of a network, which of them learn, and the modes of its modules."""
    return {
        "tensors": network.state_dict(),
        "learns": {name: value.requires_grad for name, value in network.named_parameters()},
        "training": {name: module.training for name, module in network.named_modules()},
    }


def restore_network(network: Network, state: dict[str, Any]) -> None:
    """Put a network into a state of `network_state`."""
    network.load_state_dict(state["tensors"])
    for name, value in network.named_parameters():
        value.requires_grad_(state["learns"][name])
    for name, module in network.named_modules():
        module.training = state["training"][name]


def global_state(device: torch.device) -> dict[str, Tensor]:
    """States of PyTorch's global generators, from which some networks draw."""
    found = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    return found


def restore_global(device: torch.device, state: dict[str, Tensor]) -> None:
    """Put PyTorch's global generators into a state of `global_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
