"""Help with cross-validated trials of other workers, by one that has no trial to ask for; see `shared_folds`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import optuna
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import TrainingSettings
from sslwear.studies.database.trials import settings_of
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.judging import first_folds, fold_with
from sslwear.studies.trial.training_run import pretrained_encoder
from sslwear.studies.workers.fold_epochs import OWNER, FoldEpochs
from sslwear.studies.workers.heartbeats import heartbeat_of
from sslwear.studies.workers.shared_folds import JUDGING, PAUSE_S, rights
from sslwear.tracking import Run, outages
from sslwear.tracking.retry import impatient
from sslwear.training import Fold
from sslwear.training.device import deterministic
from sslwear.training.fold_group import FoldGroup
from sslwear.training.trained_fold import TrainedFold
from sslwear.utils.interrupts import signals_deferred

LEAD, LEAD_S = 3, 2.0
"""Epochs, or seconds, that a helper trains ahead of the owner before it takes another fold."""


class Helper:
    """A worker that trains folds of trials that others run.

    Args:
        context: the study's.
        study: the Optuna study.
        parent: the study's run.
        progress: receives what it does.
        has_other_work: whether there is something else to do, such as a trial to ask for.

    Attributes:
        failed: folds that could not be trained here, by the trial's id in Optuna's storage and the fold's place.
    """

    def __init__(
        self,
        context: StudyContext,
        study: optuna.Study,
        parent: Run,
        progress: ProgressCallback,
        has_other_work: Callable[[], bool],
    ) -> None:
        self.context, self.study, self.parent, self.progress = context, study, parent, progress
        self.has_other_work = has_other_work
        self.heartbeat = heartbeat_of(context.store)
        self.failed: set[tuple[int, int]] = set()

    def help(self) -> bool:
        """Train folds of a trial until it ends or there is other work; returns False if no trial needs help.

        Raises:
            Exception: an outage, see `sslwear.tracking.outages`.
        """
        if len(self.context.folds) == 1:
            return False
        trials = self.study.get_trials(deepcopy=False)
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        claims, epochs = self.heartbeat.claims, None
        taken = {trial._trial_id: len(claims.others(rights(trial._trial_id))) for trial in running}
        for trial in sorted(running, key=lambda trial: taken[trial._trial_id]):
            if taken[trial._trial_id] < len(self.context.folds) - 1 and self._can_help(trial):
                epochs = epochs or FoldEpochs(self.heartbeat.engine)
                epochs.forget_ended([one._trial_id for one in trials if one.state.is_finished()])
                if _Help(self, trial, epochs).run():
                    return True
        return False

    def _can_help(self, trial: FrozenTrial) -> bool:
        """Whether the folds of a trial are trained now, on a device that rounds as this one does."""
        if "run_id" not in trial.user_attrs or trial.user_attrs.get(JUDGING) is False:
            return False
        found = self.context.store.find_run(trial.user_attrs["run_id"])
        params = {} if found is None else found.data.params
        same = params.get("device", "").partition(":")[0] == self.context.device.type
        return same and params.get("precision") == self.context.precision and "folds" in params


@dataclass
class _Mine:
    """A fold that this process trains for another one.

    Attributes:
        number: its place among the folds, from 0.
        fold: the fold in training.
        right: has the right to train it.
        written: number of epochs that the owner can read.
    """

    number: int
    fold: TrainedFold
    right: ExitStack
    written: int = 0


class _Help:
    """Help with one trial."""

    def __init__(self, helper: Helper, trial: FrozenTrial, epochs: FoldEpochs) -> None:
        self._helper, self._trial, self._id, self._epochs = helper, trial, trial._trial_id, epochs
        settings = settings_of(trial, helper.context.settings)
        self._context = helper.context.for_run().with_pretraining(settings.pretraining)
        self._training: TrainingSettings = settings.training
        first, total = first_folds(self._context), len(self._context.folds)
        self._order = [*reversed(range(1, first)), *range(first, total)]  # the first one is always the owner's
        how = self._context.fit_settings(self._training)
        self._group = FoldGroup([], how, self._context.cache, total=total)
        self._mine: list[_Mine] = []
        self._come: int | None = None  # the epoch that the owner has come to; None if it has not noticed this helper
        self._looked = -math.inf
        self._is_over = False

    def run(self) -> bool:
        """Train folds until there is no need; returns False if there was none that this process can train."""
        try:
            if not self._help():
                return False
        except BaseException:
            self._leave()
            raise
        if not self._trial_runs():  # whoever ended it may have gone before
            self._epochs.forget(self._id)
        return True

    def _help(self) -> bool:
        """Train folds until there is no need; returns False if there was none that this process can train."""
        with (
            ExitStack() as self._rights,
            self._context.unchanged_data(),
            deterministic(self._context.device),
            self._group,
            self._helper.heartbeat.running(self._look_in_epoch),
        ):
            if not self._take():
                return False
            while self._mine and not self._look():
                ready = self._ready()
                if ready:
                    self._train(ready)
                elif self._come is None or not self._take():
                    time.sleep(PAUSE_S)
        return True

    def _leave(self) -> None:
        """Delete the epochs that the owner does not know of, because it would not delete them."""
        if self._come is not None:
            return
        try:
            with signals_deferred(), impatient():
                for one in self._mine:
                    self._epochs.forget(self._id, one.number)
        except Exception as error:
            if not outages.is_outage(error):
                raise

    def _take(self) -> bool:
        """Take the right to one more fold that nobody trains, and make the fold."""
        helper = self._helper
        for number in self._order:
            if (self._id, number) in helper.failed or number in [one.number for one in self._mine]:
                continue
            right = ExitStack()
            with signals_deferred():
                if right.enter_context(helper.heartbeat.trying(f"{rights(self._id)}{number}")):
                    self._rights.push(right)
                else:
                    right.close()
                    continue
            if self._look(now=True):
                return False
            if not self._mine:
                helper.progress.note(f"this worker helps with the folds of trial {self._trial.number}")
            self._epochs.forget(self._id, number)
            try:
                self._mine.append(_Mine(number, self._group.add(partial(self._made, number)), right))
            except Exception as error:  # noqa: BLE001 (an outage is raised again)
                self._fail(number, right, error)
                continue
            return True
        return False

    def _made(self, number: int) -> Fold:
        """A fold as the trial's owner makes it, but that the run of the trial is the owner's to write."""
        mine, helper = self._context.in_fold(self._context.folds[number]), self._helper
        parent = helper.parent
        encoder, _ = pretrained_encoder(mine, self._training, parent.experiment, parent.id, helper.progress)
        return fold_with(mine, self._training, encoder)

    def _ready(self) -> list[_Mine]:
        """Folds to train for an epoch now, those that are behind first."""
        found = sorted((one for one in self._mine if self._wants_more(one)), key=lambda one: one.fold.training.epochs)
        return found[: self._group.at_once]

    def _wants_more(self, one: _Mine) -> bool:
        """Whether the owner may soon need another epoch of a fold."""
        history = one.fold.history
        if len(history) >= self._training.max_epochs:
            return False
        if self._come is None or not history:
            return True
        return len(history) < self._come + max(LEAD, LEAD_S / max(history[-1].seconds, 1e-3))

    def _train(self, some: list[_Mine]) -> None:
        """Train folds for an epoch; one that fails here is left to the owner, who will say why."""
        self._group.advance([one.fold for one in some])
        for one in some:
            if isinstance(one.fold.error, CancelledError):
                self._is_over = True
            elif one.fold.error is not None:
                self._mine.remove(one)
                self._write(one)
                self._fail(one.number, one.right, one.fold.error)

    def _fail(self, number: int, right: ExitStack, error: Exception) -> None:
        """Give the right to a fold back.

        Raises:
            Exception: the error, when it is an outage other than of the memory.
        """
        if outages.is_outage(error) and not outages.is_memory(error):
            raise error
        self._helper.failed.add((self._id, number))
        right.close()

    def _write(self, one: _Mine) -> None:
        """Let the owner read the epochs of a fold."""
        history, evaluations = one.fold.history[one.written :], one.fold.evaluations[one.written :]
        if history:
            self._epochs.add(self._id, one.number, list(zip(history, evaluations, strict=True)))
            one.written += len(history)

    def _look(self, now: bool = False) -> bool:
        """Write what was done, and look how far the owner is; returns whether there is nothing more to do here."""
        if not now and time.monotonic() - self._looked < PAUSE_S:
            return self._is_over
        lost = self._helper.heartbeat.claims.others(rights(self._id))
        for one in [one for one in self._mine if f"{rights(self._id)}{one.number}" in lost]:
            self._mine.remove(one)  # this process stood still, and another one took the fold
        for one in self._mine:
            self._write(one)
        self._come = self._epochs.progress(self._id).get(OWNER)
        self._is_over = self._is_over or not self._trial_runs() or self._helper.has_other_work()
        self._looked = time.monotonic()
        return self._is_over

    def _trial_runs(self) -> bool:
        """Whether the folds of the trial are still trained."""
        found = self._helper.study._storage.get_trial(self._id)
        return found.state == TrialState.RUNNING and found.user_attrs.get(JUDGING) is not False

    def _look_in_epoch(self) -> None:
        """End an epoch that nobody needs; called in the thread of the heartbeats."""
        if not self._trial_runs() or self._helper.has_other_work():
            for one in tuple(self._mine):
                one.fold.training.cancelled = True
