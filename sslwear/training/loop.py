"""Training loop of all tasks, supervised and self-supervised."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import DivergenceError, SslwearError
from sslwear.training.cache import COMPUTE_BATCH, FeatureCache, FrozenBlocks
from sslwear.training.device import Stream, deterministic, generator, seeded
from sslwear.training.evaluation import EVALUATION_BATCH, evaluate, forward, mean_loss
from sslwear.training.results import EpochRecord, Evaluation, FitResult, FitSettings
from sslwear.training.task import Task
from sslwear.training.threads import operations_from, threads_for
from sslwear.training.windows import FitData, WindowSource
from sslwear.tuning.base import Learning, TuningStrategy, learning, parts

GRADIENT_BATCHES = 5
"""Batches whose gradients a tuning strategy may use before an epoch, as many as Lee et al. use."""


def fit(
    encoder: Encoder,
    task: Task,
    data: FitData,
    tuning: TuningStrategy,
    settings: FitSettings,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    cache: FeatureCache | None = None,
) -> FitResult:
    """Train an encoder with a new head, and keep the weights of the epoch with the lowest validation loss.

    The same arguments give the same result to the last bit.

    Args:
        encoder: initial weights; its tensors are trained in place.
        task: supervised classification or a pretext task.
        data: training windows, and validation windows for early stopping.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size, early stopping and the like.
        on_epoch: called after every epoch; an exception that it raises ends the training.
        cache: stores the outputs of the frozen first blocks; without it they are computed for every batch. In float32
            it changes losses by rounding only.

    Raises:
        DivergenceError: when the loss is not finite.
        SslwearError: when there are no windows.
    """
    if len(data.train) == 0 or len(data.validation) == 0:
        raise SslwearError("there are no windows to train or to validate on. Check the split")
    trainer = _Trainer(encoder, task, data.train, tuning, settings, cache)
    network, best_weights = trainer.network, _BestWeights(trainer.network)
    history: list[EpochRecord] = []
    best: tuple[int, Evaluation] | None = None
    frozen, patience_start = tuning.frozen_in(1), 0
    with deterministic(settings.device):
        for epoch in range(1, settings.max_epochs + 1):
            started = time.perf_counter()
            before, frozen = frozen, tuning.frozen_in(epoch)
            if unfrozen := before - frozen:
                best_weights.copy(unfrozen)  # they have not changed yet, so these are their weights of the best epoch
                patience_start = epoch

            rates = trainer.start_epoch(epoch, frozen)
            train_loss = trainer.train_epoch()
            evaluation = trainer.evaluate(data.validation)
            _check_finite(epoch, train_loss, evaluation.loss)

            if best is None or evaluation.loss < best[1].loss:
                best = epoch, evaluation
                best_weights.copy(parts(network).keys() - frozen)
            seconds = time.perf_counter() - started
            history.append(EpochRecord(epoch, train_loss, evaluation.loss, evaluation.scores, rates, seconds))
            if on_epoch is not None:
                on_epoch(history[-1])
            if frozen == tuning.frozen and epoch - max(best[0], patience_start) >= settings.patience:
                break
    assert best is not None
    best_weights.restore()
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
    """Train like `fit`, but for a given number of epochs and without validation; the last weights are kept.

    Args:
        encoder: initial weights; its tensors are trained in place.
        task: supervised classification or a pretext task.
        windows: training windows.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size and the like; `patience` and `max_epochs` are not used.
        epochs: number of epochs; the learning-rate schedule ends with the last one.
        cache: stores the outputs of the frozen first blocks.

    Returns:
        The network, on the CPU, in evaluation mode.

    Raises:
        DivergenceError: when the loss is not finite.
        SslwearError: when there are no windows.
    """
    if len(windows) == 0:
        raise SslwearError("there are no windows to train on. Check the split")
    trainer = _Trainer(encoder, task, windows, tuning, replace(settings, max_epochs=epochs), cache)
    with deterministic(settings.device):
        for epoch in range(1, epochs + 1):
            trainer.start_epoch(epoch, tuning.frozen_in(epoch))
            _check_finite(epoch, trainer.train_epoch())
    return trainer.network.cpu().eval()


class _Trainer:
    """Network, optimizer and training windows, and the steps of an epoch."""

    def __init__(
        self,
        encoder: Encoder,
        task: Task,
        windows: WindowSource,
        tuning: TuningStrategy,
        settings: FitSettings,
        cache: FeatureCache | None,
    ) -> None:
        self.task, self.windows, self.tuning, self.settings, self.cache = task, windows, tuning, settings, cache
        self.samples = encoder.window_samples

        with seeded(generator(settings.seed, Stream.HEAD).initial_seed()):
            head = task.head(encoder.features)
        self.network = Network(encoder, head).to(settings.device)
        self.frozen_blocks = FrozenBlocks(self.network, self.samples, settings.precision)
        self.operations = operations_from(self.network, self.samples)

        groups = tuning.parameter_groups(self.network, settings.learning_rate)
        self.optimizer = torch.optim.Adam(groups, amsgrad=True, fused=settings.device.type in ("cpu", "cuda"))
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]

        self.order = generator(settings.seed, Stream.ORDER)
        self.draws = generator(settings.seed, Stream.TRAINING)
        self.gradient_draws = generator(settings.seed, Stream.GRADIENTS)

        # Set by start_epoch.
        self.depth = 0  # number of frozen first blocks
        self.view = 0  # augmented view of the training windows
        self.sources: dict[tuple[int, int], WindowSource] = {}

    def start_epoch(self, epoch: int, frozen: frozenset[str]) -> dict[str, Learning]:
        """Freeze blocks and set learning rates for an epoch; returns how fast each block and the head learn."""
        depth = frozen_prefix_length(frozen, self.network)
        if depth != self.depth:
            self.sources.clear()
        self.depth = depth
        self.view = epoch if depth == 0 else (epoch - 1) % self.settings.augmented_views + 1

        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate
        with self.threads(self.settings.batch_size):
            self.tuning.start_epoch(epoch, self.network, self.optimizer, self.gradients)
        for group in self.optimizer.param_groups:
            group["lr"] *= self.settings.schedule_factor(epoch)
        return learning(self.network, self.optimizer)

    def train_epoch(self) -> float:
        """Train on all windows once; returns the mean loss over windows."""
        settings, sums = self.settings, []
        source = self.source(self.windows, self.view)
        with self.threads(settings.batch_size, source.depth):
            for x, labels in source.batches(settings.batch_size, self.samples, settings.device, self.order, self.view):
                sums.append(self.train_step(x, labels, source.depth))
        return mean_loss(sums)

    def evaluate(self, windows: WindowSource) -> Evaluation:
        """Evaluation of the network on windows, see `evaluate`."""
        source = self.source(windows)
        with self.threads(min(EVALUATION_BATCH, len(windows)), source.depth):
            return evaluate(self.network, self.samples, self.task, source, self.settings)

    def threads(self, batch_size: int, depth: int = 0) -> AbstractContextManager[None]:
        """Block with the number of threads for batches that have passed `depth` blocks, see `threads_for`."""
        return threads_for(batch_size * self.operations[depth], self.settings.threads)

    def train_step(self, x: Tensor, labels: Tensor, depth: int) -> Tensor:
        """Update the weights with a batch; returns the sum of its losses and the sum of their weights (2,)."""
        loss, weight = self.loss(x, labels, self.draws, depth)
        self.optimizer.zero_grad(set_to_none=True)
        (loss / weight).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return torch.stack([loss.detach(), weight])

    def loss(self, x: Tensor, labels: Tensor, draws: torch.Generator, depth: int) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a batch, and the sum of their weights.

        Args:
            x: windows (B, 3, samples), or their outputs of the first `depth` blocks.
            labels: class indices (B,).
            draws: CPU generator of the task's random numbers.
            depth: number of blocks that `x` has passed.
        """
        inputs, target = self.task.batch(x, labels, draws, training=True)
        return self.task.loss(forward(self.network, inputs, self.settings, depth), target)

    def gradients(self) -> Iterator[Mapping[str, Tensor]]:
        """Gradients of a few batches of training windows, see `sslwear.tuning.base.Gradients`."""
        settings, network = self.settings, self.network
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
        batches = self.windows.batches(
            settings.batch_size, self.samples, settings.device, self.gradient_draws, self.view
        )
        try:
            for x, labels in itertools.islice(batches, GRADIENT_BATCHES):
                loss, weight = self.loss(x, labels, self.gradient_draws, depth=0)
                yield dict(zip(trained, torch.autograd.grad(loss / weight, list(trained.values())), strict=True))
        finally:
            for name, value in network.named_buffers():  # the forward passes updated batch-norm statistics
                value.copy_(buffers[name])

    def source(self, windows: WindowSource, view: int = 0) -> WindowSource:
        """Cached outputs of the frozen first blocks for windows, or the windows themselves where nothing is cached."""
        if self.cache is None or not self.task.on_features or self.depth == 0:
            return windows
        key = id(windows), view if windows.augmented(view) else 0
        if key not in self.sources:
            with self.threads(COMPUTE_BATCH):
                self.sources[key] = self.cache.source(self.frozen_blocks, windows, view, self.depth)
        return self.sources[key]


class _BestWeights:
    """Snapshot of the weights of the best epoch; blocks that never learnt are not copied."""

    def __init__(self, network: Network) -> None:
        self._parts = parts(network)
        self._tensors: dict[str, dict[str, Tensor]] = {}

    def copy(self, names: Iterable[str]) -> None:
        """Copy the current tensors of some blocks, or of the head."""
        for name in names:
            state = self._parts[name].state_dict()
            if name in self._tensors:
                for key, value in state.items():
                    self._tensors[name][key].copy_(value)
            else:
                self._tensors[name] = {key: value.clone() for key, value in state.items()}

    def restore(self) -> None:
        """Load the copied tensors into the network."""
        for name, tensors in self._tensors.items():
            self._parts[name].load_state_dict(tensors)


def frozen_prefix_length(frozen: frozenset[str], network: Network) -> int:
    """Number of consecutive frozen blocks, counted from the input.

    Args:
        frozen: names of the frozen blocks.
        network: network with the blocks.
    """
    return len(list(itertools.takewhile(frozen.__contains__, network.blocks)))


def _check_finite(epoch: int, *losses: float) -> None:
    if not all(math.isfinite(loss) for loss in losses):
        raise DivergenceError(f"the loss is not finite after epoch {epoch}. Lower the learning rate")
