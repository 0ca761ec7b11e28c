"""Base class of strategies with learning rates computed from gradients before each epoch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from sslwear.encoders.base import Network
from sslwear.tuning.base import Gradients, TuningStrategy, parts


class Automatic(TuningStrategy):
    """Base class of strategies that set the learning rate of each tensor from gradients.

    A tensor's rate is the study's learning rate times a share from 0 to 1; the largest share is 1. As in Lee et al.,
    shares are computed for the tensors of convolutions and linear layers. Scales and offsets of batch norms learn at
    the mean rate of the other tensors of their block. A tensor with the share 0 is frozen for the epoch.

    The tensors of the head have shares too, so the head may learn at a lower rate or be frozen. With shares among the
    blocks only and the head at the full rate, `auto_rgn` had no higher kappa on the smart watch (0.775 and not 0.778
    with multiscale, 0.706 and not 0.762 with cnn10, one seed), and `auto_snr` froze nothing.
    """

    @property
    def frozen(self) -> frozenset[str]:
        """Empty: no block is frozen in all epochs."""
        return frozenset()

    @abstractmethod
    def measure(self, weights: Mapping[str, Tensor], gradients: Iterator[Mapping[str, Tensor]]) -> dict[str, float]:
        """Measure of each tensor from which its share is computed, by name.

        Args:
            weights: tensors by name.
            gradients: gradients of the tensors by name, batch by batch.
        """

    def share(self, relative: float) -> float:
        """Share of the learning rate of a tensor, from its measure relative to the largest one."""
        return relative

    def parameter_groups(self, network: Network, learning_rate: float) -> list[dict[str, Any]]:
        """One group for each tensor; `start_epoch` sets the rates."""
        return [
            {"params": [value], "lr": learning_rate, "name": name, "full_rate": learning_rate}
            for name, value in network.named_parameters()
        ]

    def start_epoch(self, epoch: int, network: Network, optimizer: torch.optim.Optimizer, gradients: Gradients) -> None:
        """Set the rate of every tensor from new gradients."""
        self.freeze(network, epoch)
        tensors = dict(network.named_parameters())
        norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
        left_out = {value for module in norms for value in module.parameters(recurse=False)}
        weights = {name: value.detach() for name, value in tensors.items() if value not in left_out}
        measured = self.measure(weights, ({name: batch[name] for name in weights} for batch in gradients()))
        largest = max(measured.values())
        shares = {name: self.share(value / largest) if largest > 0 else 1.0 for name, value in measured.items()}
        groups = {group["name"]: group for group in optimizer.param_groups}
        names = {value: name for name, value in tensors.items()}
        for part in parts(network).values():
            mine = [names[value] for value in part.parameters()]
            known = [shares[name] for name in mine if name in shares]
            for name in mine:
                share = shares.get(name, sum(known) / len(known) if known else 1.0)
                groups[name]["lr"] = share * groups[name]["full_rate"]
                tensors[name].requires_grad_(share > 0)
