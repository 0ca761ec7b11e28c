"""Search: the trials of a study, or of a search inside of an evaluation's fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import MethodSettings, TrainingSettings
from sslwear.data.folds import inner_folds
from sslwear.errors import StudyError
from sslwear.studies.budget import Budget, end_note
from sslwear.studies.context import StudyContext
from sslwear.studies.failures import check_failures, counted
from sslwear.studies.first_trials import first_trials
from sslwear.studies.limits import directions
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.sampling import pruner, tuning_parameter
from sslwear.studies.search_trial import propose, run_trial
from sslwear.studies.storage import NESTED, open_storage
from sslwear.studies.trials import BY_PARTICIPANT, SELECT, winner
from sslwear.studies.workers import Crew
from sslwear.tracking import Run
from sslwear.tracking.outages import is_memory
from sslwear.utils.interrupts import signals_deferred


def run_trials(
    context: StudyContext, study: optuna.Study, budget: Budget, parent: Run, crew: Crew, progress: ProgressCallback
) -> None:
    """Run trials until their number or the hours are spent, and no other worker runs one.

    Args:
        context: the study's.
        study: receives the trials.
        budget: of the study.
        parent: parent run of the trials' runs.
        crew: the study's workers.
        progress: receives the trials.

    Raises:
        StudyError: when the last trials failed in the same way.
    """
    first = first_trials(context, tuning_parameter(study))
    budget.end(None)
    while (spent := _next(context, study, budget, first, parent, crew, progress)) is None:
        pass
    budget.end(spent)
    if context.settings.hours is not None and (note := end_note(study)) is not None:
        progress.note(note)


def _next(
    context: StudyContext,
    study: optuna.Study,
    budget: Budget,
    first: Sequence[Mapping[str, Any]],
    parent: Run,
    crew: Crew,
    progress: ProgressCallback,
) -> dict[str, Any] | None:
    """Run one trial, or wait for other workers; returns what of the budget is spent when nothing is left to do."""
    crew.check_stopped()
    context, proposal = context.for_run(), None
    with crew.asking(), signals_deferred():
        spent, running, done = budget.spent(), crew.running(), len(counted(study))
        place = done + running
        if spent is None and place < context.settings.trials:
            proposal = propose(context, study, first, place, crew)
    progress.done(done)
    if proposal is None:
        if running == 0:
            return spent
        crew.wait()
        return None
    crew.worked()
    try:
        run_trial(context, study, proposal, parent, progress)
    except Exception as error:
        if not (crew.joint and is_memory(error)):
            raise
        context.store.close_leftovers(parent.experiment, parent.id)
        progress.warn(f"trial {proposal.trial.number} ran out of memory. It will be tried again")
    finally:
        budget.keep()
    crew.done(proposal.trial)
    if study._storage.get_trial(proposal.trial._trial_id).state == TrialState.FAIL:
        _check_failures(context, study, crew)
    return None


def _check_failures(context: StudyContext, study: optuna.Study, crew: Crew) -> None:
    """Stop all workers of a study whose last trials failed in the same way.

    Raises:
        StudyError: saying how they failed.
    """
    try:
        with crew.asking():
            check_failures(study, context.settings.trials)
    except StudyError as error:
        crew.stop(str(error))
        raise


def search_in_fold(
    context: StudyContext,
    method: MethodSettings,
    training: TrainingSettings,
    key: str,
    run: Run,
    progress: ProgressCallback,
) -> tuple[StudyContext, optuna.Study, FrozenTrial]:
    """Search inside of a fold of an evaluation: trials are judged by the fold's other participants only.

    A search that was interrupted goes on.

    Args:
        context: the fold's.
        method: has the search space and the number of trials.
        training: settings of training that are not searched, and of the first trial.
        key: key of everything that the search depends on.
        run: parent run of the trials' runs.
        progress: receives the trials.

    Returns:
        The context of the search, its Optuna study, and the selected trial.

    Raises:
        StudyError: when no trial finished.
    """
    changes = {"search": method.search, "trials": method.trials, "hours": None, "training": training}
    settings = context.settings.model_copy(update={**changes, "keep_checkpoints": False, "second_objective": None})
    folds = inner_folds(context.dataset, context.split, settings.split)
    inner = replace(context, settings=settings, folds=folds)
    with signals_deferred():
        study = optuna.create_study(
            study_name=f"{settings.study}{NESTED}{key}",
            storage=open_storage(context.store),
            pruner=pruner(settings),
            directions=directions(settings),
            load_if_exists=True,
        )
        if "settings" not in study.user_attrs:
            study.set_user_attr("settings", settings.to_yaml())
            study.set_user_attr(BY_PARTICIPANT, True)
            study.set_user_attr(SELECT, settings.select)
    crew = Crew(context.store, study)
    try:
        with crew.joined():
            run_trials(inner, study, Budget(study, settings), run, crew, progress)
    except BaseException:
        with signals_deferred():
            crew.leave()
        raise
    best = winner(study)
    if best is None:
        raise StudyError("no trial of its search finished. Read traceback.txt of a failed trial's run in the UI")
    return inner, study, best
