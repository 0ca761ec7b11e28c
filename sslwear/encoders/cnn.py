"""cnn5, cnn10 and cnn30: small convolutional networks for little time or memory.

They have 0.16 million parameters; a harnet has 65 times as many. The architecture follows VGG networks (Simonyan and
Zisserman, 'Very deep convolutional networks for large-scale image recognition', ICLR 2015), with time in place of image
axes and with batch norm: kernels are small, every block halves the length, and every second block doubles the channels.
The features are the mean and the maximum of each channel over time.

Signals are images with one row, (B, channels, 1, L), in channels-last memory format, which is the fastest in PyTorch.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder

KERNEL_SAMPLES = 5
CHANNELS = (32, 32, 64, 64, 128)
"""Output channels of each block."""


class Image(nn.Module):
    """View of signals (B, C, L) as images with one row (B, C, 1, L), in channels-last memory format."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, C, 1, L)."""
        return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


class MeanAndMaximum(nn.Module):
    """Mean and maximum of each channel over time: (B, C, 1, L) to (B, 2 * C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, 1, L) to (B, 2 * C)."""
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


def convolution(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    """Convolution over time that keeps the length, batch norm and ReLU."""
    layer = nn.Conv2d(channels_in, channels_out, (1, KERNEL_SAMPLES), padding=(0, KERNEL_SAMPLES // 2), bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer, nn.BatchNorm2d(channels_out), nn.ReLU()


class Cnn(Encoder):
    """Base class of the small networks; a subclass sets the window length."""

    features = 2 * CHANNELS[-1]

    def __init__(self) -> None:
        super().__init__()
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        first, last = self.block_names()[0], self.block_names()[-1]
        channels_in = 3
        for name, channels in zip(self.block_names(), CHANNELS, strict=True):
            blocks[name] = nn.Sequential(
                *([Image()] if name == first else []),
                *convolution(channels_in, channels),
                nn.AvgPool2d((1, 2)),
                *([*convolution(channels, channels), MeanAndMaximum()] if name == last else []),
            )
            channels_in = channels
        self.feature_extractor = nn.Sequential(blocks)


class Cnn5(Cnn):
    """Small network for 5 s windows at 30 Hz."""

    name = "cnn5"
    window_samples = 150


class Cnn10(Cnn):
    """Small network for 10 s windows at 30 Hz."""

    name = "cnn10"
    window_samples = 300


class Cnn30(Cnn):
    """Small network for 30 s windows at 30 Hz."""

    name = "cnn30"
    window_samples = 900
