"""harnet5, harnet10 and harnet30: 1-D ResNets with anti-aliased downsampling, published with UK-Biobank weights.

Source: Yuan et al., 'Self-supervised learning for human activity recognition using 700,000 person-days of wearable
data', npj Digital Medicine 2024, 7:91. Tensor names and outputs agree with the published checkpoints.

Signals (B, channels, L) are computed as images with one row in channels-last memory format: PyTorch's kernels for
images are faster than those for signals, on CPUs and on GPUs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from sslwear.encoders.base import Encoder

KERNEL_SAMPLES = 5
MARGIN = KERNEL_SAMPLES // 2


class Block(NamedTuple):
    """Layout of a block: output channels, residual units, downsampling factor and order of its filter."""

    channels: int
    units: int
    factor: int
    order: int


def image(x: Tensor) -> Tensor:
    """View of signals (B, C, L) as images (B, C, 1, L), in channels-last memory format."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


class _Wrap(torch.autograd.Function):
    """Circular padding over time of images (B, C, 1, L); the backward pass of PyTorch's own is slower."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        """Map (B, C, 1, L) to (B, C, 1, L + 2 * MARGIN)."""
        return torch.cat([x[..., -MARGIN:], x, x[..., :MARGIN]], dim=-1)

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:
        """Add the gradients of the padding to those of the samples that it was copied from."""
        inner = gradient[..., MARGIN:-MARGIN].contiguous(memory_format=torch.channels_last)
        inner[..., -MARGIN:] += gradient[..., :MARGIN]
        inner[..., :MARGIN] += gradient[..., -MARGIN:]
        return inner


class Convolution(nn.Conv1d):
    """Convolution over time with circular padding, without bias: (B, C, L) to (B, channels_out, L)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, KERNEL_SAMPLES, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, channels_out, L)."""
        length = x.shape[-1]
        padded: Tensor = _Wrap.apply(image(x))  # type: ignore[no-untyped-call]
        if length > KERNEL_SAMPLES:
            return functional.conv2d(padded, self.weight.unsqueeze(2)).squeeze(2)
        # The kernel covers all samples; one matrix product is faster than the backward pass of a convolution.
        samples = padded.squeeze(2).transpose(1, 2)
        patches = torch.cat([samples[:, i : i + length] for i in range(KERNEL_SAMPLES)], dim=2)
        return functional.linear(patches, self.weight.transpose(1, 2).flatten(1)).transpose(1, 2)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm for signals (B, C, L)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, C, L)."""
        return super().forward(image(x)).squeeze(2)


class ResidualUnit(nn.Module):
    """Residual unit of twice batch norm, ReLU and convolution: (B, C, L) to (B, C, L)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = BatchNorm(channels)
        self.bn2 = BatchNorm(channels)
        self.conv1 = Convolution(channels, channels)
        self.conv2 = Convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, C, L)."""
        y: Tensor = self.conv1(functional.relu(self.bn1(x)))
        y = self.conv2(functional.relu(self.bn2(y)))
        return x + y


class Downsample(nn.Module):
    """Downsampling with a fixed anti-aliasing filter: (B, C, L) to (B, C, about L / factor).

    The filter is a box of `factor` samples convolved with itself `order` times, normalised to sum 1, and the same for
    all channels. It is applied as a matrix over time, because the backward pass of a depth-wise convolution is slow.
    """

    kernel: Tensor

    def __init__(self, channels: int, factor: int, order: int) -> None:
        super().__init__()
        self.stride = factor
        self.padding = order * (factor - 1) // 2
        box = np.ones(factor)
        taps: NDArray[np.floating] = box
        for _ in range(order):
            taps = np.convolve(taps, box)
        kernel = torch.tensor(taps / taps.sum(), dtype=torch.get_default_dtype())
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1))

    def extra_repr(self) -> str:
        """Stride and padding, for the printed network."""
        return f"stride={self.stride}, padding={self.padding}"

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to (B, C, about L / factor)."""
        unit = torch.eye(x.shape[-1], device=x.device).unsqueeze(1)
        with torch.autocast(x.device.type, enabled=False):
            matrix = functional.conv1d(unit, self.kernel[:1].float(), stride=self.stride, padding=self.padding)
        return (matrix.squeeze(1).T.to(x.dtype) @ x.transpose(1, 2)).transpose(1, 2)


class Harnet(Encoder):
    """Base class of the harnets; a subclass sets `layout`, one entry for each block."""

    layout: ClassVar[tuple[Block, ...]]

    def __init__(self) -> None:
        super().__init__()
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        channels_in = 3
        for name, block in zip(self.block_names(), self.layout, strict=True):
            blocks[name] = nn.Sequential(
                Convolution(channels_in, block.channels),
                *(ResidualUnit(block.channels) for _ in range(block.units)),
                BatchNorm(block.channels),
                nn.ReLU(),
                Downsample(block.channels, block.factor, block.order),
            )
            channels_in = block.channels
        self.feature_extractor = nn.Sequential(blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Harnet5(Harnet):
    """harnet5 for 5 s windows at 30 Hz."""

    name = "harnet5"
    window_samples = 150
    features = 512
    layout = (Block(64, 2, 2, 2), Block(128, 2, 2, 2), Block(256, 2, 3, 1), Block(256, 2, 3, 1), Block(512, 0, 3, 1))


class Harnet10(Harnet):
    """harnet10 for 10 s windows at 30 Hz."""

    name = "harnet10"
    window_samples = 300
    features = 1024
    layout = (Block(64, 2, 2, 2), Block(128, 2, 2, 2), Block(256, 2, 5, 1), Block(512, 2, 5, 1), Block(1024, 0, 3, 1))


class Harnet30(Harnet):
    """harnet30 for 30 s windows at 30 Hz."""

    name = "harnet30"
    window_samples = 900
    features = 1024
    layout = (Block(64, 2, 3, 1), Block(128, 2, 3, 1), Block(256, 2, 5, 1), Block(512, 2, 5, 1), Block(1024, 0, 4, 0))
