"""Search: the trials of a study, or of a search inside of an evaluation's fold."""

from __future__ import annotations

import platform
from dataclasses import replace

import optuna
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import MethodSettings, TrainingSettings
from sslwear.data.folds import inner_folds
from sslwear.errors import StudyError
from sslwear.studies.budget import Budget, end_note
from sslwear.studies.context import StudyContext
from sslwear.studies.failures import check_failures, counted, interrupt
from sslwear.studies.first_trials import first_trials
from sslwear.studies.limits import directions
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.sampling import pruner, tuning_parameter
from sslwear.studies.search_trial import run_trial
from sslwear.studies.storage import NESTED, open_storage
from sslwear.studies.trials import BY_PARTICIPANT, SELECT, winner
from sslwear.tracking import Run
from sslwear.utils.interrupts import signals_deferred


def run_trials(
    context: StudyContext, study: optuna.Study, budget: Budget, parent: Run, progress: ProgressCallback
) -> None:
    """Run trials until their number or the hours are spent.

    Args:
        context: the study's.
        study: receives the trials.
        budget: of the study.
        parent: parent run of the trials' runs.
        progress: receives the trials.

    Raises:
        StudyError: when the last trials failed in the same way.
    """
    first = first_trials(context, tuning_parameter(study))
    budget.end(None)
    while (spent := budget.spent()) is None:
        try:
            run_trial(context, study, first, len(counted(study)), parent, progress)
        finally:
            budget.keep()
        check_failures(study, context.settings.trials)
    budget.end(spent)
    if context.settings.hours is not None and (note := end_note(study)) is not None:
        progress.note(note)


def interrupt_running(study: optuna.Study) -> None:
    """Let trials that a dead process of this machine left running not count, and enqueue them again."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    here = platform.node()
    interrupt(study, [trial for trial in running if trial.user_attrs.get("host", here) == here])


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
        interrupt_running(study)
    run_trials(inner, study, Budget(study, settings), run, progress)
    best = winner(study)
    if best is None:
        raise StudyError("no trial of its search finished. Read traceback.txt of a failed trial's run in the UI")
    return inner, study, best
