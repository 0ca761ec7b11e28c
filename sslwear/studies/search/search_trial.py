"""One trial of a study: proposed, trained, and recorded as finished, pruned, failed or interrupted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import Settings, TrainingSettings
from sslwear.errors import SslwearError
from sslwear.studies.database.failures import describe, interrupts, tell
from sslwear.studies.database.trials import (
    NETWORK,
    OUTCOMES,
    PEOPLE,
    best_trial,
    is_by_participant,
    score_of,
    searched_pretraining,
)
from sslwear.studies.search.sampling import chosen, earlier_duplicate, next_trial
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.limits import MEASURED, set_constraints, values
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.all_participants import log_network
from sslwear.studies.trial.judgement import Judgement, is_worse, sentence
from sslwear.studies.trial.judging import Watch, judge
from sslwear.studies.trial.training_checkpoints import resumable
from sslwear.studies.trial.training_run import log_figures, note, run_name, tensor_rates
from sslwear.studies.workers.shared_folds import helped
from sslwear.studies.workers.team import Crew
from sslwear.tracking import Run
from sslwear.training import EpochRecord
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.words import count


@dataclass(frozen=True)
class Proposal:
    """A trial that was proposed, and the study's settings with those of the trial."""

    trial: optuna.Trial
    settings: Settings


def propose(
    context: StudyContext, study: optuna.Study, first: Sequence[Mapping[str, Any]], place: int, crew: Crew
) -> Proposal | None:
    """The next trial, which this process runs from now on; None if another worker took it from this one.

    The caller is the only one that changes which trials there are, see `Crew.asking`.

    Args:
        context: the study's.
        study: receives the trial.
        first: parameters of the study's first trials.
        place: number of its trials that count or run.
        crew: the study's workers.
    """
    try:
        trial = next_trial(context, study, first, place)
        crew.mark(trial)
        settings = chosen(context.settings, context.encoder, trial.params)
        pretraining = searched_pretraining(settings, settings.training)
        if pretraining:
            trial.set_user_attr("pretraining", pretraining)
        trial.set_user_attr("settings", settings.training.model_dump())
    except UpdateFinishedTrialError:
        return None
    return Proposal(trial, settings)


def run_trial(
    context: StudyContext, study: optuna.Study, proposal: Proposal, parent: Run, progress: ProgressCallback
) -> None:
    """Run a trial and record how it ended, unless it was given to another worker meanwhile.

    Args:
        context: the study's.
        study: receives the trial's result.
        proposal: the trial.
        parent: the study's run.
        progress: receives the trial's start, epochs and end.

    Raises:
        Exception: an outage, see `sslwear.tracking.outages`; the trial is still running then, as after an interruption.
    """
    trial, settings = proposal.trial, proposal.settings
    context, training = context.with_pretraining(settings.pretraining), settings.training
    name, run = run_name(training, trial.number), None
    try:
        with signals_deferred():
            earlier = earlier_duplicate(study, settings, context.store)
            tags = {**context.tags(), "trial": str(trial.number)}
            run = context.store.create_run(parent.experiment, name, "trial", parent.id, note(training), **tags)
            trial.set_user_attr("run_id", run.id)
            if earlier is not None:
                _copy_result(study, trial, earlier, context.settings, run)
                progress.ended(
                    f"{name}: the same as trial {earlier.number}", OUTCOMES[earlier.state], score_of(earlier)
                )
                return
        progress.trial(name)
        _judge(context, study, trial, training, run, parent, progress)
    except (TrialGivenAwayError, UpdateFinishedTrialError):
        with signals_deferred():
            if run is not None:
                run.end("KILLED", "interrupted")
        progress.warn(f"{name} was given to another worker, because this one was not heard of for a while")
    except BaseException:
        with signals_deferred(), suppress(Exception):  # the error itself says more than that its run stays open
            if run is not None:
                run.end("KILLED", "interrupted")  # kept on disk while the server is away
        raise


def _judge(
    context: StudyContext,
    study: optuna.Study,
    trial: optuna.Trial,
    training: TrainingSettings,
    run: Run,
    parent: Run,
    progress: ProgressCallback,
) -> None:
    """Train and score a trial, and record how it ended."""
    name = run_name(training, trial.number)
    with ExitStack() as stack:  # the checkpoints are deleted when the trial has ended
        try:
            folds = [context.in_fold(fold) for fold in context.folds]
            how = "fold" if len(folds) > 1 else "hold-out"
            checkpoints = stack.enter_context(resumable(folds, training, progress, how))
            with helped(context, trial, run) as helpers:
                watch = _Watch(study, trial, context.settings)
                judgement = judge(context, training, run, parent.id, progress, watch, helpers, checkpoints)
            value = _value(study, judgement, context.settings.objective)
            run.describe(f"{note(training)}\n\n{sentence(judgement, context.settings.objective)}")
            _log_network(context, training, judgement, run, trial, parent, progress)
        except optuna.TrialPruned as pruned:
            with signals_deferred():
                run.describe(f"{note(training)}\n\nPruned: {pruned}.")
                _end(study, trial, run, TrialState.PRUNED)
            progress.ended(name, "pruned", None)
        except (TrialGivenAwayError, UpdateFinishedTrialError):
            raise
        except Exception as error:  # any other error in a trial is recorded, and the study continues
            if interrupts(study, trial, error):
                raise
            _fail(study, trial, training, run, error)
            progress.ended(name, "failed", None)
            progress.warn(f"{name} failed ({type(error).__name__}: {error}). Its run in the UI has the traceback")
        else:
            with signals_deferred():
                trial.set_user_attr("best_epoch", judgement.epochs)
                trial.set_user_attr(MEASURED, judgement.measured)
                set_constraints(trial, context.settings)
                trial.set_user_attr(PEOPLE, judgement.by_participant(context.settings.objective))
                _end(study, trial, run, TrialState.COMPLETE, values(value, judgement.measured, context.settings))
            progress.ended(name, "finished", value)


class TrialGivenAwayError(Exception):
    """Another worker has the trial, because this process was not heard of for a while."""


def _end(
    study: optuna.Study,
    trial: optuna.Trial,
    run: Run,
    state: TrialState,
    value: float | Sequence[float] | None = None,
) -> None:
    """End the run of a trial and the trial, in this order, so that a finished trial always has a finished run.

    Raises:
        TrialGivenAwayError: when another worker has the trial; the run is open then.
    """
    check_kept(study, trial)
    status = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED"}[state]
    run.end(status, OUTCOMES[state])
    if not tell(study, trial, state, value):
        raise TrialGivenAwayError


def check_kept(study: optuna.Study, trial: optuna.Trial) -> None:
    """Check that a trial is still this worker's.

    Raises:
        TrialGivenAwayError: when it is not.
    """
    if study._storage.get_trial(trial._trial_id).state != TrialState.RUNNING:
        raise TrialGivenAwayError


class _Watch(Watch):
    """Reports a trial to Optuna, and ends it if it is worse than others."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial, settings: Settings) -> None:
        self._study, self._trial, self._settings = study, trial, settings

    def epoch(self, record: EpochRecord) -> None:
        """Report the mean of the first folds at an epoch."""
        score = record.scores[self._settings.objective]
        # Optuna prunes with one objective only, and takes an undefined score for the worst one.
        if self._settings.second_objective is not None or math.isnan(score):
            return
        self._trial.report(score, record.epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned("it scored worse than other trials at the same epoch")

    def folds(self, judgement: Judgement, total: int) -> None:
        """Compare with the best trial so far on the same participants."""
        pruner, best = self._settings.pruner, best_trial(self._study)
        if judgement.folds == total or pruner.name == "none" or self._settings.second_objective is not None:
            return
        mine = judgement.by_participant(self._settings.objective)
        if best is None or not is_worse(mine, best.user_attrs.get(PEOPLE, {}), pruner.p_value):
            return
        self._trial.set_user_attr(PEOPLE, mine)
        raise optuna.TrialPruned(
            f"after {count(judgement.folds, 'fold')} it was worse than trial {best.number} on the same "
            f"{count(len(mine), 'participant')}"
        )


def _value(study: optuna.Study, judgement: Judgement, objective: str) -> float:
    """The objective: a mean over participants, or in studies of version 0.1 the score over all windows."""
    value = (judgement.means if is_by_participant(study) else judgement.pooled)[objective]
    if math.isnan(value):
        raise SslwearError(f"{objective} is undefined for all judged participants. Set objective to f1")
    return value


def _log_network(
    context: StudyContext,
    training: TrainingSettings,
    judgement: Judgement,
    run: Run,
    trial: optuna.Trial,
    parent: Run,
    progress: ProgressCallback,
) -> None:
    """Log figures, and the network of the trial if checkpoints are kept."""
    table, history = judgement.table, judgement.history
    log_figures(context, judgement.truth, judgement.predicted, table, history, judgement.epochs, run)
    if (rates := tensor_rates(history)) is not None:
        run.text(rates, "learning_rates.csv")
    if context.settings.keep_checkpoints:
        log_network(context, training, judgement.epochs, judgement.means, run, parent, progress)
        trial.set_user_attr(NETWORK, run.id)


def _fail(study: optuna.Study, trial: optuna.Trial, training: TrainingSettings, run: Run, error: Exception) -> None:
    with signals_deferred():
        check_kept(study, trial)
        run.describe(f"{note(training)}\n\nFailed: `{type(error).__name__}: {error}`; see `traceback.txt`.")
        run.fail(error)
        trial.set_user_attr("error", describe(error))
        if not tell(study, trial, TrialState.FAIL):
            raise TrialGivenAwayError


def _copy_result(study: optuna.Study, trial: optuna.Trial, earlier: FrozenTrial, settings: Settings, run: Run) -> None:
    """End a trial that repeats an earlier one with the earlier result."""
    first = earlier.user_attrs["run_id"]
    run.copy(first)
    run.tags(duplicate_of=first)
    run.describe(
        f"Same settings as [trial {earlier.number}](#/experiments/{run.experiment}/runs/{first}), whose result was "
        "copied. Figures and checkpoint are there."
    )
    trial.set_user_attr("duplicate_of", earlier.number)
    for epoch, value in earlier.intermediate_values.items():
        trial.report(value, epoch)
    for name in ("best_epoch", MEASURED, PEOPLE, NETWORK):
        if name in earlier.user_attrs:
            trial.set_user_attr(name, earlier.user_attrs[name])
    set_constraints(trial, settings)
    _end(study, trial, run, earlier.state, None if earlier.state == TrialState.PRUNED else earlier.values)
