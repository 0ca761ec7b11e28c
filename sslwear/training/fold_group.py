"""Folds of a cross-validated training, several of which are trained at the same time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SslwearError
from sslwear.training.cache import FeatureCache
from sslwear.training.device import generator, seeded
from sslwear.training.epochs import Training
from sslwear.training.results import EpochRecord, Evaluation, FitSettings
from sslwear.training.task import Task
from sslwear.training.threads import threads_for
from sslwear.training.windows import FitData
from sslwear.tuning.base import TuningStrategy
from sslwear.utils.interrupts import signals_deferred

GLOBAL_STREAMS = 10_000_000
"""First stream of random numbers for PyTorch's global generator; epoch n uses the stream GLOBAL_STREAMS + n."""
SMALL = np.int16
"""Type of kept class indices, of which there are as many as windows times epochs."""


@dataclass(frozen=True)
class Fold:
    """What one fold trains on.

    Attributes:
        encoder: initial weights; its tensors are trained in place.
        task: the task, with the class weights of the fold's training windows.
        data: training and validation windows.
        tuning: which blocks learn, and how fast; an object of the fold's own, because it may have a state.
    """

    encoder: Encoder
    task: Task
    data: FitData
    tuning: TuningStrategy


class Helpers:
    """Others who train folds too; by default there are none. Folds are counted from 0, and epochs from 1."""

    def look(self, epoch: int) -> None:
        """Look what they have done; `epoch` is the one that is needed now."""

    def epochs(self, fold: int, known: int) -> list[tuple[EpochRecord, Evaluation]]:
        """What they have done of a fold after the first `known` epochs."""
        return []

    def ahead(self, fold: int, epochs: int) -> bool:
        """Whether one of them trains a fold, and has done more than so many epochs of it."""
        return False

    def wait(self) -> None:
        """Wait a little for them."""


class TrainedFold:
    """A fold with its network, and its epochs so far.

    Attributes:
        fold: the fold.
        training: its network in training; helpers may have done more epochs of the fold than it has.
        history: records by epoch.
        evaluations: evaluations by epoch.
        error: what ended its training.
    """

    def __init__(self, fold: Fold, settings: FitSettings, cache: FeatureCache | None) -> None:
        data = fold.data
        if len(data.train) == 0 or len(data.validation) == 0:
            raise SslwearError("there are no windows to train or to validate on. Check the split")
        self.fold = fold
        self.training = Training(
            fold.encoder, fold.task, data.train, fold.tuning, settings, cache, data.validation, _no_scores
        )
        self.history: list[EpochRecord] = []
        self.evaluations: list[Evaluation] = []
        self.error: Exception | None = None

    def prepare(self) -> None:
        """Prepare the next epoch; an exception is kept as `error`."""
        self._attempt(self.training.prepare)

    def advance(self) -> None:
        """Train and evaluate for the next epoch; an exception is kept as `error`."""
        self._attempt(self._advance)

    def _advance(self) -> None:
        record = self.training.advance()
        evaluation = self.training.evaluation
        assert evaluation is not None
        self.training.evaluation = None
        if self.training.epochs > len(self.history):
            self.add(record, evaluation)

    def add(self, record: EpochRecord, evaluation: Evaluation) -> None:
        """Add the next epoch."""
        self.history.append(record)
        truth, predicted = _small(evaluation.truth), _small(evaluation.predicted)
        if self.evaluations and np.array_equal(truth, self.evaluations[0].truth):
            truth = self.evaluations[0].truth
        self.evaluations.append(replace(evaluation, truth=truth, predicted=predicted))

    def _attempt(self, step: Callable[[], None]) -> None:
        if self.error is None:
            try:
                step()
            except Exception as error:  # noqa: BLE001 (raised in the main thread when the fold's turn comes)
                self.error = error


class FoldGroup:
    """Folds that are trained in step, several at the same time.

    Args:
        folds: makes each fold.
        settings: settings of the training.
        cache: stores the outputs of the frozen first blocks.
        ahead: whether idle threads train further folds.
        helpers: train folds too.
        total: number of folds that there may be; by default that of `folds`.

    Attributes:
        at_once: number of folds that are trained at the same time.
    """

    def __init__(
        self,
        folds: Sequence[Callable[[], Fold]],
        settings: FitSettings,
        cache: FeatureCache | None,
        ahead: bool,
        helpers: Helpers | None = None,
        total: int | None = None,
    ) -> None:
        self._folds, self._cache, self._ahead, self._helpers = folds, cache, ahead, helpers or Helpers()
        self._trained: list[TrainedFold] = []
        total = len(folds) if total is None else total
        threads = settings.threads or torch.get_num_threads()
        self.at_once = min(threads, total) if settings.device.type == "cpu" else 1
        # One thread a fold rounds in the same way, whatever the number of folds at the same time.
        self._settings = replace(settings, threads=1) if total > 1 else settings
        self._pool = ThreadPoolExecutor(self.at_once, "fold")  # starts no thread before it is used

    def __enter__(self) -> FoldGroup:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def train(self, count: int, epoch: int) -> list[TrainedFold]:
        """The first `count` folds, after at least `epoch` epochs each; they must have been trained for one less."""
        self._make(count)
        while needed := [fold for fold in self._trained[:count] if len(fold.history) < epoch]:
            if needed[0].error is not None:
                raise needed[0].error
            self._train([fold for fold in needed if fold.error is None], count, epoch)
        return self._trained[:count]

    def _train(self, needed: list[TrainedFold], count: int, epoch: int) -> None:
        """Train folds for one epoch, but for those that helpers are ahead with; take over what these have done."""
        self._helpers.look(epoch)
        for fold in needed:
            for done in self._helpers.epochs(self._trained.index(fold), len(fold.history)):
                fold.add(*done)
        left = [fold for fold in needed if len(fold.history) < epoch]
        mine = [fold for fold in left if not self._is_lent(fold)]
        idle = -len(mine) % self.at_once if mine or not left else self.at_once
        mine += self._further(count, idle, epoch)
        if mine:
            self.advance(mine)
        elif left:
            self._helpers.wait()

    def _is_lent(self, fold: TrainedFold) -> bool:
        """Whether a helper is ahead with a fold; a helper that is not would only be waited for."""
        return self._helpers.ahead(self._trained.index(fold), fold.training.epochs)

    def _further(self, count: int, idle: int, epoch: int) -> list[TrainedFold]:
        """Folds after the first `count` ones to train for an epoch on idle threads."""
        found, place = list[TrainedFold](), count
        while self._ahead and place < min(count + idle, len(self._folds)):
            try:
                self._make(place + 1)
            except SslwearError:  # raised when the fold's turn comes
                return []
            if self._is_lent(self._trained[place]):
                idle += 1
            elif self._trained[place].error is None and len(self._trained[place].history) < epoch:
                found.append(self._trained[place])
            place += 1
        return found

    def _make(self, count: int) -> None:
        """Make folds until there are `count`."""
        while len(self._trained) < count:
            self.add(self._folds[len(self._trained)])

    def add(self, make: Callable[[], Fold]) -> TrainedFold:
        """Make one more fold."""
        fold = TrainedFold(make(), self._settings, self._cache)
        if self.at_once > 1 and draws_globally(fold.training.network, fold.fold.encoder.window_samples):
            self.at_once = 1
        self._trained.append(fold)
        return fold

    def advance(self, folds: list[TrainedFold]) -> None:
        """Train folds for one epoch each; what ends the training of one is kept as its error."""
        if self.at_once > 1 and len(folds) > 1:
            self._advance_at_once(folds)
            return
        for fold in folds:
            # The global generator is seeded in case that the network draws from it, for example for dropout.
            seed = generator(self._settings.seed, GLOBAL_STREAMS + fold.training.epochs + 1).initial_seed()
            with seeded(seed, self._settings.device):
                fold.advance()
            if fold.error is not None:
                return

    def _advance_at_once(self, folds: list[TrainedFold]) -> None:
        for fold in folds:
            fold.prepare()  # here, because the cache is for one thread
        before, futures = torch.get_rng_state(), list[Future[None]]()
        with threads_for(0):  # new threads take the number over, and it is global in parts
            try:
                with signals_deferred():  # the pool does not know a thread whose start was interrupted
                    futures += [self._pool.submit(fold.advance) for fold in folds]
                wait(futures)
            except BaseException:  # such as KeyboardInterrupt: no thread may outlive this function
                for fold in folds:
                    fold.training.cancelled = True
                wait([future for future in futures if not future.cancel()])
                raise
        for future in futures:
            future.result()
        if not torch.equal(before, torch.get_rng_state()):
            raise SslwearError(
                "the network or the tuning strategy draws from PyTorch's global generator in some epochs only, so "
                "folds cannot be trained at the same time. Set threads: 1"
            )


@torch.no_grad()
def draws_globally(network: Network, samples: int) -> bool:
    """Whether the forward pass of a network draws from PyTorch's global CPU generator, as dropout does.

    Threads that share this generator would draw in a random order.

    Args:
        network: network on the CPU; it does not change.
        samples: window length of its encoder, in samples.
    """
    network = copy.deepcopy(network)
    with seeded(0):
        before = torch.get_rng_state()
        for training in (True, False):
            network.train(training)(torch.zeros(2, 3, samples))
        return not torch.equal(before, torch.get_rng_state())


def _small(answers: NDArray[Any]) -> NDArray[Any]:
    """Answers as int16 if they are integers that fit, as class indices do."""
    if not np.issubdtype(answers.dtype, np.integer):
        return answers
    limits = np.iinfo(SMALL)
    return answers.astype(SMALL) if limits.min <= answers.min() and answers.max() <= limits.max else answers


def _no_scores(*_: object) -> dict[str, float]:
    return {}
