"""fit(): trains any task on any encoder, supervised or not."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SslwearError
from sslwear.task import Task
from sslwear.training.cache import FeatureCache, FrozenBlocks
from sslwear.training.data import FitData, WindowSource
from sslwear.training.device import autocast, deterministic, generator, seeded
from sslwear.tuning.base import Learning, TuningStrategy, learning, parts, set_mode

EVALUATION_BATCH = 256
ESTIMATION_BATCHES = 5
"""Batches whose gradients a tuning strategy may look at before an epoch, as many as Lee et al. look at."""
HEAD, ORDER, TRAINING, VALIDATION, ESTIMATION = range(5)
"""Streams of random numbers that one seed gives."""


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        learning_rate: Adam's, for the tuning strategy to share out.
        batch_size: windows a step.
        max_epochs: most passes through the training windows.
        patience: epochs without a lower validation loss after which training ends; they count once everything learns
            that is to learn.
        seed: of the head's weights, the order of the windows and everything that the task draws.
        device: where to compute.
        precision: ``float32``, or ``bf16`` for autocast.
        augmented_views: where the first block is frozen and windows are augmented, epochs take turns with so many views
            of them, whose outputs can be kept; where it learns, each epoch has a view of its own.
    """

    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"
    augmented_views: int = 8


@dataclass(frozen=True)
class Evaluation:
    """Answers for some windows.

    Attributes:
        loss: mean over the windows, weighted as the task weights them.
        scores: the task's scores by name.
        truth: the right answers as the task keeps them; of classes their indices, (N,) or (N, questions).
        predicted: the network's, of the same shape.
    """

    loss: float
    scores: dict[str, float]
    truth: NDArray[Any]
    predicted: NDArray[Any]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: losses are means over windows, `scores` are the validation windows'.

    Attributes:
        epoch: from 1.
        train_loss: while the weights changed.
        validation_loss: after the epoch.
        scores: by name.
        learning: how fast each block and the head learnt.
        seconds: that it took.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    scores: dict[str, float]
    learning: dict[str, Learning]
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """A trained network, with the weights of its best epoch.

    Attributes:
        network: on the CPU, in evaluation mode.
        best_epoch: the epoch with the lowest validation loss, from 1.
        validation: that epoch's evaluation.
        history: all epochs.
    """

    network: Network
    best_epoch: int
    validation: Evaluation
    history: tuple[EpochRecord, ...]


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
    with seeded(generator(settings.seed, HEAD).initial_seed()):
        head = task.head(encoder.features)
    network = Network(encoder, head).to(settings.device)
    fused = settings.device.type in ("cpu", "cuda")
    optimizer = torch.optim.Adam(tuning.parameter_groups(network, settings.learning_rate), amsgrad=True, fused=fused)
    loop = _Loop(network, encoder.window_samples, task, data, settings, optimizer, cache)
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
            loop.begin(frozen, epoch)
            tuning.start_epoch(epoch, network, optimizer, loop.gradients)
            how = learning(network, optimizer)
            train, validation = loop.sources()
            loss = loop.train(train)
            evaluation = evaluate(network, encoder.window_samples, task, validation, settings)
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
    """What one `fit` works with in every epoch."""

    def __init__(
        self,
        network: Network,
        samples: int,
        task: Task,
        data: FitData,
        settings: FitSettings,
        optimizer: torch.optim.Optimizer,
        cache: FeatureCache | None,
    ) -> None:
        self._network, self._samples, self._task, self._data = network, samples, task, data
        self._settings, self._optimizer, self._cache = settings, optimizer, cache
        self._blocks = FrozenBlocks(network, samples, settings.precision)
        self._order = generator(settings.seed, ORDER)
        self._draws = generator(settings.seed, TRAINING)
        self._estimation = generator(settings.seed, ESTIMATION)
        self._depth = self._view = 0
        self._sources: dict[tuple[int, int], tuple[WindowSource, WindowSource]] = {}

    def begin(self, frozen: frozenset[str], epoch: int) -> None:
        """Choose how deep the frozen blocks go in an epoch, and which view of the windows it has."""
        self._depth = leading(frozen, self._network)
        self._view = epoch if self._depth == 0 else (epoch - 1) % self._settings.augmented_views + 1

    def sources(self) -> tuple[WindowSource, WindowSource]:
        """What to train and to validate on in an epoch: windows, or outputs of the first blocks that are frozen."""
        train, validation = self._data.train, self._data.validation
        if self._cache is None or not self._task.on_features or self._depth == 0:
            return train, validation
        place = self._depth, self._view if train.augmented(self._view) else 0
        if place not in self._sources:
            through, depth = self._cache.source, self._depth
            pair = through(self._blocks, train, self._view, depth), through(self._blocks, validation, 0, depth)
            of_this_depth = {key: value for key, value in self._sources.items() if key[0] == depth}
            self._sources = {**of_this_depth, place: pair}
        return self._sources[place]

    def train(self, source: WindowSource) -> float:
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

    def gradients(self) -> Iterator[Mapping[str, Tensor]]:
        """Gradients of some batches of training windows, see `sslwear.tuning.base.Gradients`."""
        settings, network = self._settings, self._network
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        learning = {name: value for name, value in network.named_parameters() if value.requires_grad}
        batches = self._data.train.batches(
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
        return self._task.loss(_forward(self._network, inputs, self._settings, depth), target)


def leading(frozen: frozenset[str], network: Network) -> int:
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


def _mean(sums: list[Tensor]) -> float:
    """Mean loss over windows, from each batch's sums of losses and of weights; the only wait for a GPU in an epoch."""
    loss, weight = torch.stack(sums).cpu().double().sum(dim=0)
    return float(loss / weight)


def _forward(network: Network, inputs: Tensor, settings: FitSettings, depth: int) -> Tensor:
    with autocast(settings.device, settings.precision):
        output: Tensor = network(inputs, depth)
    return output.float()
