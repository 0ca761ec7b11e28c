"""One trial of a study: proposed, trained, and recorded as finished, pruned, failed or interrupted."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import TrainingSettings
from sslwear.errors import SslwearError
from sslwear.studies.context import StudyContext
from sslwear.studies.failures import describe, interrupts
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.sampling import chosen, earlier_duplicate, next_trial
from sslwear.studies.trial import note, run_name, train
from sslwear.studies.trials import OUTCOMES, searched_pretraining
from sslwear.tracking import Run
from sslwear.training import EpochRecord, FitResult
from sslwear.utils.interrupts import signals_deferred


def run_trial(
    context: StudyContext,
    study: optuna.Study,
    first: Sequence[Mapping[str, Any]],
    finished: int,
    parent: Run,
    progress: ProgressCallback,
) -> None:
    """Run one trial and record how it ended.

    Args:
        context: the study's.
        study: receives the trial.
        first: parameters of the study's first trials.
        finished: number of its trials that count.
        parent: the study's run.
        progress: receives the trial's start, epochs and end.

    Raises:
        Exception: an outage, see `sslwear.tracking.outages`; the trial is still running then, as after an interruption.
    """
    context = context.for_run()
    with signals_deferred():
        trial = next_trial(context, study, first, finished)
        trial.set_user_attr("host", platform.node())
        settings = chosen(context.settings, context.encoder, trial.params)
        training, pretraining = settings.training, searched_pretraining(settings, settings.training)
        context = context.with_pretraining(settings.pretraining)
        if pretraining:
            trial.set_user_attr("pretraining", pretraining)
        trial.set_user_attr("settings", training.model_dump())
        name = run_name(training, trial.number)
        earlier = earlier_duplicate(study, settings, context.store)
        tags = {**context.tags(), "trial": str(trial.number)}
        run = context.store.create_run(parent.experiment, name, "trial", parent.id, note(training), **tags)
        trial.set_user_attr("run_id", run.id)
        if earlier is not None:
            _copy_result(study, trial, earlier, run)
            progress.ended(f"{name}: the same as trial {earlier.number}", OUTCOMES[earlier.state], earlier.value)
            return

    progress.trial(name)
    try:
        result = train(context, training, run, parent.id, progress, _reporter(trial, context.settings.objective))
        value = _value(result, context.settings.objective)
    except optuna.TrialPruned:
        with signals_deferred():
            run.describe(f"{note(training)}\n\nPruned: it scored worse than other trials at the same epoch.")
            run.end("KILLED", "pruned")
            study.tell(trial, state=TrialState.PRUNED)
        progress.ended(name, "pruned", None)
    except Exception as error:  # any other error in a trial is recorded, and the study continues
        if interrupts(study, trial, error):
            raise
        _fail(study, trial, training, run, error)
        progress.ended(name, "failed", None)
        progress.warn(f"{name} failed ({type(error).__name__}: {error}). Its run in the UI has the traceback")
    else:
        with signals_deferred():
            trial.set_user_attr("best_epoch", result.best_epoch)
            run.end("FINISHED", "finished")
            study.tell(trial, value)
        progress.ended(name, "finished", value)


def _reporter(trial: optuna.Trial, objective: str) -> Callable[[EpochRecord], None]:
    """Callback that reports an epoch to Optuna and ends a training that is pruned."""

    def report_epoch(record: EpochRecord) -> None:
        trial.report(record.scores[objective], record.epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    return report_epoch


def _value(result: FitResult, objective: str) -> float:
    value = result.validation.scores[objective]
    if math.isnan(value):
        raise SslwearError(f"{objective} is undefined on the validation participants")
    return value


def _fail(study: optuna.Study, trial: optuna.Trial, training: TrainingSettings, run: Run, error: Exception) -> None:
    with signals_deferred():
        run.describe(f"{note(training)}\n\nFailed: `{type(error).__name__}: {error}`; see `traceback.txt`.")
        run.fail(error)
        trial.set_user_attr("error", describe(error))
        study.tell(trial, state=TrialState.FAIL)


def _copy_result(study: optuna.Study, trial: optuna.Trial, earlier: FrozenTrial, run: Run) -> None:
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
    if earlier.state == TrialState.PRUNED:
        run.end("KILLED", "pruned")
        study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.set_user_attr("best_epoch", earlier.user_attrs["best_epoch"])
        run.end("FINISHED", "finished")
        study.tell(trial, earlier.value)
