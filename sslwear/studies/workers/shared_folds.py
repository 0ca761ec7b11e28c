"""Folds of cross-validated trials that several workers share: one owns the trial, others help it.

A helper is a worker that has no trial to ask for. It takes the right to train a fold, trains it from the start, and
writes its epochs to the database. The owner trains the folds that nobody is ahead with, and takes epochs of the others
as if it had trained them. So no result depends on who trained a fold, and nothing is lost with a helper.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import optuna

from sslwear.studies.setup.context import StudyContext
from sslwear.studies.workers.fold_epochs import Epoch, FoldEpochs
from sslwear.studies.workers.heartbeats import Heartbeat, heartbeat_of
from sslwear.tracking import Run, outages
from sslwear.training import Helpers
from sslwear.utils.interrupts import signals_deferred

JUDGING = "judging"
"""Attribute of a running trial that is False once all its folds were trained."""
PAUSE_S = 0.2
"""Seconds between two looks at the database."""
SILENT_S = 5.0
"""Shortest time without news after which the owner waits for its helpers no longer, and trains their folds too."""


def rights(trial: int) -> str:
    """Start of the names of the rights to train folds of a trial, which is given by Optuna's id; the fold follows."""
    return f"fold:{trial}:"


class _Helped(Helpers):
    """The helpers of a trial, as its owner sees them."""

    def __init__(self, heartbeat: Heartbeat, trial: optuna.Trial) -> None:
        self._heartbeat, self._trial = heartbeat, trial._trial_id
        self._epochs: FoldEpochs | None = None  # nothing is written or read before somebody helps
        self._owners: dict[int, str] = {}
        self._progress: dict[int, int] = {}
        self._come, self._looked, self._waited_s, self._longest_s = 0, -math.inf, 0.0, 0.0
        self.noticed = False
        self.helped: dict[int, str] = {}

    def notice(self) -> None:
        """Look whether somebody helps; called in the thread of the heartbeats, so that training does not wait."""
        self.noticed = self.noticed or bool(self._heartbeat.claims.others(rights(self._trial)))

    def killed(self) -> bool:
        """Whether a helper was killed, perhaps before it was noticed."""
        return bool(self._heartbeat.claims.others(rights(self._trial), gone=True))

    def look(self, epoch: int) -> None:
        """See `Helpers`."""
        if not self.noticed or time.monotonic() - self._looked < PAUSE_S:
            return
        self._epochs = self._epochs or FoldEpochs(self._heartbeat.engine)
        if epoch > self._come:
            self._come = epoch
            self._epochs.come(self._trial, epoch)
        claims = self._heartbeat.claims.others(rights(self._trial))
        self._owners = {int(name.rpartition(":")[2]): owner for name, owner in claims.items()}
        progress = self._epochs.progress(self._trial)
        if progress != self._progress:
            self._waited_s = 0.0
        self._progress, self._looked = progress, time.monotonic()

    def epochs(self, fold: int, known: int) -> list[Epoch]:
        """See `Helpers`."""
        if self._epochs is None or self._progress.get(fold, 0) <= known:
            return []
        found = self._epochs.read(self._trial, fold, known)
        self._longest_s = max([self._longest_s, *(record.seconds for record, _ in found)])
        if found and fold in self._owners:
            self.helped[fold] = self._owners[fold]
        return found

    def ahead(self, fold: int, epochs: int) -> bool:
        """See `Helpers`."""
        silent = self._waited_s > max(SILENT_S, 3 * self._longest_s * max(1, len(self._owners)))
        return fold in self._owners and self._progress.get(fold, 0) > epochs and not silent

    def wait(self) -> None:
        """See `Helpers`."""
        time.sleep(PAUSE_S)
        self._waited_s += PAUSE_S

    def end(self, trial: optuna.Trial, run: Run) -> None:
        """Let the helpers stop, and say who helped."""
        trial.set_user_attr(JUDGING, False)
        if self.helped:
            run.tags(helpers="; ".join(f"fold {fold + 1}: {owner}" for fold, owner in sorted(self.helped.items())))
        (self._epochs or FoldEpochs(self._heartbeat.engine)).forget(self._trial)
        for name, owner in self._heartbeat.claims.others(rights(self._trial), gone=True).items():
            self._heartbeat.claims.forget(name, owner)


@contextmanager
def helped(context: StudyContext, trial: optuna.Trial, run: Run) -> Iterator[Helpers]:
    """Let other workers help with the folds of a trial of this process, which are trained in the block."""
    if len(context.folds) == 1:
        yield Helpers()
        return
    helpers = _Helped(heartbeat_of(context.store), trial)

    def end() -> None:
        # without helpers the trial ends now, but if its network is trained first
        if helpers.noticed or context.settings.keep_checkpoints or helpers.killed():
            with signals_deferred():
                helpers.end(trial, run)

    with helpers._heartbeat.running(helpers.notice):
        try:
            yield helpers
        except Exception as error:
            if not outages.is_outage(error):
                end()
            raise
        end()
