"""Cross-validated training: a network in each fold, and one number of epochs for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sslwear.errors import SslwearError
from sslwear.training.cache import FeatureCache
from sslwear.training.checkpoint import Checkpoints
from sslwear.training.device import deterministic
from sslwear.training.epochs import stops_early
from sslwear.training.fold_group import FoldGroup, Helpers
from sslwear.training.results import EpochRecord, Evaluation, FitSettings
from sslwear.training.trained_fold import Fold, TrainedFold


@dataclass(frozen=True)
class FoldedResult:
    """Result of the folds of a training, or of those so far; no weights are kept.

    Attributes:
        epoch: number of epochs with the lowest mean validation loss, from 1.
        history: means over the folds by epoch: the training loss over all training windows of the folds, the validation
            loss over all their validation windows. The learning rates are those of the first fold, and `seconds` is the
            sum over the folds, some of which may be trained at the same time. `scores` is empty.
        evaluations: evaluations of each fold by epoch, without scores; class indices are int16 where they fit.
    """

    epoch: int
    history: tuple[EpochRecord, ...]
    evaluations: tuple[tuple[Evaluation, ...], ...]

    def at(self, epoch: int) -> tuple[Evaluation, ...]:
        """Evaluations of all folds after an epoch, counted from 1."""
        return tuple(fold[epoch - 1] for fold in self.evaluations)


WRITING_S = 5.0
"""Seconds that an interrupted call writes checkpoints; whoever interrupted it expects it to end soon."""
EpochCallback = Callable[[int, FoldedResult], None]
"""Receives the number of folds so far and their result; an exception that it raises ends the training."""


def fit_folds(
    folds: Sequence[Callable[[], Fold]],
    settings: FitSettings,
    *,
    first: int = 1,
    on_epoch: EpochCallback | None = None,
    on_stage: EpochCallback | None = None,
    cache: FeatureCache | None = None,
    helpers: Helpers | None = None,
    checkpoints: Sequence[Checkpoints] = (),
) -> FoldedResult:
    """Train a network in each fold, and choose one number of epochs for all of them.

    Folds are added one at a time to a first group. Those so far are trained until the mean of their validation losses
    has not fallen for `settings.patience` epochs, which are counted as in `fit`. The mean is over all their validation
    windows. A fold is not trained again for an epoch for which it was trained before. No fold has a number of epochs of
    its own, which would be chosen by the windows that are scored.

    Several folds are trained at the same time on a CPU, each on one thread, so that a result does not depend on how
    many there are. Idle threads train further folds before their turn. A single fold is trained as by `fit`.

    Args:
        folds: makes each fold, in the main thread.
        settings: learning rate, batch size, early stopping and the like; `threads` limits the folds at the same time.
        first: number of folds in the first group.
        on_epoch: called after each epoch of the first group.
        on_stage: called after the first group, and after each further fold.
        cache: stores the outputs of the frozen first blocks.
        helpers: train folds too, as this function does; None for nobody.
        checkpoints: one for each fold, from which it goes on; empty for none. Earlier epochs are told to `on_epoch` and
            `on_stage` again. One is written at intervals, at the end and on `KeyboardInterrupt`, on no other exception.

    Raises:
        DivergenceError: when a loss is not finite.
        SslwearError: when there are no folds, a fold has no windows to train or to validate on, or the network draws
            random numbers in a way that does not allow several threads.
    """
    if not folds:
        raise SslwearError("there are no folds to train in. Check the split")
    first = min(max(first, 1), len(folds))
    group = FoldGroup(folds, settings, cache, helpers, checkpoints=checkpoints)
    with deterministic(settings.device), group, _kept(group):
        for stage in range(first, len(folds) + 1):
            result = _train_stage(group, stage, settings, on_epoch if stage == first else None)
            if on_stage is not None:
                on_stage(stage, result)
    return result


@contextmanager
def _kept(group: FoldGroup) -> Iterator[None]:
    """Write checkpoints when the block is interrupted or ends, and not when it fails."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        group.keep(WRITING_S)
        raise
    group.keep_at_end()


def _train_stage(group: FoldGroup, folds: int, settings: FitSettings, on_epoch: EpochCallback | None) -> FoldedResult:
    """Train the first `folds` folds until their mean validation loss stops them."""
    history: list[EpochRecord] = []
    best = 1
    for epoch in range(1, settings.max_epochs + 1):
        trained = group.train(folds, epoch)
        history.append(_mean_record(trained, epoch))
        if history[-1].validation_loss < history[best - 1].validation_loss:
            best = epoch
        evaluations = tuple(tuple(fold.evaluations[:epoch]) for fold in trained)
        result = FoldedResult(best, tuple(history), evaluations)
        if on_epoch is not None:
            on_epoch(folds, result)
        if stops_early(trained[0].fold.tuning, settings, epoch, best):
            break
    return result


def _mean_record(folds: Sequence[TrainedFold], epoch: int) -> EpochRecord:
    """Means over the folds at an epoch."""
    records = [fold.history[epoch - 1] for fold in folds]
    return replace(
        records[0],
        train_loss=_mean([record.train_loss for record in records], [len(fold.fold.data.train) for fold in folds]),
        validation_loss=_mean(
            [record.validation_loss for record in records], [len(fold.fold.data.validation) for fold in folds]
        ),
        seconds=sum(record.seconds for record in records),
    )


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    """Weighted mean; of one value it is that value to the last bit."""
    total = sum(weights)
    return math.fsum(value * (weight / total) for value, weight in zip(values, weights, strict=True))
