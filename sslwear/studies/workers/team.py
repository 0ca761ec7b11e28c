"""Workers of one study: who they are, whose trials were lost with their process, and who may change the trials."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna.trial import FrozenTrial, TrialState

from sslwear.errors import StudyError
from sslwear.studies.database.failures import counted, interrupt
from sslwear.studies.workers.heartbeats import Heartbeat, heartbeat_of
from sslwear.tracking import Run, Store, outages
from sslwear.tracking.retry import impatient
from sslwear.utils.interrupts import signals_deferred

PROCESS, STOPPED = "process", "stopped"
"""Attributes: of a trial, the name of the process that runs it; of a study, why its workers have to stop."""
LEAVING_S = 5.0
"""Seconds that a worker which is asked to end waits for its turn to give its trials back."""
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.2, 2.0
"""Seconds between two looks of a worker that has nothing to do until others have ended."""


def team_name(study: str) -> str:
    """Name of the team of a study's workers."""
    return f"study:{study}"


class Team:
    """Workers that do something together, as one of them sees them.

    Args:
        store: their store.
        name: what they do, such as ``study:NAME``; also the right to change what they share.

    Attributes:
        heartbeat: of this worker.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        self.heartbeat: Heartbeat = heartbeat_of(store)
        self._prefix = f"worker\t{name}\t"  # no name has a tab
        self._joined, self._guard = False, threading.Lock()
        self._wait_s = SHORTEST_WAIT_S

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be one of the workers during the block, unless this one leaves before."""
        with self.heartbeat.running(self._after_beat):
            self._joined = True
            self._join()
            try:
                yield
            finally:
                if self._joined:
                    self._quit()

    @contextmanager
    def asking(self, timeout_s: float = float("inf")) -> Iterator[bool]:
        """Be the only worker that changes what they share; gives whether this worker is."""
        with self.heartbeat.holding(self._name, timeout_s) as mine:
            yield mine

    def leave(self, error: BaseException, run: Run | None = None) -> None:
        """Be none of the workers any more; the last one ends the run that they share.

        If the database does not answer, the others will notice this worker's silence.

        Args:
            error: why this worker leaves.
            run: the shared run.
        """
        try:
            with impatient(), self.asking(LEAVING_S):
                self._quit()  # before the others are counted: of two that leave at once, one is the last
                others = self.others()
                if run is not None and others:
                    run.tags(process=others[0])  # if that one dies too, the run is ended with it
                elif run is not None:
                    run.end(*(("KILLED", "interrupted") if outages.is_interruption(error) else ("FAILED", "failed")))
        except Exception as failure:
            if not outages.is_outage(failure):
                raise
            self._joined = False

    def others(self) -> list[str]:
        """Names of the other workers that are alive."""
        return list(self.heartbeat.claims.others(self._prefix).values())

    def is_busy(self, rights: Sequence[str]) -> bool:
        """Whether another process has one of some rights."""
        return any(self.heartbeat.claims.others(right) for right in rights)

    def look_after(self) -> None:
        """End the runs of workers that are gone."""
        for name, process in self.heartbeat.claims.others(self._prefix, gone=True).items():
            self._store.end_runs(process)
            self.heartbeat.claims.forget(name, process)

    def wait(self) -> None:
        """Wait a little for what other workers do; a bit longer each time."""
        time.sleep(self._wait_s)
        self._wait_s = min(1.5 * self._wait_s, LONGEST_WAIT_S)

    def worked(self) -> None:
        """Begin with short waits again."""
        self._wait_s = SHORTEST_WAIT_S

    def _join(self) -> None:
        with self._guard:
            if self._joined:
                self.heartbeat.claims.take(f"{self._prefix}{self.heartbeat.owner}")

    def _quit(self) -> None:
        with self._guard:
            self._joined = False
            self.heartbeat.claims.release(f"{self._prefix}{self.heartbeat.owner}")

    def _after_beat(self) -> None:
        self._join()  # again, if the others gave this worker up


class Crew(Team):
    """The workers of a study, as one of them sees them.

    Args:
        store: store of the study.
        study: the Optuna study.
        joint: whether this worker was started as one of several.

    Attributes:
        joint: see above.
    """

    def __init__(self, store: Store, study: optuna.Study, joint: bool = False) -> None:
        super().__init__(store, team_name(study.study_name))
        self._study, self.joint = study, joint
        self._run: Run | None = None
        self._mine: set[int] = set()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be one of the workers during the block, and look after the trials of others."""
        with super().joined():
            if not self.others():
                self._study.set_user_attr(STOPPED, None)
            yield

    @contextmanager
    def asking(self, timeout_s: float = float("inf")) -> Iterator[bool]:
        """Be the only worker that changes which trials there are; trials of dead workers wait again then."""
        with super().asking(timeout_s) as mine:
            if mine:
                self._give_back()
            yield mine

    def is_asking(self) -> bool:
        """Whether this worker is still the one that may change which trials there are."""
        return self.heartbeat.claims.has(self._name)

    def drop(self) -> None:
        """Let go of all trials; they wait again the next time that a worker asks."""
        self.heartbeat.trials.difference_update(self._mine)
        self._mine.clear()

    def runs(self, run: Run) -> None:
        """Say which run is the study's: if its process dies, this one takes it over."""
        self._run = run

    def check_stopped(self) -> None:
        """Check whether another worker stopped the study.

        Raises:
            StudyError: with its reason.
        """
        why = self._study.user_attrs.get(STOPPED)
        if why is not None:
            raise StudyError(str(why))

    def stop(self, why: str) -> None:
        """Let the other workers stop too."""
        if self.others():
            self._study.set_user_attr(STOPPED, why)

    def numbers(self) -> tuple[int, int]:
        """Number of trials that count, and of those that workers run.

        Both are of one reading: a trial that ends meanwhile would be counted twice, or not at all.
        """
        trials = self._study.get_trials(deepcopy=False)
        running = [trial for trial in trials if trial.state == TrialState.RUNNING and PROCESS in trial.user_attrs]
        return len(counted(self._study, trials)), len(running)

    def mark(self, trial: optuna.Trial) -> None:
        """Record that this process runs a trial."""
        self._mine.add(trial._trial_id)
        self.heartbeat.add(trial._trial_id)
        trial.set_user_attr("host", platform.node())
        trial.set_user_attr(PROCESS, self.heartbeat.owner)

    def done(self, trial: optuna.Trial) -> None:
        """Record no more heartbeats of a trial."""
        self._mine.discard(trial._trial_id)
        self.heartbeat.trials.discard(trial._trial_id)

    def leave(self, error: BaseException, run: Run | None = None) -> None:
        """Give back what this worker has in hand, and be none of the workers any more."""
        self.drop()  # trials that are in nobody's hand are given back by the one who asks
        super().leave(error, run)

    def _give_back(self) -> None:
        """Let the trials of dead workers wait again; the caller is the only one that changes which trials there are."""
        lost = self._lost()
        with signals_deferred():
            interrupt(self._study, lost)
        gone = self.heartbeat.claims.others(self._prefix, gone=True)
        dead = {str(trial.user_attrs[PROCESS]) for trial in lost if PROCESS in trial.user_attrs} | set(gone.values())
        for process in dead - {self.heartbeat.owner}:
            self._store.end_runs(process)
            self._take_over_run()
        for name, process in gone.items():
            self.heartbeat.claims.forget(name, process)

    def _take_over_run(self) -> None:
        """Reopen the study's run if it was ended with the process that opened it."""
        if self._run is not None:
            found = self._store.find_run(self._run.id)
            if found is not None and found.info.status == "KILLED":  # and not finished meanwhile
                self._run.reopen()

    def _lost(self) -> list[FrozenTrial]:
        """Running trials that nobody works on."""
        running = _running(self._study)
        if not running:
            return []
        silent = self.heartbeat.silent_trials(self._study)
        return [trial for trial in running if self._is_lost(trial, trial._trial_id in silent)]

    def _is_lost(self, trial: FrozenTrial, silent: bool) -> bool:
        process = trial.user_attrs.get(PROCESS)
        if process is None:  # it died while it asked for the trial, or is of version 0.1
            here = platform.node()
            return silent or trial.user_attrs.get("host", here) == here
        if process == self.heartbeat.owner:
            return trial._trial_id not in self.heartbeat.trials
        return silent or self.heartbeat.is_gone(str(process)) is True

    def _after_beat(self) -> None:
        """Let trials of dead workers wait again."""
        super()._after_beat()
        if not self.heartbeat.claims.others(self._prefix, gone=True) and not self._lost():
            return
        with self.heartbeat.trying(self._name) as mine:
            if mine:
                self._give_back()


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
