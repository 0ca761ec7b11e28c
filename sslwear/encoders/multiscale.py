"""multiscale: a small network of parallel dilated convolutions, for windows of any length from 1 s.

A window is seen as six channels: the three axes, the length of acceleration, and acceleration along and across gravity,
whose direction is a moving average. The first block filters the channels. Each of the next three has parallel
convolutions with growing dilations (Yu and Koltun, ICLR 2016), so that it sees short and long movements, and halves the
length of the signal. The mean, the maximum and the share of samples above the mean are taken from the signals of these
blocks; the share follows MiniRocket (Dempster et al., KDD 2021). The last block standardises these numbers, which are
the features. Their number does not depend on the length of a window.

The output of a block is one tensor (B, F + L * C): the F numbers that were taken so far, and the signal (L, C). The
signal is in the order of channels-last images, so that no block rearranges it in memory.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslwear.encoders.base import Encoder
from sslwear.encoders.harnet import image

INPUTS = 6
GRAVITY_SAMPLES = 45
"""Length of the moving average for the direction of gravity: 1.5 s at 30 Hz."""
LEAST_GRAVITY_G = 0.1
"""Smallest length that a direction is divided by, so that noise in free fall is not magnified."""
STEM_SAMPLES, KERNEL_SAMPLES = 9, 7
DILATIONS = (1, 2, 4, 8)
CHANNELS = (16, 16, 32, 64)
"""Output channels of the first four blocks."""
TAKEN = 3
"""Numbers that are taken from a channel."""
STEEPNESS = 4.0
"""Steepness of the sigmoid that counts a sample as above the mean, in standard deviations of the channel."""
LEAST_SPREAD = 1e-3


def channels(x: Tensor) -> Tensor:
    """Channels of windows.

    Args:
        x: windows (B, 3, samples) in g.

    Returns:
        (B, 6, samples) in g: the axes, the length of acceleration minus 1 g, acceleration along gravity minus 1 g, and
        the length of acceleration across gravity.
    """
    size = min(GRAVITY_SAMPLES, (x.shape[-1] - 1) // 2 * 2 + 1)  # odd
    gravity = functional.avg_pool1d(x, size, stride=1, padding=size // 2, count_include_pad=False)
    gravity = gravity / _length(gravity).clamp(min=LEAST_GRAVITY_G)
    along = (x * gravity).sum(dim=1, keepdim=True)
    across, length = _length(x - along * gravity), _length(x)
    return torch.cat([x, length - 1, along - 1, across], dim=1)


def _length(x: Tensor) -> Tensor:
    """Euclidean length (B, 1, L) of vectors (B, 3, L); PyTorch's own norm over this axis takes ten times as long."""
    return x.square().sum(dim=1, keepdim=True).sqrt()


def taken(signal: Tensor) -> Tensor:
    """Mean, maximum and share of samples above the mean of each channel: (B, L, C) to (B, 3 * C)."""
    mean = signal.mean(dim=1, keepdim=True)
    above = signal - mean
    spread = (above.square().mean(dim=1, keepdim=True) + LEAST_SPREAD**2).sqrt()
    share = torch.sigmoid(above * (STEEPNESS / spread)).mean(dim=1)
    highest = signal.amax(dim=1)  # in bf16, equal maxima are common; they share the gradient
    return torch.cat([mean.squeeze(1), highest, share], dim=1)


def convolution(channels_in: int, channels_out: int, size: int, dilation: int = 1) -> nn.Conv2d:
    """Convolution over time of images with one row, which keeps their length."""
    padding, step = (0, size // 2 * dilation), (1, dilation)
    return nn.Conv2d(channels_in, channels_out, (1, size), padding=padding, dilation=step, bias=False)


def signal_of(images: Tensor) -> Tensor:
    """Signals (B, L, C) of images (B, C, 1, L), a view of those in channels-last memory format."""
    return images.squeeze(2).transpose(1, 2)


class Stem(nn.Module):
    """First block, a filter: (B, 3, samples) to (B, samples * C).

    Args:
        channels_out: number of channels C.
    """

    def __init__(self, channels_out: int) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm1d(INPUTS)
        self.filter = convolution(INPUTS, channels_out, STEM_SAMPLES)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, samples) to (B, samples * C)."""
        return signal_of(functional.relu(self.norm(self.filter(image(self.input_norm(channels(x))))))).flatten(1)


class Stage(nn.Module):
    """Block of parallel dilated convolutions with a residual connection.

    Args:
        earlier: how many numbers earlier blocks have taken.
        channels_in: channels of its input signal.
        channels_out: channels C of its output signal.
        last: whether it is the last one, whose output has no signal.
    """

    def __init__(self, earlier: int, channels_in: int, channels_out: int, last: bool) -> None:
        super().__init__()
        self.earlier, self.channels_in, self.last = earlier, channels_in, last
        width = channels_out // 2
        self.branches = nn.ModuleList(convolution(channels_in, width, KERNEL_SAMPLES, step) for step in DILATIONS)
        self.branch_norm = nn.BatchNorm2d(width * len(DILATIONS))
        self.join = convolution(width * len(DILATIONS), channels_out, 1)
        self.norm = nn.BatchNorm2d(channels_out)
        self.shortcut = convolution(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, F + L * C_in) to (B, F + 3 * C + (L // 2) * C), or to (B, F + 3 * C) if it is the last one."""
        # len(x) would be a constant in an exported network, which then takes no other number of windows
        signal = x[:, self.earlier :].reshape(x.shape[0], -1, self.channels_in)
        images = image(signal.transpose(1, 2))
        filtered = torch.cat([branch(images) for branch in self.branches], dim=1)
        filtered = self.norm(self.join(functional.relu(self.branch_norm(filtered))))
        images = functional.relu(filtered + self.shortcut(images))
        numbers = torch.cat([x[:, : self.earlier], taken(signal_of(images))], dim=1)
        if self.last:
            return numbers
        return torch.cat([numbers, signal_of(functional.avg_pool2d(images, (1, 2))).flatten(1)], dim=1)


class Multiscale(Encoder):
    """Small network for windows of any length from 1 s at 30 Hz; 10 s where the length is not known."""

    name = "multiscale"
    window_samples = 300
    features = TAKEN * sum(CHANNELS[1:])
    shortest_s = 1.0

    def __init__(self) -> None:
        super().__init__()
        first, *middle, last = self.block_names()
        blocks: OrderedDict[str, nn.Module] = OrderedDict({first: Stem(CHANNELS[0])})
        earlier = 0
        for name, channels_in, channels_out in zip(middle, CHANNELS[:-1], CHANNELS[1:], strict=True):
            blocks[name] = Stage(earlier, channels_in, channels_out, last=name == middle[-1])
            earlier += TAKEN * channels_out
        blocks[last] = nn.BatchNorm1d(earlier)
        self.feature_extractor = nn.Sequential(blocks)
