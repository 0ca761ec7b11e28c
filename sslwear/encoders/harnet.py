"""harnet5, harnet10 and harnet30: 1-D ResNets with anti-aliased downsampling, as pre-trained on UK-Biobank.

Source: Yuan et al., 'Self-supervised learning for human activity recognition using 700,000 person-days of wearable
data', npj Digital Medicine 2024, 7:91. Tensor names and outputs agree with the published checkpoints.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sslwear.encoders.base import Encoder

KERNEL_SAMPLES = 5


class Block(NamedTuple):
    """Shape of one block: output channels, residual units, downsampling factor, and the order of its filter."""

    channels: int
    units: int
    factor: int
    order: int


def _convolution(channels_in: int, channels_out: int) -> nn.Conv1d:
    return nn.Conv1d(
        channels_in,
        channels_out,
        KERNEL_SAMPLES,
        padding=KERNEL_SAMPLES // 2,
        padding_mode="circular",
        bias=False,
    )


class ResidualUnit(nn.Module):
    """Batch norm, ReLU, convolution, twice, plus the input: (B, C, L) to (B, C, L)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm1d(channels)
        self.bn2 = nn.BatchNorm1d(channels)
        self.conv1 = _convolution(channels, channels)
        self.conv2 = _convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, C, L)."""
        y: Tensor = self.conv1(functional.relu(self.bn1(x)))
        y = self.conv2(functional.relu(self.bn2(y)))
        return x + y


class Downsample(nn.Module):
    """Fixed anti-aliasing filter and stride, (B, C, L) to (B, C, about L / factor).

    The filter is a box of `factor` samples convolved with itself `order` times, normalised to sum 1.
    """

    kernel: Tensor

    def __init__(self, channels: int, factor: int, order: int) -> None:
        super().__init__()
        self.stride = factor
        self.padding = order * (factor - 1) // 2
        box = np.ones(factor)
        taps = box
        for _ in range(order):
            taps = np.convolve(taps, box)
        kernel = torch.tensor(taps / taps.sum(), dtype=torch.get_default_dtype())
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, C, about L / factor)."""
        return functional.conv1d(x, self.kernel, stride=self.stride, padding=self.padding, groups=x.shape[1])


class Harnet(Encoder):
    """The family; a member sets `layout`, one entry a block."""

    layout: ClassVar[tuple[Block, ...]]

    def __init__(self) -> None:
        super().__init__()
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        channels_in = 3
        for name, block in zip(self.block_names(), self.layout, strict=True):
            blocks[name] = nn.Sequential(
                _convolution(channels_in, block.channels),
                *(ResidualUnit(block.channels) for _ in range(block.units)),
                nn.BatchNorm1d(block.channels),
                nn.ReLU(),
                Downsample(block.channels, block.factor, block.order),
            )
            channels_in = block.channels
        self.feature_extractor = nn.Sequential(blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Harnet5(Harnet):
    """For 5 s windows at 30 Hz."""

    name = "harnet5"
    window_samples = 150
    features = 512
    layout = (Block(64, 2, 2, 2), Block(128, 2, 2, 2), Block(256, 2, 3, 1), Block(256, 2, 3, 1), Block(512, 0, 3, 1))


class Harnet10(Harnet):
    """For 10 s windows at 30 Hz."""

    name = "harnet10"
    window_samples = 300
    features = 1024
    layout = (Block(64, 2, 2, 2), Block(128, 2, 2, 2), Block(256, 2, 5, 1), Block(512, 2, 5, 1), Block(1024, 0, 3, 1))


class Harnet30(Harnet):
    """For 30 s windows at 30 Hz."""

    name = "harnet30"
    window_samples = 900
    features = 1024
    layout = (Block(64, 2, 3, 1), Block(128, 2, 3, 1), Block(256, 2, 5, 1), Block(512, 2, 5, 1), Block(1024, 0, 4, 0))
