"""Averages of the weights of a network in training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sslwear.encoders.base import Network
from sslwear.training.results import FitSettings
from sslwear.tuning.base import parts, set_mode

EMA_EPOCHS = 2.0
"""Number of epochs over which the exponential moving average runs."""
SWA_SHARE = 0.75
"""Share of the epochs before those whose weights are averaged by ``swa``."""


class WeightAverage:
    """Average of the weights of a network in training: ``ema`` after each step, ``swa`` after each late epoch.

    ``ema`` is an exponential moving average with a time constant of `EMA_EPOCHS` epochs. ``swa`` is the mean over the
    ends of the epochs after the share `SWA_SHARE` of them (Izmailov et al., arXiv 1803.05407); before, it is the
    network itself. Tensors that do not change keep their bits.

    Args:
        network: the network in training.
        settings: `weight_average` and `max_epochs` are used.
        steps: number of steps in an epoch.

    Attributes:
        network: a network with the averaged weights.
    """

    network: Network

    def __init__(self, network: Network, settings: FitSettings, steps: int) -> None:
        self._trained, self._settings = network, settings
        self._ema = settings.weight_average == "ema"
        decay = 1 - 1 / (EMA_EPOCHS * steps + 1)
        function = get_ema_multi_avg_fn(decay) if self._ema else None  # type: ignore[no-untyped-call]
        self._average = AveragedModel(network, multi_avg_fn=function)
        self.network = cast("Network", self._average.module)
        self._share = 1 - decay

    def state(self) -> dict[str, Tensor]:
        """The averaged weights, and how many were averaged."""
        return self._average.state_dict()

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state of `state`."""
        self._average.load_state_dict(state)

    @torch.no_grad()
    def after_step(self) -> None:
        """Add the weights after a step, as `AveragedModel` does, but without waiting for a graphics card."""
        if not self._ema:
            return
        if self._average.n_averaged == 0:  # on the CPU
            self._average.update_parameters(self._trained)
            return
        torch._foreach_lerp_(list(self.network.parameters()), list(self._trained.parameters()), self._share)
        # One call for each type, because only tensors of one type are copied at once.
        pairs = list(zip(self.network.buffers(), self._trained.buffers(), strict=True))
        for kind in {value.dtype for value, _ in pairs}:
            ours, theirs = zip(*[pair for pair in pairs if pair[0].dtype == kind], strict=True)
            torch._foreach_copy_(ours, theirs)
        self._average.n_averaged += 1

    def after_epoch(self, epoch: int, passes: Callable[[Network], Iterable[int]]) -> None:
        """Add the weights after an epoch, and compute the statistics of batch norms anew.

        PyTorch's `update_bn` would also change the batch norms of frozen blocks.

        Args:
            epoch: number of the epoch, from 1.
            passes: forward passes of a network for all training windows in random batches; gives the number of rows of
                a batch before its pass.
        """
        if not self._ema:
            if epoch <= SWA_SHARE * self._settings.max_epochs + 1:
                self._average.n_averaged.zero_()  # the next update copies the weights
            self._average.update_parameters(self._trained)
        trained = parts(self._trained)
        for name, part in parts(self.network).items():
            set_mode(part, trained[name].training)
        norms = [module for module in self.network.modules() if isinstance(module, _BatchNorm) and module.training]
        if norms:
            _recompute(norms, passes(self.network))


@torch.no_grad()
def _recompute(norms: Sequence[_BatchNorm], passes: Iterable[int]) -> None:
    """Set the statistics of batch norms to their means over all rows, see `WeightAverage.after_epoch` for `passes`."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    seen = 0
    for rows in passes:
        seen += rows
        for norm in norms:
            norm.momentum = rows / seen
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
