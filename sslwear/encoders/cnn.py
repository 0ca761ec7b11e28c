"""cnn5, cnn10 and cnn30: plain convolutional networks, for when time is short, or memory.

A harnet has 65 times the parameters of these, which have 0.16 million. The plan is that of VGG networks (Simonyan and
Zisserman, 'Very deep convolutional networks for large-scale image recognition', ICLR 2015), over time in place of
images, and with batch norm: small kernels, time halved by every block, and channels doubled by every second one. In the
end a window is described by each channel's mean over time and by its maximum.

Signals are images of one row, (B, channels, 1, L), with the channels side by side in memory, which PyTorch's kernels
compute fastest.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder

KERNEL_SAMPLES = 5
CHANNELS = (32, 32, 64, 64, 128)
"""Of each block's output."""


class Image(nn.Module):
    """Signals (B, C, L) as images of one row, (B, C, 1, L), with the channels side by side in memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, C, 1, L)."""
        return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


class MeanAndMaximum(nn.Module):
    """Each channel's mean and maximum over time: (B, C, 1, L) to (B, 2 * C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, 1, L) to (B, 2 * C)."""
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


def convolution(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    """Convolution over time that keeps its length, batch norm and ReLU."""
    layer = nn.Conv2d(channels_in, channels_out, (1, KERNEL_SAMPLES), padding=(0, KERNEL_SAMPLES // 2), bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer, nn.BatchNorm2d(channels_out), nn.ReLU()


class Cnn(Encoder):
    """The family; a member sets the length of its windows."""

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
    """For 5 s windows at 30 Hz."""

    name = "cnn5"
    window_samples = 150


class Cnn10(Cnn):
    """For 10 s windows at 30 Hz."""

    name = "cnn10"
    window_samples = 300


class Cnn30(Cnn):
    """For 30 s windows at 30 Hz."""

    name = "cnn30"
    window_samples = 900
