"""Judging of a trial: it is trained in each fold, and each participant is scored by a network that never saw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sslwear.config import TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.evaluation.intervals import FEWEST
from sslwear.evaluation.participants import POOLED
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.limits import measured
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.judgement import Judgement, Scorer, confusion_table
from sslwear.studies.trial.training_run import first_encoder, pretrained_encoder, run_name, training_params
from sslwear.tracking import Run, participant_params
from sslwear.tracking.system_metrics import monitored
from sslwear.training import (
    Checkpoints,
    EpochRecord,
    FitData,
    Fold,
    FoldedResult,
    Helpers,
    Windows,
    fit_folds,
)
from sslwear.training.metrics import HEADLINE_SCORES

CONFUSION = "validation_confusion.csv"
"""File of a trial's run with the confusions of its judged windows, from which smoothing is learnt at a promotion."""


class Watch:
    """Follows a trial while it is judged; each method may raise to end it."""

    def epoch(self, record: EpochRecord) -> None:
        """Called after each epoch of the first folds, with the mean scores over their participants."""

    def folds(self, judgement: Judgement, total: int) -> None:
        """Called after the first folds and after each further one, with the scores so far."""


def judge(
    context: StudyContext,
    training: TrainingSettings,
    run: Run,
    parent: str | None,
    progress: ProgressCallback,
    watch: Watch | None = None,
    helpers: Helpers | None = None,
    checkpoints: Sequence[Checkpoints] = (),
) -> Judgement:
    """Train in each fold of a study, score each participant, and log the scores; test participants are not used.

    The number of epochs is chosen once, by the mean validation loss of all folds.

    Args:
        context: what all trials share.
        training: settings of this trial.
        run: an open run; the caller ends it.
        parent: id of the parent run of a pre-training.
        progress: receives the folds and epochs.
        watch: ends the trial early.
        helpers: train folds too.
        checkpoints: of each fold, with which it goes on; empty for none.
    """
    total = len(context.folds)
    judged = [context.windows(fold.validation) for fold in context.folds]
    _introduce(context, training, judged, limits := measured(context, training), run)
    progress.started(run_name(training), training.max_epochs)
    scorer = Scorer(len(context.dataset.class_names), [windows.pid for windows in judged], limits)
    first = first_folds(context)
    teller = _Teller(scorer, total, context.settings.objective, run.epochs(), progress, watch or Watch())
    if checkpoints:
        checkpoints[0].on_resume = teller.resumed
    try:
        with context.unchanged_data(), monitored(run, context.device):
            result = fit_folds(
                [_fold(context, number, training, run, parent, progress) for number in range(total)],
                context.fit_settings(training),
                first=first,
                on_epoch=teller.epoch,
                on_stage=teller.folds,
                cache=context.cache,
                helpers=helpers,
                checkpoints=checkpoints,
            )
    finally:
        if teller.newest is not None:
            _log_history(scorer.judgement(teller.newest), run, epochs=first < total)
    judgement = scorer.judgement(result)
    _log_scores(judgement, context.dataset.class_names, run)
    return judgement


def _introduce(
    context: StudyContext, training: TrainingSettings, judged: Sequence[Windows], limits: dict[str, float], run: Run
) -> None:
    """Log parameters, data set, size and speed of a trial."""
    split = context.split
    who = participant_params(train=split.train, validation=context.judged)
    run.params({**training_params(context, training), **who, "folds": len(context.folds)})
    run.dataset(context.dataset, {"train": len(context.windows(split.train)), "validation": sum(map(len, judged))})
    run.metrics(limits)


def first_folds(context: StudyContext) -> int:
    """Number of folds that are trained first: all if no trial ends early, else those with enough participants to
    compare trials.
    """
    settings = context.settings
    if settings.pruner.name == "none" or settings.second_objective is not None:
        return len(context.folds)
    seen: set[Any] = set()
    for number, fold in enumerate(context.folds, start=1):
        seen |= set(fold.validation)
        if len(seen) >= FEWEST:
            return number
    return len(context.folds)


def _fold(
    context: StudyContext,
    number: int,
    training: TrainingSettings,
    run: Run,
    parent: str | None,
    progress: ProgressCallback,
) -> Callable[[], Fold]:
    """What a fold trains on, made when the fold's turn comes or before, as it may need a pre-training of its own.

    The run names the pre-training of its first fold only: how many folds are made depends on the idle cores.
    """
    fold = context.in_fold(context.folds[number])

    def make() -> Fold:
        if number == 0:
            return fold_with(fold, training, first_encoder(fold, training, run, parent, progress))
        encoder, _ = pretrained_encoder(fold, training, run.experiment, parent, progress)
        return fold_with(fold, training, encoder)

    return make


def fold_with(context: StudyContext, training: TrainingSettings, encoder: Encoder) -> Fold:
    """What the fold of a context trains on, with an encoder."""
    data = FitData(context.windows(context.split.train, training), context.windows(context.split.validation))
    return Fold(encoder, context.classification(training), data, context.tuning(training))


@dataclass
class _Teller:
    """Tells of a trial while it is trained: its run, the progress, and what may end it.

    Attributes:
        newest: result of the folds so far; None before the first epoch.
        known: number of epochs before an interruption, of which the progress knows.
    """

    scorer: Scorer
    total: int
    objective: str
    log: Callable[[EpochRecord], None]
    progress: ProgressCallback
    watch: Watch
    newest: FoldedResult | None = None
    known: int = 0

    def resumed(self, history: Sequence[EpochRecord]) -> None:
        """Called when the first fold goes on from a checkpoint."""
        self.known = len(history)
        self.progress.resumed(self.known)

    def epoch(self, folds: int, result: FoldedResult) -> None:
        """Called after each epoch of the first folds."""
        self.newest = result
        record = self.scorer.history(result)[-1]
        if folds == self.total:  # otherwise the means change with each further fold
            self.log(record)
        if record.epoch > self.known:
            self.progress.epoch(record, self.objective)
        self.watch.epoch(record)

    def folds(self, folds: int, result: FoldedResult) -> None:
        """Called after the first folds and after each further one."""
        self.newest = result
        judgement = self.scorer.judgement(result)
        self.progress.fold(folds, self.total, judgement.means[self.objective], self.objective)
        self.watch.folds(judgement, self.total)


def _log_history(judgement: Judgement, run: Run, epochs: bool) -> None:
    """Log how far a trial came, the table of participants, and with `epochs` the metrics by epoch."""
    log = run.epochs()
    for record in judgement.history if epochs else ():
        log(record)
    run.metrics({"epochs": len(judgement.history), "folds_done": judgement.folds}, judgement.epochs)
    run.table(judgement.table, "participants.csv")


def _log_scores(judgement: Judgement, class_names: Sequence[str], run: Run) -> None:
    """Log the scores of a trial that was judged in all folds; others cannot be compared with them."""
    run.metrics(
        {
            **judgement.means,
            **{f"{name}_se": judgement.errors[name] for name in HEADLINE_SCORES},
            **{f"{POOLED}{name}": value for name, value in judgement.pooled.items()},
            "loss": judgement.history[judgement.epochs - 1].validation_loss,
            "best_epoch": judgement.epochs,
            "participants": len(judgement.table),
        },
        judgement.epochs,
    )
    run.table(confusion_table(judgement.truth, judgement.predicted, class_names), CONFUSION)
