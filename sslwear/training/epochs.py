"""Training of a network, one epoch at a time."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import DivergenceError
from sslwear.training.averaging import WeightAverage
from sslwear.training.cache import COMPUTE_BATCH, FeatureCache, FrozenBlocks
from sslwear.training.captured import CapturedSteps
from sslwear.training.device import Stream, generator, seed_global, seeded
from sslwear.training.evaluation import EVALUATION_BATCH, Scorer, evaluate, mean_loss
from sslwear.training.graphs import graphs_of
from sslwear.training.norms import in_step
from sslwear.training.on_device import batches_of, table_of
from sslwear.training.optimizer import new_optimizer
from sslwear.training.position import Position, global_state, network_state, restore_global, restore_network
from sslwear.training.reading import index_batches
from sslwear.training.results import EpochRecord, Evaluation, FitSettings
from sslwear.training.steps import Steps
from sslwear.training.task import Task
from sslwear.training.threads import operations_from, threads_for
from sslwear.training.windows import WindowSource
from sslwear.tuning.base import TuningStrategy, learning
from sslwear.utils.interrupts import is_deferred, signals_deferred

GLOBAL_STREAMS = 10_000_000
"""First stream of random numbers for PyTorch's global generator; epoch n uses the stream GLOBAL_STREAMS + n."""


class Training:
    """Network in training, with its optimizer and windows.

    PyTorch's global generator is used only here, for the head's initial weights, unless the network itself draws from
    it, see `seed_draws`. `advance` may therefore run in another thread.

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
        on_batch: called after each batch, when `state` can be taken; None where nobody wants the state.
        at_rest: whether the state is that between two batches, and not within a step.
        captured: its steps as CUDA graphs; None where they are taken one by one.
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
        self.on_batch: Callable[[], None] | None = None
        self.at_rest = True
        self._task, self._windows, self._tuning, self._settings, self._cache = task, windows, tuning, settings, cache
        self._validation, self._scores = validation, scores
        self._samples = encoder.window_samples

        with seeded(generator(settings.seed, Stream.HEAD).initial_seed()):
            head = task.head(encoder.features)
        self._trained = Network(encoder, head).to(settings.device)
        settings.processes.share(self._trained)
        self._frozen_blocks = FrozenBlocks(self._trained, self._samples, settings.precision)
        self._operations = operations_from(self._trained, self._samples)

        groups = tuning.parameter_groups(self._trained, settings.learning_rate)
        self._optimizer = new_optimizer(groups, settings)
        self._base_rates = [group["lr"] for group in self._optimizer.param_groups]
        steps = -(-len(windows) // settings.whole_batch)
        averages = settings.weight_average != "none"
        self._average = WeightAverage(self._trained, settings, steps) if averages else None
        self.network = self._trained if self._average is None else self._average.network

        self._order = generator(settings.seed, Stream.ORDER)
        self._steps = Steps(self._trained, task, settings, self._optimizer, self._samples, encoder.features)
        graphs = None if settings.processes.several else graphs_of(settings.device)
        how = self._trained, self._steps, self._optimizer, settings
        self.captured = None if graphs is None else CapturedSteps(*how, graphs)
        self._position = Position(self._order.get_state())

        # Set by begin.
        self._begun = False
        self._started = 0.0
        self._left: Iterator[tuple[int, Callable[[float], Tensor]]] = iter(())

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

    def seed_draws(self) -> None:
        """Seed PyTorch's global generator for the next epoch, in case that the network draws from it, as dropout does.

        Within an epoch, where a checkpoint has set it, it stays as it is.
        """
        if not self._position.rates:
            seed = generator(self._settings.seed, GLOBAL_STREAMS + self.epochs + 1).initial_seed()
            seed_global(seed, self._settings.device)

    def advance(self) -> EpochRecord:
        """Train for the next epoch and evaluate; without validation windows the validation loss is NaN.

        Raises:
            DivergenceError: when a loss is not finite.
            CancelledError: when the training was cancelled.
        """
        self.begin()
        epoch = self.epochs + 1
        train_loss, validation_loss, scores = self._train(epoch), math.nan, dict[str, float]()
        rates = learning(self._trained, self._optimizer)
        _check_finite(epoch, train_loss)
        if self._validation is not None:
            self.evaluation = self._evaluate(self._validation)
            validation_loss, scores = self.evaluation.loss, self.evaluation.scores
            _check_finite(epoch, validation_loss)
        self.at_rest = False
        self.epochs, self._position = epoch, Position(self._order.get_state())
        self._begun = False
        self.at_rest = True
        return EpochRecord(epoch, train_loss, validation_loss, scores, rates, time.perf_counter() - self._started)

    def begin(self) -> None:
        """Begin the next epoch, if it has not begun, without a step in it; `advance` does so itself."""
        if self._begun:
            return
        self.prepare()
        self._started = time.perf_counter() - self._seconds - self._position.seconds
        if not self._position.rates:
            self._start(self.epochs + 1)
        source = self._source(self._windows, self._view)
        self._left = self._plain_steps(source) if self.captured is None else self._captured_steps(self.captured, source)
        self._begun = True

    def _start(self, epoch: int) -> None:
        """Freeze blocks and set the learning rates of an epoch, without the factor of the schedule."""
        with signals_deferred() if self._heeds_signals else nullcontext():
            self.at_rest = False
            for group, rate in zip(self._optimizer.param_groups, self._base_rates, strict=True):
                group["lr"] = rate
            with self._threads(self._settings.batch_size):
                self._tuning.start_epoch(
                    epoch, self._trained, self._optimizer, lambda: self._steps.gradients(self._windows, self._view)
                )
            self._position.rates = [group["lr"] for group in self._optimizer.param_groups]
            self.at_rest = True

    def _train(self, epoch: int) -> float:
        """Train on all windows that are left of an epoch; returns the mean loss over windows.

        Afterwards the optimizer has the mean learning rates over the steps.
        """
        at, together, stopped = self._position, self._settings.processes, False
        source = self._source(self._windows, self._view)
        with self._threads(self._settings.batch_size, source.depth):
            with signals_deferred() if self._heeds_signals else nullcontext():
                for windows, take in self._left:
                    self._step(windows, take)
                    self.tell()
                    if stopped := together.any(is_deferred() and self._heeds_signals):
                        break
            if stopped:  # here, or in another process
                raise KeyboardInterrupt
            self._after_batches(epoch, source)
        self._set_rates(at.rates, at.factors[0] if len(set(at.factors)) == 1 else math.fsum(at.factors) / at.batches)
        self._optimizer.zero_grad(set_to_none=True)  # a network that waits for other folds needs no gradients
        return mean_loss(at.sums)

    def _plain_steps(self, source: WindowSource) -> Iterator[tuple[int, Callable[[float], Tensor]]]:
        """For each step that is left of the epoch, its number of windows, and what takes it."""
        for x, labels in self._batches(source):
            yield len(labels), partial(self._take, x, labels, source.depth)

    def _take(self, x: Tensor, labels: Tensor, depth: int, factor: float) -> Tensor:
        self._set_rates(self._position.rates, factor)
        return self._steps.take(self._steps.batch(x, labels), depth)

    def _batches(self, source: WindowSource) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches that are left of the epoch; those that were seen before an interruption are not read again."""
        settings = self._settings
        reading = settings.processes.reading(self._position.batches)
        return batches_of(
            source, settings.whole_batch, self._samples, settings, self._order, self._view, reading, ahead=True
        )

    def _captured_steps(
        self, captured: CapturedSteps, source: WindowSource
    ) -> Iterator[tuple[int, Callable[[float], Tensor]]]:
        """As `_plain_steps`, for steps that are CUDA graphs."""
        at, settings = self._position, self._settings
        rates = torch.tensor(at.rates, dtype=torch.float64)
        table = table_of(source, self._samples, self._view, settings)
        if table is None or not (self._task.on_features and table.can_be_captured):
            captured.start_batches(rates, source.depth)
            return ((len(labels), partial(captured.take_batch, x, labels)) for x, labels in self._batches(source))
        order = list(index_batches(len(source), settings.whole_batch, self._order))
        ends = np.cumsum([len(chosen) for chosen in order]) / len(source)
        factors = [settings.schedule_factor(self.epochs + 1, share) for share in ends.tolist()]
        rows = [table.rows[chosen] for chosen in order]
        captured.start_table(table, rows, rates, torch.tensor(factors, dtype=torch.float64), at.batches, source.depth)
        # Some steps may be taken side by side with those of other trainings.
        return ((size, captured.take_next) for size in iter(captured.next_size, 0))

    def take_step(self) -> None:
        """Take the next step of an epoch that has begun, if there is one; `advance` takes those that are left."""
        for windows, take in itertools.islice(self._left, 1):
            self._step(windows, take)
            self.tell()

    def count_step(self) -> None:
        """Count the next step of `captured`, which was taken side by side with those of other trainings.

        `at_rest` must be false since before the step was taken. `tell` follows when all trainings have counted.
        """
        assert self.captured is not None
        self._step(self.captured.next_size(), self.captured.count)

    def _step(self, windows: int, take: Callable[[float], Tensor]) -> None:
        """Take a step and count it.

        Args:
            windows: number of windows of its batch.
            take: takes it with a factor of the learning rates; returns its sums, see `Position.add`.
        """
        if self.cancelled:
            raise CancelledError
        at = self._position
        self.at_rest = False
        factor = self._settings.schedule_factor(self.epochs + 1, (at.windows + windows) / len(self._windows))
        at.add(take(factor), factor, windows)
        if self._average is not None:
            self._average.after_step()
        self.at_rest = True

    def tell(self) -> None:
        """Tell of a step that was counted, see `on_batch`."""
        if self.on_batch is not None:
            self._position.seconds = time.perf_counter() - self._started
            self.on_batch()

    @property
    def _heeds_signals(self) -> bool:
        """Whether it ends after a batch when a signal arrives, and not within one."""
        return self.on_batch is not None or self._settings.processes.several

    def _after_batches(self, epoch: int, source: WindowSource) -> None:
        """Average the weights after the last batch of an epoch."""
        if self._average is None or self._position.averaged:
            return
        self.at_rest = False
        self._average.after_epoch(epoch, lambda network: self._steps.passes(network, source, self._view))
        self._position.averaged = self.at_rest = True

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Block in which batch norms of several processes have the statistics of whole batches."""
        averaged = self.network if self._average is not None else nn.Module()
        with in_step(self._trained, self._settings.processes), in_step(averaged, self._settings.processes):
            yield

    def state(self) -> dict[str, Any]:
        """Everything that `load` needs to go on from here to the last bit; only where `at_rest` is true."""
        return {
            "epochs": self.epochs,
            "position": self._position.state(),
            "network": network_state(self._trained),
            "optimizer": self._optimizer.state_dict(),
            "average": None if self._average is None else self._average.state(),
            "draws": {name: draws.get_state() for name, draws in self._steps.draws.items()},
            "global": global_state(self._settings.device),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state of a training with the same arguments."""
        self._begun = False
        self.epochs, self._position = state["epochs"], Position.of(state["position"], self._settings.device)
        restore_network(self._trained, state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            self._average.load(state["average"])
        self._order.set_state(self._position.order)
        for name, draws in self._steps.draws.items():
            draws.set_state(state["draws"][name])
        restore_global(self._settings.device, state["global"])

    @property
    def place(self) -> tuple[int, int]:
        """Number of epochs, and of batches of the next one, so far."""
        return self.epochs, self._position.batches

    def _set_rates(self, rates: list[float], factor: float) -> None:
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor

    def _evaluate(self, windows: WindowSource) -> Evaluation:
        """Evaluation of the network on windows, see `evaluate`."""
        source = self._source(windows)
        with self._threads(min(EVALUATION_BATCH, len(windows)), source.depth):
            found = evaluate(self.network, self._samples, self._task, source, self._settings, self._scores)
        # Processors may round differently, and all processes must stop after the same epoch.
        return replace(found, loss=self._settings.processes.of_first(found.loss))

    def _threads(self, batch_size: int, depth: int = 0) -> AbstractContextManager[None]:
        """Block with the number of threads for batches that have passed `depth` blocks, see `threads_for`."""
        return threads_for(batch_size * self._operations[depth], self._settings.threads)

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
