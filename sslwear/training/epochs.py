"""Training of a network, one epoch at a time."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import DivergenceError
from sslwear.training.averaging import WeightAverage
from sslwear.training.cache import COMPUTE_BATCH, FeatureCache, FrozenBlocks
from sslwear.training.device import Stream, generator, seeded
from sslwear.training.evaluation import EVALUATION_BATCH, Scorer, evaluate, forward, mean_loss
from sslwear.training.optimizer import new_optimizer
from sslwear.training.results import EpochRecord, Evaluation, FitSettings
from sslwear.training.task import Task
from sslwear.training.threads import operations_from, threads_for
from sslwear.training.windows import WindowSource
from sslwear.tuning.base import TuningStrategy, learning

GRADIENT_BATCHES = 5
"""Batches whose gradients a tuning strategy may use before an epoch, as many as Lee et al. use."""


class Training:
    """Network in training, with its optimizer and windows.

    PyTorch's global generator is used only here, for the head's initial weights, unless the network itself draws from
    it. `advance` may therefore run in another thread.

    Args:
        encoder: initial weights; its tensors are trained in place.
        task: supervised classification or a pretext task.
        windows: training windows.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size and the like; early stopping is the caller's.
        cache: stores the outputs of the frozen first blocks.
        validation: windows that are evaluated after each epoch; None for no evaluation.
        scores: scores of the evaluation, in place of the task's own.

    Attributes:
        network: the network that is evaluated, with averaged weights if the settings ask for them.
        epochs: number of epochs so far.
        evaluation: evaluation after the last epoch; None before the first one, or without validation windows.
        cancelled: set it from another thread to end an epoch with `CancelledError` after the current batch.
    """

    def __init__(
        self,
        encoder: Encoder,
        task: Task,
        windows: WindowSource,
        tuning: TuningStrategy,
        settings: FitSettings,
        cache: FeatureCache | None = None,
        validation: WindowSource | None = None,
        scores: Scorer | None = None,
    ) -> None:
        self.epochs = 0
        self.evaluation: Evaluation | None = None
        self.cancelled = False
        self._task, self._windows, self._tuning, self._settings, self._cache = task, windows, tuning, settings, cache
        self._validation, self._scores = validation, scores
        self._samples, self._features = encoder.window_samples, encoder.features

        with seeded(generator(settings.seed, Stream.HEAD).initial_seed()):
            head = task.head(encoder.features)
        self._trained = Network(encoder, head).to(settings.device)
        self._frozen_blocks = FrozenBlocks(self._trained, self._samples, settings.precision)
        self._operations = operations_from(self._trained, self._samples)

        groups = tuning.parameter_groups(self._trained, settings.learning_rate)
        self._optimizer = new_optimizer(groups, settings)
        self._base_rates = [group["lr"] for group in self._optimizer.param_groups]
        steps = -(-len(windows) // settings.batch_size)
        averages = settings.weight_average != "none"
        self._average = WeightAverage(self._trained, settings, steps) if averages else None
        self.network = self._trained if self._average is None else self._average.network

        self._order = generator(settings.seed, Stream.ORDER)
        self._draws = generator(settings.seed, Stream.TRAINING)
        self._gradient_draws = generator(settings.seed, Stream.GRADIENTS)
        self._dropout_draws = generator(settings.seed, Stream.DROPOUT)

        # Set by prepare.
        self._prepared = 0  # epoch
        self._seconds = 0.0
        self._depth = 0  # number of frozen first blocks
        self._view = 0  # augmented view of the training windows
        self._sources: dict[tuple[int, int], WindowSource] = {}

    def prepare(self) -> None:
        """Get the outputs of frozen blocks for the next epoch, from the cache or computed.

        The cache is for one thread. A caller that runs `advance` in another one calls this function before.
        """
        epoch = self.epochs + 1
        if self._prepared == epoch:
            return
        started = time.perf_counter()
        depth = frozen_prefix_length(self._tuning.frozen_in(epoch), self._trained)
        if depth != self._depth:
            self._sources.clear()
        self._depth = depth
        self._view = epoch if depth == 0 else (epoch - 1) % self._settings.augmented_views + 1
        self._source(self._windows, self._view)
        if self._validation is not None:
            self._source(self._validation)
        self._prepared, self._seconds = epoch, time.perf_counter() - started

    def advance(self) -> EpochRecord:
        """Train for the next epoch and evaluate; without validation windows the validation loss is NaN.

        Raises:
            DivergenceError: when a loss is not finite.
            CancelledError: when the training was cancelled.
        """
        self.prepare()
        epoch, started = self.epochs + 1, time.perf_counter() - self._seconds
        self._start(epoch)
        train_loss, validation_loss, scores = self._train(epoch), math.nan, dict[str, float]()
        rates = learning(self._trained, self._optimizer)
        _check_finite(epoch, train_loss)
        if self._validation is not None:
            self.evaluation = self._evaluate(self._validation)
            validation_loss, scores = self.evaluation.loss, self.evaluation.scores
            _check_finite(epoch, validation_loss)
        self.epochs = epoch
        return EpochRecord(epoch, train_loss, validation_loss, scores, rates, time.perf_counter() - started)

    def _start(self, epoch: int) -> None:
        """Freeze blocks and set the learning rates of an epoch, without the factor of the schedule."""
        for group, rate in zip(self._optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate
        with self._threads(self._settings.batch_size):
            self._tuning.start_epoch(epoch, self._trained, self._optimizer, self._gradients)

    def _train(self, epoch: int) -> float:
        """Train on all windows once; returns the mean loss over windows.

        Afterwards the optimizer has the mean learning rates over the steps.
        """
        settings, sums, factors, seen = self._settings, list[Tensor](), list[float](), 0
        rates = [group["lr"] for group in self._optimizer.param_groups]
        source = self._source(self._windows, self._view)
        batches = source.batches(settings.batch_size, self._samples, settings.device, self._order, self._view)
        with self._threads(settings.batch_size, source.depth):
            for x, labels in batches:
                if self.cancelled:
                    raise CancelledError
                seen += len(x)
                factors.append(settings.schedule_factor(epoch, seen / len(source)))
                self._set_rates(rates, factors[-1])
                sums.append(self._train_step(x, labels, source.depth))
            if self._average is not None:
                self._average.after_epoch(epoch, lambda network: self._passes(network, source))
        self._set_rates(rates, factors[0] if len(set(factors)) == 1 else math.fsum(factors) / len(factors))
        self._optimizer.zero_grad(set_to_none=True)  # a network that waits for other folds needs no gradients
        return mean_loss(sums)

    def _set_rates(self, rates: list[float], factor: float) -> None:
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor

    def _passes(self, network: Network, source: WindowSource) -> Iterator[Tensor]:
        """Forward passes of a network for all training windows."""
        settings, draws = self._settings, generator(self._settings.seed, Stream.AVERAGE)
        for x, labels in source.batches(settings.batch_size, self._samples, settings.device, None, self._view):
            inputs, _ = self._task.batch(x, labels, draws, training=True)
            yield forward(network, inputs, settings, source.depth)

    def _evaluate(self, windows: WindowSource) -> Evaluation:
        """Evaluation of the network on windows, see `evaluate`."""
        source = self._source(windows)
        with self._threads(min(EVALUATION_BATCH, len(windows)), source.depth):
            return evaluate(self.network, self._samples, self._task, source, self._settings, self._scores)

    def _threads(self, batch_size: int, depth: int = 0) -> AbstractContextManager[None]:
        """Block with the number of threads for batches that have passed `depth` blocks, see `threads_for`."""
        return threads_for(batch_size * self._operations[depth], self._settings.threads)

    def _train_step(self, x: Tensor, labels: Tensor, depth: int) -> Tensor:
        """Update the weights with a batch; returns the sum of its losses and the sum of their weights (2,)."""
        loss, weight = self._loss(x, labels, self._draws, depth, self._dropout_draws)
        self._optimizer.zero_grad(set_to_none=True)
        (loss / weight).backward()  # type: ignore[no-untyped-call]
        if self._settings.clip_norm is not None:
            learning = [value for group in self._optimizer.param_groups for value in group["params"]]
            torch.nn.utils.clip_grad_norm_(learning, self._settings.clip_norm)
        self._optimizer.step()
        if self._average is not None:
            self._average.after_step()
        return torch.stack([loss.detach(), weight])

    def _loss(
        self,
        x: Tensor,
        labels: Tensor,
        draws: torch.Generator,
        depth: int,
        dropout_draws: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a batch, and the sum of their weights.

        Args:
            x: windows (B, 3, samples), or their outputs of the first `depth` blocks.
            labels: class indices (B,).
            draws: CPU generator of the task's random numbers.
            depth: number of blocks that `x` has passed.
            dropout_draws: CPU generator of dropout; None for no dropout.
        """
        inputs, target = self._task.batch(x, labels, draws, training=True)
        factors = self._dropout(len(inputs), dropout_draws)
        return self._task.loss(forward(self._trained, inputs, self._settings, depth, factors), target)

    def _dropout(self, rows: int, draws: torch.Generator | None) -> Tensor | None:
        """Factors of the features (rows, features): 0 for dropped ones, and more than 1 for the others.

        PyTorch's module draws from its global generator, which folds in several threads would share.
        """
        kept = 1 - self._settings.dropout
        if kept == 1 or draws is None:
            return None
        factors = torch.empty(rows, self._features).bernoulli_(kept, generator=draws) / kept
        return factors.to(self._settings.device)

    def _gradients(self) -> Iterator[Mapping[str, Tensor]]:
        """Gradients of a few batches of training windows, see `sslwear.tuning.base.Gradients`."""
        settings, network = self._settings, self._trained
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
        batches = self._windows.batches(
            settings.batch_size, self._samples, settings.device, self._gradient_draws, self._view
        )
        try:
            for x, labels in itertools.islice(batches, GRADIENT_BATCHES):
                loss, weight = self._loss(x, labels, self._gradient_draws, depth=0)
                yield dict(zip(trained, torch.autograd.grad(loss / weight, list(trained.values())), strict=True))
        finally:
            for name, value in network.named_buffers():  # the forward passes updated batch-norm statistics
                value.copy_(buffers[name])

    def _source(self, windows: WindowSource, view: int = 0) -> WindowSource:
        """Cached outputs of the frozen first blocks for windows, or the windows themselves where nothing is cached."""
        if self._cache is None or not self._task.on_features or self._depth == 0:
            return windows
        key = id(windows), view if windows.augmented(view) else 0
        if key not in self._sources:
            with self._threads(COMPUTE_BATCH):
                self._sources[key] = self._cache.source(self._frozen_blocks, windows, view, self._depth)
        return self._sources[key]


def frozen_prefix_length(frozen: frozenset[str], network: Network) -> int:
    """Number of consecutive frozen blocks, counted from the input.

    Args:
        frozen: names of the frozen blocks.
        network: network with the blocks.
    """
    return len(list(itertools.takewhile(frozen.__contains__, network.blocks)))


def stops_early(tuning: TuningStrategy, settings: FitSettings, epoch: int, best: int) -> bool:
    """Whether a training stops early after an epoch.

    Args:
        tuning: which blocks learn; training goes on while it still unfreezes blocks.
        settings: `patience` is used.
        epoch: number of the epoch, from 1.
        best: epoch with the lowest validation loss so far.
    """
    frozen = [tuning.frozen_in(number) for number in range(1, epoch + 1)]
    unfrozen = (number for number in range(epoch, 1, -1) if frozen[number - 2] - frozen[number - 1])
    return frozen[-1] == tuning.frozen and epoch - max(best, next(unfrozen, 0)) >= settings.patience


def _check_finite(epoch: int, loss: float) -> None:
    if not math.isfinite(loss):
        raise DivergenceError(f"the loss is not finite after epoch {epoch}. Lower the learning rate")
