"""Search: the trials of a study, or of a search inside of an evaluation's fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import MethodSettings, Settings, TrainingSettings
from sslwear.data.folds import inner_folds
from sslwear.errors import StudyError
from sslwear.studies.database.budget import Budget, end_note
from sslwear.studies.database.failures import check_failures
from sslwear.studies.database.optuna_storage import NESTED, open_storage
from sslwear.studies.database.trials import BY_PARTICIPANT, SELECT, no_winner, winner
from sslwear.studies.search.first_trials import first_trials
from sslwear.studies.search.fold_helper import Helper
from sslwear.studies.search.sampling import pruner, tuning_parameter
from sslwear.studies.search.search_trial import Proposal, propose, run_trial
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.limits import directions
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.pretraining import pretraining_rights
from sslwear.studies.workers.team import STOPPED, Crew
from sslwear.tracking import Run, Store
from sslwear.tracking.outages import is_memory
from sslwear.tracking.retry import while_ending
from sslwear.utils.interrupts import signals_deferred

MOST_POSTPONED = 2
"""Number of trials that a worker puts off because others do the pre-trainings that they need."""


def run_trials(
    context: StudyContext, study: optuna.Study, budget: Budget, parent: Run, crew: Crew, progress: ProgressCallback
) -> None:
    """Run trials until the budget is spent, and no other worker runs one.

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
    search = _Search(context, study, budget, parent, crew, progress, first)
    budget.end(None)
    while (spent := search.step()) is None:
        pass
    budget.end(spent)
    limited = context.settings.hours is not None or context.settings.target_score is not None
    if limited and (note := end_note(study)) is not None:
        progress.note(note)


@dataclass(frozen=True)
class _Search:
    """The search of one worker: it asks for trials and runs them.

    Attributes:
        first: parameters of the study's first trials.
        postponed: trials of this worker that need a pre-training that another worker is doing, with the rights to do
            these pre-trainings.
        others: see `run_trials`.
    """

    context: StudyContext
    study: optuna.Study
    budget: Budget
    parent: Run
    crew: Crew
    progress: ProgressCallback
    first: Sequence[Mapping[str, Any]]
    postponed: list[tuple[Proposal, list[str]]] = field(default_factory=list)

    def step(self) -> dict[str, Any] | None:
        """Run one trial, or wait for other workers; returns what of the budget is spent when nothing is left to do."""
        self.crew.check_stopped()
        context, proposal = self.context.for_run(), self._ready()
        if proposal is None:
            spent, running, proposal = self._ask()
            if proposal is not None and self._postpone(context, proposal):
                return None
            if proposal is None and self.postponed:
                proposal, _ = self.postponed.pop(0)
            if proposal is None:
                if running == 0:
                    self._check_failures()  # the worker of the last trial may not have done so yet
                    self.crew.check_stopped()  # or has just done so
                    return spent
                if self.crew.joint and self._helper.help():
                    self.crew.worked()
                else:
                    self.crew.wait()
                return None
        self.crew.worked()
        self._run(context, proposal)
        return None

    @cached_property
    def _helper(self) -> Helper:
        """Helps with the trials of other workers."""
        return Helper(self.context, self.study, self.parent, self.progress, self._has_work)

    def _has_work(self) -> bool:
        """Whether there is a trial to ask for, or the study was stopped."""
        stopped = self.study.user_attrs.get(STOPPED) is not None
        return stopped or (self.budget.spent() is None and sum(self.crew.numbers()) < self.context.settings.trials)

    def _ask(self) -> tuple[dict[str, Any] | None, int, Proposal | None]:
        """What of the budget is spent, the number of running trials, and the next trial if there is one to run."""
        settings, crew = self.context.settings, self.crew
        with crew.asking(), signals_deferred():
            if settings.hours is not None:
                self.budget.keep()
            spent, (done, running) = self.budget.spent(), crew.numbers()
            self.progress.done(done)
            if spent is not None or done + running >= settings.trials:
                return spent, running, None
            proposal = propose(self.context, self.study, self.first, done + running, crew)
            if proposal is None or not crew.is_asking():  # this process stood still meanwhile, and others went on
                crew.drop()
                self.postponed.clear()
                return None, 1, None
            return None, running + 1, proposal

    def _postpone(self, context: StudyContext, proposal: Proposal) -> bool:
        """Put a trial off if another worker does a pre-training that it needs; returns whether that was done."""
        if len(self.postponed) >= MOST_POSTPONED or not self.crew.others():
            return False
        rights = pretraining_rights(context.with_pretraining(proposal.settings.pretraining), proposal.settings.training)
        if not self.crew.is_busy(rights):
            return False
        self.postponed.append((proposal, rights))
        return True

    def _ready(self) -> Proposal | None:
        """A trial that was put off and can go on; None if there is none."""
        for one in self.postponed:
            if not self.crew.is_busy(one[1]):
                self.postponed.remove(one)
                return one[0]
        return None

    def _run(self, context: StudyContext, proposal: Proposal) -> None:
        try:
            run_trial(context, self.study, proposal, self.parent, self.progress)
        except BaseException as error:
            if not (self.crew.joint and is_memory(error)):
                with while_ending():
                    self.budget.keep()
                raise
            context.store.close_leftovers(self.parent.experiment, self.parent.id)
            self.progress.warn(f"trial {proposal.trial.number} ran out of memory. It will be tried again")
        self.budget.keep()
        self.crew.done(proposal.trial)
        if self.study._storage.get_trial(proposal.trial._trial_id).state == TrialState.FAIL:
            self._check_failures()

    def _check_failures(self) -> None:
        """Stop all workers of a study whose last trials failed in the same way.

        Raises:
            StudyError: saying how they failed.
        """
        with self.crew.asking():
            try:
                check_failures(self.study, self.context.settings.trials)
            except StudyError as error:
                self.crew.stop(str(error))  # before another worker looks whether there is something left to do
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
    changes = {
        "search": method.search,
        "trials": method.trials,
        "hours": None,
        "target_score": None,
        "training": training,
    }
    settings = context.settings.model_copy(update={**changes, "keep_checkpoints": False, "second_objective": None})
    folds = inner_folds(context.dataset, context.split, settings.split)
    inner = replace(context, settings=settings, folds=folds)
    study = _nested_study(settings, context.store, key)
    crew = Crew(context.store, study)
    try:
        with crew.joined():
            run_trials(inner, study, Budget(study, settings), run, crew, progress)
    except BaseException as error:
        with signals_deferred():
            crew.leave(error)
        raise
    return inner, study, _winner(study)


def _winner(study: optuna.Study) -> FrozenTrial:
    """The selected trial of a search inside of a fold."""
    best = winner(study)
    if best is None and (why := no_winner(study)):
        raise StudyError(f"its search has no winner. {why}")
    if best is None:
        raise StudyError("no trial of its search finished. Read traceback.txt of a failed trial's run in the UI")
    return best


def _nested_study(settings: Settings, store: Store, key: str) -> optuna.Study:
    """The Optuna study of a search inside of a fold, made unless an interrupted search left it."""
    with signals_deferred():
        study = optuna.create_study(
            study_name=f"{settings.study}{NESTED}{key}",
            storage=open_storage(store),
            pruner=pruner(settings),
            directions=directions(settings),
            load_if_exists=True,
        )
        if "settings" not in study.user_attrs:
            study.set_user_attr("settings", settings.to_yaml())
            study.set_user_attr(BY_PARTICIPANT, True)
            study.set_user_attr(SELECT, settings.select)
    return study
