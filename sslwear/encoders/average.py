"""Average of several networks, which is a network itself."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sslwear.encoders.base import Network

BLOCK = "average"
"""Name of the only block of an averaged network, which holds the networks."""


class Average(nn.Module):
    """Logarithm of the mean class probability of several networks: windows (B, 3, samples) to (B, classes).

    A softmax of the output gives the mean probabilities.

    Args:
        networks: classifiers of the same classes, in the same order, whose softmax gives probabilities.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (B, 3, samples) to logarithms of mean probabilities (B, classes)."""
        each = torch.stack([network(x).log_softmax(dim=1) for network in self.networks])
        return each.logsumexp(dim=0) - math.log(len(self.networks))


@dataclass
class _Blocks:
    feature_extractor: nn.Sequential


def averaged(networks: Sequence[nn.Module]) -> Network:
    """The network that averages the class probabilities of several classifiers; of one network it is that network.

    It has one block, `BLOCK`, and no head of its own, and is computed in float32.
    """
    if len(networks) == 1 and isinstance(networks[0], Network):
        return networks[0]
    return Network(_Blocks(nn.Sequential(OrderedDict([(BLOCK, Average(networks))]))), nn.Identity())
