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
from sslwear.training.cache import COMPUTE_BATCH, FeatureCache, FrozenBlocks
from sslwear.training.device import Stream, generator, seeded
from sslwear.training.evaluation import EVALUATION_BATCH, Scorer, evaluate, forward, mean_loss
from sslwear.training.results import EpochRecord, Evaluation, FitSettings
from sslwear.training.task import Task
from sslwear.training.threads import operations_from, threads_for
from sslwear.training.windows import WindowSource
from sslwear.tuning.base import Learning, TuningStrategy, learning

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
        network: the network.
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
        self._samples = encoder.window_samples

        with seeded(generator(settings.seed, Stream.HEAD).initial_seed()):
            head = task.head(encoder.features)
        self.network = Network(encoder, head).to(settings.device)
        self._frozen_blocks = FrozenBlocks(self.network, self._samples, settings.precision)
        self._operations = operations_from(self.network, self._samples)

        groups = tuning.parameter_groups(self.network, settings.learning_rate)
        self._optimizer = torch.optim.Adam(groups, amsgrad=True, fused=settings.device.type in ("cpu", "cuda"))
        self._base_rates = [group["lr"] for group in self._optimizer.param_groups]

        self._order = generator(settings.seed, Stream.ORDER)
        self._draws = generator(settings.seed, Stream.TRAINING)
        self._gradient_draws = generator(settings.seed, Stream.GRADIENTS)

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
        depth = frozen_prefix_length(self._tuning.frozen_in(epoch), self.network)
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
        rates = self._set_rates(epoch)
        train_loss, validation_loss, scores = self._train(), math.nan, dict[str, float]()
        _check_finite(epoch, train_loss)
        if self._validation is not None:
            self.evaluation = self._evaluate(self._validation)
            validation_loss, scores = self.evaluation.loss, self.evaluation.scores
            _check_finite(epoch, validation_loss)
        self.epochs = epoch
        return EpochRecord(epoch, train_loss, validation_loss, scores, rates, time.perf_counter() - started)

    def _set_rates(self, epoch: int) -> dict[str, Learning]:
        """Freeze blocks and set learning rates for an epoch; returns how fast each block and the head learn."""
        for group, rate in zip(self._optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate
        with self._threads(self._settings.batch_size):
            self._tuning.start_epoch(epoch, self.network, self._optimizer, self._gradients)
        for group in self._optimizer.param_groups:
            group["lr"] *= self._settings.schedule_factor(epoch)
        return learning(self.network, self._optimizer)

    def _train(self) -> float:
        """Train on all windows once; returns the mean loss over windows."""
        settings, sums = self._settings, []
        source = self._source(self._windows, self._view)
        batches = source.batches(settings.batch_size, self._samples, settings.device, self._order, self._view)
        with self._threads(settings.batch_size, source.depth):
            for x, labels in batches:
                if self.cancelled:
                    raise CancelledError
                sums.append(self._train_step(x, labels, source.depth))
        self._optimizer.zero_grad(set_to_none=True)  # a network that waits for other folds needs no gradients
        return mean_loss(sums)

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
        loss, weight = self._loss(x, labels, self._draws, depth)
        self._optimizer.zero_grad(set_to_none=True)
        (loss / weight).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return torch.stack([loss.detach(), weight])

    def _loss(self, x: Tensor, labels: Tensor, draws: torch.Generator, depth: int) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a batch, and the sum of their weights.

        Args:
            x: windows (B, 3, samples), or their outputs of the first `depth` blocks.
            labels: class indices (B,).
            draws: CPU generator of the task's random numbers.
            depth: number of blocks that `x` has passed.
        """
        inputs, target = self._task.batch(x, labels, draws, training=True)
        return self._task.loss(forward(self.network, inputs, self._settings, depth), target)

    def _gradients(self) -> Iterator[Mapping[str, Tensor]]:
        """Gradients of a few batches of training windows, see `sslwear.tuning.base.Gradients`."""
        settings, network = self._settings, self.network
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
