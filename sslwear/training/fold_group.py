"""Folds of a cross-validated training, several of which are trained at the same time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

import torch

from sslwear.encoders.base import Network
from sslwear.errors import SslwearError
from sslwear.training.cache import FeatureCache
from sslwear.training.captured import SideBySide
from sslwear.training.checkpoint import Checkpoints
from sslwear.training.device import seeded
from sslwear.training.epochs import Training
from sslwear.training.graphs import graphs_of
from sslwear.training.results import EpochRecord, Evaluation, FitSettings
from sslwear.training.threads import threads_for
from sslwear.training.trained_fold import Fold, TrainedFold
from sslwear.utils.interrupts import is_deferred, signals_deferred

BRANCHES = 8
"""Most folds that are trained at the same time on a graphics card; with more, an H200 is no faster."""


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


class FoldGroup:
    """Folds that are trained in step, several at the same time.

    Args:
        folds: makes each fold.
        settings: settings of the training.
        cache: stores the outputs of the frozen first blocks.
        helpers: train folds too.
        total: number of folds that there may be; by default that of `folds`.
        checkpoints: of each fold; empty for none.

    Attributes:
        at_once: number of folds that are trained at the same time.
    """

    def __init__(
        self,
        folds: Sequence[Callable[[], Fold]],
        settings: FitSettings,
        cache: FeatureCache | None,
        helpers: Helpers | None = None,
        total: int | None = None,
        checkpoints: Sequence[Checkpoints] = (),
    ) -> None:
        self._checkpoints = checkpoints
        self._folds, self._cache, self._helpers = folds, cache, helpers or Helpers()
        self._trained: list[TrainedFold] = []
        self._error_ahead: Exception | None = None
        total = len(folds) if total is None else total
        threads = settings.threads or torch.get_num_threads()
        self._graphs = graphs_of(settings.device)
        if self._graphs is not None:
            self.at_once = min(BRANCHES, total)
        else:
            self.at_once = min(threads, total) if settings.device.type == "cpu" else 1
        self._beside = None if self._graphs is None else SideBySide(self._graphs)
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
        while place < min(count + idle, len(self._folds)) and self._is_made(place):
            if self._is_lent(self._trained[place]):
                idle += 1
            elif self._trained[place].error is None and len(self._trained[place].history) < epoch:
                found.append(self._trained[place])
            place += 1
        return found

    def _is_made(self, place: int) -> bool:
        """Make a fold before its turn; whether it could be made. Its error is raised when its turn comes."""
        if self._error_ahead is None:
            try:
                self._make(place + 1)
            except Exception as error:  # noqa: BLE001 (a trial that is pruned before must not fail)
                self._error_ahead = error
        return place < len(self._trained)

    def _make(self, count: int) -> None:
        """Make folds until there are `count`."""
        while len(self._trained) < count:
            if self._error_ahead is not None:  # of this fold; a pre-training that failed is not repeated
                raise self._error_ahead
            self.add(self._folds[len(self._trained)])

    def keep(self, within_s: float) -> None:
        """Write checkpoints of what is not written yet; of large networks only those that fit into so many seconds."""
        until = time.monotonic() + within_s
        for fold in self._trained:
            if time.monotonic() < until:
                fold.keep()

    def keep_at_end(self) -> None:
        """Write checkpoints at the end of the training, of what would take long to repeat."""
        for fold in self._trained:
            fold.keep(at_end=True)

    def add(self, make: Callable[[], Fold]) -> TrainedFold:
        """Make one more fold."""
        kept = self._checkpoints[len(self._trained)] if self._checkpoints else None
        fold = TrainedFold(make(), self._settings, self._cache, kept)
        if self.at_once > 1 and draws_globally(fold.training.network, fold.fold.encoder.window_samples):
            self.at_once = 1
        self._trained.append(fold)
        return fold

    def advance(self, folds: list[TrainedFold]) -> None:
        """Train folds for one epoch each; what ends the training of one is kept as its error."""
        if self.at_once > 1 and len(folds) > 1:
            advance = self._advance_at_once if self._beside is None else self._advance_beside
            advance(folds)
            self._keep_if_due()
            return
        for fold in folds:
            with seeded(self._settings.seed, self._settings.device):
                fold.restore_draws()
                fold.training.seed_draws()
                try:
                    fold.advance()
                except BaseException:  # an interruption; a checkpoint has the state of the global generator
                    fold.keep()
                    raise
            if fold.error is not None:
                return
            self._keep_if_due()

    def _keep_if_due(self) -> None:
        """Write checkpoints of folds whose last one is too old; the epoch of another fold may have taken long."""
        for fold in self._trained:
            fold.keep_if_due()

    def _advance_beside(self, folds: list[TrainedFold]) -> None:
        """Train folds as branches of one CUDA graph, and each alone where they differ: in its last steps."""
        assert self._beside is not None
        for first in range(0, len(folds), self.at_once):
            some = folds[first : first + self.at_once]
            for fold in some:
                fold.begin()
            going = [fold.training for fold in some if fold.error is None]
            take_side_by_side(going, self._beside, self._settings.batch_size)
            for fold in some:
                fold.advance()

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
                with signals_deferred():  # a second one
                    wait([future for future in futures if not future.cancel()])
                raise
        for future in futures:
            future.result()
        if not torch.equal(before, torch.get_rng_state()):
            raise SslwearError(
                "the network or the tuning strategy draws from PyTorch's global generator in some epochs only, so "
                "folds cannot be trained at the same time. Set threads: 1"
            )


def take_side_by_side(trainings: Sequence[Training], beside: SideBySide, size: int) -> None:
    """Take steps of trainings whose epochs have begun, all at the same time, while each has whole batches left.

    Signals wait until all trainings have counted a step, so that checkpoints are of states between two steps.

    Args:
        trainings: the trainings; those whose windows are not on the device take no step here.
        beside: records the steps.
        size: number of windows in a whole batch.
    """
    captured = [one.captured for one in trainings if one.captured is not None]
    with signals_deferred():
        while len(captured) > 1 and all(one.next_size() == size for one in captured) and not is_deferred():
            if all(one.can_be_recorded() for one in captured):
                for training in trainings:
                    training.at_rest = False
                beside.take(captured)
                for training in trainings:
                    training.count_step()
                for training in trainings:
                    training.tell()
            else:
                for training in trainings:
                    training.take_step()


@torch.no_grad()
def draws_globally(network: Network, samples: int) -> bool:
    """Whether the forward pass of a network draws from PyTorch's global CPU generator, as dropout does.

    Threads that share this generator would draw in a random order.

    Args:
        network: the network; it does not change.
        samples: window length of its encoder, in samples.
    """
    network = copy.deepcopy(network).cpu()
    with seeded(0):
        before = torch.get_rng_state()
        for training in (True, False):
            network.train(training)(torch.zeros(2, 3, samples))
        return not torch.equal(before, torch.get_rng_state())
