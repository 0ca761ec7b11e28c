"""fit(): trains any task on any encoder, supervised or not."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SslwearError
from sslwear.training.cache import FeatureCache, FrozenBlocks
from sslwear.training.device import autocast, deterministic, generator, seeded
from sslwear.training.results import EpochRecord, Evaluation, FitResult, FitSettings
from sslwear.training.task import Task
from sslwear.training.windows import FitData, WindowSource
from sslwear.tuning.base import Learning, TuningStrategy, learning, parts, set_mode

EVALUATION_BATCH = 256
ESTIMATION_BATCHES = 5
"""Batches whose gradients a tuning strategy may look at before an epoch, as many as Lee et al. look at."""
HEAD, ORDER, TRAINING, VALIDATION, ESTIMATION = range(5)
"""Streams of random numbers that one seed gives."""


def fit(
    encoder: Encoder,
    task: Task,
    data: FitData,
    tuning: TuningStrategy,
    settings: FitSettings,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    cache: FeatureCache | None = None,
) -> FitResult:
    """Train an encoder and a new head on a task; the same arguments give the same result to the last bit.

    Args:
        encoder: where to start from; its tensors are trained in place.
        task: supervised classification or a pretext task.
        data: windows to learn from and windows to stop by.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size and the like.
        on_epoch: called after every epoch; what it raises ends the training.
        cache: keeps the outputs of the frozen first blocks; without, they are computed for every batch. In float32 it
            changes losses by rounding only.

    Raises:
        SslwearError: when the loss is no longer a number, or there is nothing to train on.
    """
    if len(data.train) == 0 or len(data.validation) == 0:
        raise SslwearError("there are no windows to train or to validate on; check the split")
    loop = _Loop(encoder, task, data.train, tuning, settings, cache)
    network = loop.network
    history: list[EpochRecord] = []
    best: tuple[int, Evaluation] | None = None
    kept = _Kept(network)
    patience_from = 0
    with deterministic(settings.device):
        for epoch in range(1, settings.max_epochs + 1):
            started = time.perf_counter()
            frozen = tuning.frozen_in(epoch)
            if kept.thaw(frozen):
                patience_from = epoch
            how, loss = loop.epoch(frozen, epoch)
            evaluation = evaluate(network, encoder.window_samples, task, loop.as_trained(data.validation), settings)
            if not math.isfinite(loss) or not math.isfinite(evaluation.loss):
                raise SslwearError(f"the loss is no longer a number after epoch {epoch}; lower the learning rate")
            if best is None or evaluation.loss < best[1].loss:
                best = epoch, evaluation
                kept.keep(frozen)
            seconds = time.perf_counter() - started
            history.append(EpochRecord(epoch, loss, evaluation.loss, evaluation.scores, how, seconds))
            if on_epoch is not None:
                on_epoch(history[-1])
            if frozen == tuning.frozen and epoch - max(best[0], patience_from) >= settings.patience:
                break
    assert best is not None
    kept.restore()
    return FitResult(network.cpu().eval(), best[0], best[1], tuple(history))


def refit(
    encoder: Encoder,
    task: Task,
    windows: WindowSource,
    tuning: TuningStrategy,
    settings: FitSettings,
    epochs: int,
    cache: FeatureCache | None = None,
) -> Network:
    """Train as `fit` does, but for a number of epochs that is known, with nobody held out; the last weights are kept.

    Args:
        encoder: where to start from; its tensors are trained in place.
        task: supervised classification or a pretext task.
        windows: to learn from.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size and the like; `patience` does not count, nor `max_epochs`.
        epochs: how many; the schedule ends after them.
        cache: keeps the outputs of the frozen first blocks.

    Returns:
        The network, on the CPU, in evaluation mode.

    Raises:
        SslwearError: when the loss is no longer a number, or there is nothing to train on.
    """
    if len(windows) == 0:
        raise SslwearError("there are no windows to train on; check the split")
    loop = _Loop(encoder, task, windows, tuning, replace(settings, max_epochs=epochs), cache)
    with deterministic(settings.device):
        for epoch in range(1, epochs + 1):
            _, loss = loop.epoch(tuning.frozen_in(epoch), epoch)
            if not math.isfinite(loss):
                raise SslwearError(f"the loss is no longer a number after epoch {epoch}; lower the learning rate")
    return loop.network.cpu().eval()


class _Kept:
    """The best epoch's tensors; those of blocks that never learnt need no copy."""

    def __init__(self, network: Network) -> None:
        self._parts = parts(network)
        self._frozen: frozenset[str] | None = None
        self._tensors: dict[str, dict[str, Tensor]] = {}

    def thaw(self, frozen: frozenset[str]) -> bool:
        """Before an epoch: copy blocks that begin to learn in it; whether there are any, the first epoch aside."""
        thawed = frozenset() if self._frozen is None else self._frozen - frozen
        self._frozen = frozen
        for name in thawed:
            self._copy(name)
        return bool(thawed)

    def keep(self, frozen: frozenset[str]) -> None:
        """Copy all that is not frozen."""
        for name in self._parts.keys() - frozen:
            self._copy(name)

    def restore(self) -> None:
        """Put the copies back."""
        for name, tensors in self._tensors.items():
            self._parts[name].load_state_dict(tensors)

    def _copy(self, name: str) -> None:
        state = self._parts[name].state_dict()
        if name in self._tensors:
            for key, value in state.items():
                self._tensors[name][key].copy_(value)
        else:
            self._tensors[name] = {key: value.clone() for key, value in state.items()}


class _Loop:
    """A network in training, and what is worked with in every epoch."""

    def __init__(
        self,
        encoder: Encoder,
        task: Task,
        windows: WindowSource,
        tuning: TuningStrategy,
        settings: FitSettings,
        cache: FeatureCache | None,
    ) -> None:
        with seeded(generator(settings.seed, HEAD).initial_seed()):
            head = task.head(encoder.features)
        self.network = Network(encoder, head).to(settings.device)
        groups = tuning.parameter_groups(self.network, settings.learning_rate)
        self._optimizer = torch.optim.Adam(groups, amsgrad=True, fused=settings.device.type in ("cpu", "cuda"))
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._samples, self._task, self._windows, self._tuning = encoder.window_samples, task, windows, tuning
        self._settings, self._cache = settings, cache
        self._blocks = FrozenBlocks(self.network, self._samples, settings.precision)
        self._order = generator(settings.seed, ORDER)
        self._draws = generator(settings.seed, TRAINING)
        self._estimation = generator(settings.seed, ESTIMATION)
        self._depth = self._view = 0
        self._sources: dict[tuple[int, int], WindowSource] = {}

    def epoch(self, frozen: frozenset[str], epoch: int) -> tuple[dict[str, Learning], float]:
        """Train for an epoch with some blocks frozen: how fast each part learnt, and the mean loss over windows."""
        depth = frozen_prefix_length(frozen, self.network)
        if depth != self._depth:
            self._sources.clear()
        self._depth = depth
        self._view = epoch if depth == 0 else (epoch - 1) % self._settings.augmented_views + 1
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate
        self._tuning.start_epoch(epoch, self.network, self._optimizer, self._gradients)
        for group in self._optimizer.param_groups:
            group["lr"] *= self._settings.share_of_rate(epoch)
        how = learning(self.network, self._optimizer)
        return how, self._train(self.as_trained(self._windows, self._view))

    def as_trained(self, windows: WindowSource, view: int = 0) -> WindowSource:
        """Windows as what learns takes them: themselves, or the outputs of the frozen first blocks for them."""
        if self._cache is None or not self._task.on_features or self._depth == 0:
            return windows
        place = id(windows), view if windows.augmented(view) else 0
        if place not in self._sources:
            self._sources[place] = self._cache.source(self._blocks, windows, view, self._depth)
        return self._sources[place]

    def _train(self, source: WindowSource) -> float:
        """One pass through the training windows; returns the mean loss over windows."""
        settings, sums = self._settings, []
        batches = source.batches(settings.batch_size, self._samples, settings.device, self._order, self._view)
        for x, labels in batches:
            loss, weight = self._loss(x, labels, self._draws, source.depth)
            self._optimizer.zero_grad(set_to_none=True)
            (loss / weight).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            sums.append(torch.stack([loss.detach(), weight]))
        return _mean(sums)

    def _gradients(self) -> Iterator[Mapping[str, Tensor]]:
        """Gradients of some batches of training windows, see `sslwear.tuning.base.Gradients`."""
        settings, network = self._settings, self.network
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        learning = {name: value for name, value in network.named_parameters() if value.requires_grad}
        batches = self._windows.batches(
            settings.batch_size, self._samples, settings.device, self._estimation, self._view
        )
        try:
            for x, labels in itertools.islice(batches, ESTIMATION_BATCHES):
                loss, weight = self._loss(x, labels, self._estimation, 0)
                yield dict(zip(learning, torch.autograd.grad(loss / weight, list(learning.values())), strict=True))
        finally:
            for name, value in network.named_buffers():
                value.copy_(buffers[name])

    def _loss(self, x: Tensor, labels: Tensor, draws: torch.Generator, depth: int) -> tuple[Tensor, Tensor]:
        inputs, target = self._task.batch(x, labels, draws, training=True)
        return self._task.loss(_forward(self.network, inputs, self._settings, depth), target)


def frozen_prefix_length(frozen: frozenset[str], network: Network) -> int:
    """How many blocks, from the input on, are frozen."""
    return len(list(itertools.takewhile(frozen.__contains__, network.blocks)))


@torch.no_grad()
def evaluate(network: Network, samples: int, task: Task, windows: WindowSource, settings: FitSettings) -> Evaluation:
    """Predict windows and score the predictions; what the task draws is the same at every call.

    Args:
        network: its mode is evaluation afterwards.
        samples: length of the windows that its encoder takes.
        task: gives targets, loss, answers and scores.
        windows: what to predict, or outputs of the network's first blocks for it.
        settings: the device, the precision and the seed are used.
    """
    for part in parts(network).values():
        set_mode(part, training=False)
    draws = generator(settings.seed, VALIDATION)
    sums, answers = [], []
    for x, labels in windows.batches(EVALUATION_BATCH, samples, settings.device):
        inputs, target = task.batch(x, labels, draws, training=False)
        output = _forward(network, inputs, settings, windows.depth)
        sums.append(torch.stack(task.loss(output, target)))
        answers.append(task.answers(output, target))
    truth, predicted = (torch.cat(side).cpu().numpy() for side in zip(*answers, strict=True))
    return Evaluation(_mean(sums), task.scores(truth, predicted), truth, predicted)


@torch.no_grad()
def outputs(network: Network, samples: int, windows: WindowSource, settings: FitSettings) -> NDArray[np.float32]:
    """What a network's head gives for windows as they are: (N, outputs of the head), for classifiers logits.

    Args:
        network: its mode is evaluation afterwards.
        samples: length of the windows that its encoder takes.
        windows: in their order, or outputs of the network's first blocks for them.
        settings: the device and the precision are used.
    """
    network.eval()
    batches = windows.batches(EVALUATION_BATCH, samples, settings.device)
    found = [_forward(network, x, settings, windows.depth).cpu() for x, _ in batches]
    values: NDArray[np.float32] = torch.cat(found).numpy()
    return values


def _mean(sums: list[Tensor]) -> float:
    """Mean loss over windows, from each batch's sums of losses and of weights; the only wait for a GPU in an epoch."""
    loss, weight = torch.stack(sums).cpu().double().sum(dim=0)
    return float(loss / weight)


def _forward(network: Network, inputs: Tensor, settings: FitSettings, depth: int) -> Tensor:
    with autocast(settings.device, settings.precision):
        output: Tensor = network(inputs, depth)
    return output.float()
