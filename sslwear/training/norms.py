"""Batch norms in training: statistics of their first batches, and of a whole batch on several processes.

PyTorch's `SyncBatchNorm` computes on graphics cards only. This one computes anywhere, so that the same code is tested
on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sslwear.training.processes import Processes

_counted = True


class NewNorms:
    """Batch norms whose running statistics are the mean over the batches so far, while these are few.

    Running statistics start at mean 0 and variance 1, which their exponential average has forgotten after some 40
    batches only. Until then an evaluation computes with wrong statistics, and early stopping on few windows would keep
    the first epoch.

    Args:
        network: network in training.
    """

    def __init__(self, network: nn.Module) -> None:
        self._norms = [
            module
            for module in network.modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats and module.momentum is not None
        ]

    @property
    def settled(self) -> bool:
        """Whether all norms in training have had enough batches, so that `averaged` changes nothing any more."""
        return not any(norm.training for norm in self._norms)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The forward pass of a training step; norms that are frozen, or have had enough batches, stay as they are."""
        momenta = {}
        for norm in [norm for norm in self._norms if norm.training]:
            assert norm.num_batches_tracked is not None
            assert norm.momentum is not None
            share = 1 / (int(norm.num_batches_tracked) + 1)
            if share > norm.momentum:
                momenta[norm], norm.momentum = norm.momentum, share
            else:
                self._norms.remove(norm)
        try:
            yield
        finally:
            for norm, momentum in momenta.items():
                norm.momentum = momentum


@contextmanager
def left_out() -> Iterator[None]:
    """Forward passes that no process's statistics count, of a process that has no window of a batch."""
    global _counted
    _counted = False
    try:
        yield
    finally:
        _counted = True


class InStep(_BatchNorm):
    """Batch norm with the statistics of all processes, mixed into the class of a batch norm by `in_step`."""

    processes: Processes

    def forward(self, x: Tensor) -> Tensor:
        """Standardise the features (B, C, ...) of this process's part of a batch."""
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        y, mean, variance, count = _Standardised.apply(x, self.weight, self.bias, self.eps, self.processes, _counted)  # type: ignore[no-untyped-call]
        if self.running_mean is not None and self.running_var is not None:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean.to(self.running_mean), share)
            self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var), share)
        return y  # type: ignore[no-any-return]


class _Standardised(torch.autograd.Function):
    """Standardised features, scaled and shifted; see Ioffe and Szegedy, arXiv 1502.03167, for the gradient."""

    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, processes: Processes, counted: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features in the type of `x`; and mean (C,), variance (C,) and number of values of all processes."""
        values, axes = x.float(), [0, *range(2, x.ndim)]
        count = values.numel() // values.shape[1]
        mean = values.sum(axes) / count
        squares = (values - _wide(mean, x)).square().sum(axes)
        # Means and squares of each process are combined as by Chan et al., which loses no digits.
        mine = torch.cat([mean, squares, mean.new_tensor([count])]) * counted
        each = mine.new_zeros(processes.count, len(mine))
        each[processes.rank] = mine
        means, parts, counts = torch.tensor_split(processes.total(each), [len(mean), 2 * len(mean)], dim=1)
        total = counts.sum()
        mean = (counts * means).sum(0) / total
        variance = (parts + counts * (means - mean).square()).sum(0) / total
        scale = (variance + eps).rsqrt()
        standard = (values - _wide(mean, x)) * _wide(scale, x)
        context.save_for_backward(standard, weight, scale, total)
        context.processes, context.axes, context.counted = processes, axes, counted
        context.mark_non_differentiable(mean, variance, total)
        y = (standard * _wide(weight, x) + _wide(bias, x)).to(x.dtype)
        return y, mean, variance, total

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        """Gradients of the features, and of this process's part of the scales and shifts."""
        standard, weight, scale, total = context.saved_tensors
        wide, axes = gradient.float(), context.axes
        shifts, scales = wide.sum(axes), (wide * standard).sum(axes)
        means = context.processes.total(torch.stack([shifts, scales])) / total
        x = wide - _wide(means[0], wide) - standard * _wide(means[1], wide)
        x = x * _wide(weight * scale, wide) if context.counted else torch.zeros_like(x)
        return x.to(gradient.dtype), scales, shifts, None, None, None


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """Values of channels (C,) as (1, C, 1, ...)."""
    return values.view(1, -1, *[1] * (like.ndim - 2))


@contextmanager
def in_step(network: nn.Module, processes: Processes) -> Iterator[None]:
    """Keep the batch norms of a network in step with those of the other processes during the block.

    Args:
        network: its batch norms change their class, and get it back afterwards.
        processes: this process among the others.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)] if processes.several else []
    before = [type(norm) for norm in norms]
    for norm in norms:
        kind = type(norm)
        norm.__class__ = type(kind.__name__, (kind, InStep), {"processes": processes, "__module__": kind.__module__})
    try:
        yield
    finally:
        for norm, kind in zip(norms, before, strict=True):
            norm.__class__ = kind
