"""Judging of a trial: it is trained in each fold, and each participant is scored by a network that never saw them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from sslwear.config import NO_PRETEXT, TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.evaluation.intervals import FEWEST
from sslwear.evaluation.participants import POOLED, mean_scores, per_participant, standard_errors
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.limits import measured
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.training_run import first_encoder, run_name, training_params
from sslwear.tracking import Run, participant_params
from sslwear.tracking.system_metrics import monitored
from sslwear.training import EpochRecord, Evaluation, FitData, Fold, FoldedResult, Helpers, Windows, fit_folds
from sslwear.training.metrics import HEADLINE_SCORES, classification_scores, confusion
from sslwear.utils.words import count

CONFUSION = "validation_confusion.csv"
"""File of a trial's run with the confusions of its judged windows, from which smoothing is learnt at a promotion."""


@dataclass(frozen=True)
class Judgement:
    """Scores of a trial, or of its folds so far.

    Attributes:
        epochs: number of epochs with the lowest mean validation loss over the folds.
        folds: number of folds.
        history: means over the folds by epoch; scores are means over participants.
        table: scores of each participant after `epochs`, means over repeats, see `per_participant`.
        truth: true class indices of all judged windows (N,).
        predicted: predicted class indices (N,).
        classes: number of classes.
        measured: size and speed of the network, see `sslwear.studies.setup.limits.measured`.
    """

    epochs: int
    folds: int
    history: tuple[EpochRecord, ...]
    table: pd.DataFrame
    truth: NDArray[np.integer]
    predicted: NDArray[np.integer]
    classes: int
    measured: dict[str, float]

    @property
    def means(self) -> dict[str, float]:
        """Means over the participants, by name of the score."""
        return mean_scores(self.table)

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the means over participants."""
        return standard_errors(self.table)

    @property
    def pooled(self) -> dict[str, float]:
        """Scores over all windows."""
        return classification_scores(self.truth, self.predicted, self.classes)

    def by_participant(self, score: str) -> dict[str, float]:
        """A score of each participant, by name; undefined ones are left out."""
        known = self.table[["participant", score]].dropna()
        return {str(name): float(value) for name, value in known.itertuples(index=False)}


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
    """
    total = len(context.folds)
    judged = [context.windows(fold.validation) for fold in context.folds]
    limits = measured(context, training)
    _introduce(context, training, judged, limits, run)
    progress.started(run_name(training), training.max_epochs)
    scorer = _Scorer(len(context.dataset.class_names), [windows.pid for windows in judged], limits)
    first = first_folds(context)
    teller = _Teller(scorer, total, context.settings.objective, run.epochs(), progress, watch or Watch())
    try:
        with context.unchanged_data(), monitored(run):
            result = fit_folds(
                [_fold(context.in_fold(fold), training, run, parent, progress) for fold in context.folds],
                context.fit_settings(training),
                first=first,
                on_epoch=teller.epoch,
                on_stage=teller.folds,
                cache=context.cache,
                ahead=training.pretext == NO_PRETEXT,  # a pre-training is not to be for nothing
                helpers=helpers,
            )
    finally:
        if teller.newest is not None:
            _log_history(scorer.judgement(teller.newest), run, epochs=first < total)
    judgement = scorer.judgement(result)
    _log_scores(judgement, run)
    run.table(confusion_table(judgement, context.dataset.class_names), CONFUSION)
    return judgement


def confusion_table(judgement: Judgement, class_names: Sequence[str]) -> pd.DataFrame:
    """Number of judged windows by true class (rows, column ``true``) and predicted class (other columns)."""
    counts = confusion(judgement.truth, judgement.predicted, len(class_names))
    table = pd.DataFrame(counts, columns=[f"predicted_{name}" for name in class_names])
    table.insert(0, "true", list(class_names))
    return table


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
    context: StudyContext, training: TrainingSettings, run: Run, parent: str | None, progress: ProgressCallback
) -> Callable[[], Fold]:
    """What a fold trains on, made when the fold's turn comes, because it may need a pre-training of its own."""
    return lambda: fold_with(context, training, first_encoder(context, training, run, parent, progress))


def fold_with(context: StudyContext, training: TrainingSettings, encoder: Encoder) -> Fold:
    """What the fold of a context trains on, with an encoder."""
    data = FitData(context.windows(context.split.train, training), context.windows(context.split.validation))
    return Fold(encoder, context.classification(training), data, context.tuning(training))


@dataclass
class _Teller:
    """Tells of a trial while it is trained: its run, the progress, and what may end it.

    Attributes:
        newest: result of the folds so far; None before the first epoch.
    """

    scorer: _Scorer
    total: int
    objective: str
    log: Callable[[EpochRecord], None]
    progress: ProgressCallback
    watch: Watch
    newest: FoldedResult | None = None

    def epoch(self, folds: int, result: FoldedResult) -> None:
        """Called after each epoch of the first folds."""
        self.newest = result
        record = self.scorer.history(result)[-1]
        if folds == self.total:  # otherwise the means change with each further fold
            self.log(record)
        self.progress.epoch(record, self.objective)
        self.watch.epoch(record)

    def folds(self, folds: int, result: FoldedResult) -> None:
        """Called after the first folds and after each further one."""
        self.newest = result
        judgement = self.scorer.judgement(result)
        self.progress.fold(folds, self.total, judgement.means[self.objective], self.objective)
        self.watch.folds(judgement, self.total)


class _Scorer:
    """Scores by participant from the predictions of folds."""

    def __init__(self, classes: int, pid: Sequence[NDArray[Any]], limits: dict[str, float]) -> None:
        self._classes, self._pid, self._limits = classes, pid, limits
        self._means: dict[tuple[int, int], dict[str, float]] = {}  # by number of folds and epoch

    def table(self, evaluations: Sequence[Evaluation]) -> pd.DataFrame:
        """Scores of each participant of some folds, the first ones; means over repeats."""
        tables = [
            per_participant(one.truth, one.predicted, pid, self._classes)
            for one, pid in zip(evaluations, self._pid, strict=False)
        ]
        return pd.concat(tables).groupby("participant", as_index=False).mean()

    def history(self, result: FoldedResult) -> tuple[EpochRecord, ...]:
        """The records of a result with mean scores over the participants of its folds."""
        folds = len(result.evaluations)
        for record in result.history:
            if (folds, record.epoch) not in self._means:
                self._means[folds, record.epoch] = mean_scores(self.table(result.at(record.epoch)))
        return tuple(replace(record, scores=self._means[folds, record.epoch]) for record in result.history)

    def judgement(self, result: FoldedResult) -> Judgement:
        """Scores of the folds so far."""
        chosen = result.at(result.epoch)
        return Judgement(
            epochs=result.epoch,
            folds=len(chosen),
            history=self.history(result),
            table=self.table(chosen),
            truth=np.concatenate([one.truth for one in chosen]),
            predicted=np.concatenate([one.predicted for one in chosen]),
            classes=self._classes,
            measured=self._limits,
        )


def _log_history(judgement: Judgement, run: Run, epochs: bool) -> None:
    """Log how far a trial came, the table of participants, and with `epochs` the metrics by epoch."""
    log = run.epochs()
    for record in judgement.history if epochs else ():
        log(record)
    run.metrics({"epochs": len(judgement.history), "folds_done": judgement.folds}, judgement.epochs)
    run.table(judgement.table, "participants.csv")


def _log_scores(judgement: Judgement, run: Run) -> None:
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


def sentence(judgement: Judgement, objective: str) -> str:
    """Scores of a trial in a sentence (Markdown)."""
    names = [objective, *(name for name in HEADLINE_SCORES if name != objective)]
    means, errors = judgement.means, judgement.errors
    scores = ", ".join(f"{name} {means[name]:.3f} (standard error {errors[name]:.3f})" for name in names)
    how = f"in {count(judgement.folds, 'fold')}, each by a network that has not seen the participant"
    if judgement.folds == 1:
        how = "of the hold-out"
    return (
        f"Mean over {count(len(judgement.table), 'participant')} {how}: {scores}, after "
        f"{count(judgement.epochs, 'epoch')} of {len(judgement.history)}. The number of epochs has the lowest mean "
        "validation loss. Metrics that begin with `val_` have the value of each epoch."
    )


def is_worse(scores: Mapping[str, float], best: Mapping[str, float], p_value: float) -> bool:
    """Whether a trial is worse than the best one so far on the participants that both were scored on.

    The test is Wilcoxon's signed-rank test of the paired differences, one-sided. Optuna's WilcoxonPruner is the same
    test, but takes the intermediate values of a trial for the participants, and these are its epochs here.

    Args:
        scores: score of each participant so far.
        best: score of each participant in the best trial.
        p_value: limit of the test's p-value.
    """
    difference = np.array([value - best[name] for name, value in scores.items() if name in best])
    if p_value == 0 or len(difference) == 0 or not (difference != 0).any() or difference.mean() >= 0:
        return False
    return float(wilcoxon(difference, alternative="less").pvalue) < p_value
