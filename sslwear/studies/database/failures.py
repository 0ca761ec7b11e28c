"""Failed and interrupted trials of a study, and failed jobs of an evaluation: which count, which run again, and when
failures stop it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any
from uuid import uuid4

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from sslwear.errors import DivergenceError, StudyError
from sslwear.tracking import outages
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.masking import masked

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
REPEATED = 3
"""Number of trials in a row, failed in the same way, that stop a study."""
MANY = 10
"""Number of trials in a row, failed in any way, that stop a study."""
ATTEMPTS = 3
"""Number of times after which a trial that runs out of memory, or that stopped its study, counts as failed."""
NUMBER = re.compile(r"\d+(\.\d+)?(e[-+]?\d+)?")
INTERRUPTED = "interrupted"
"""Attributes of a study: one of this prefix for each mark of an interrupted trial, with a token of who made it, so that
no process can undo the mark of another one. Version 0.1 has one list of this name."""


def interrupted_trials(study: optuna.Study) -> set[int]:
    """Numbers of the trials that were interrupted."""
    found = study.user_attrs
    marks = (key.split(":") for key, kept in found.items() if key.startswith(f"{INTERRUPTED}:") and kept)
    return {int(number) for _, number, _ in marks}.union(found.get(INTERRUPTED, ()))


def counted(study: optuna.Study, trials: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
    """Trials that count, in order: all that ended and were not interrupted.

    Args:
        study: the study.
        trials: its trials, if they were read already.
    """
    interrupted = interrupted_trials(study)
    return [
        trial
        for trial in (study.get_trials(deepcopy=False) if trials is None else trials)
        if trial.state in ENDED and (trial.number not in interrupted or trial.state != TrialState.FAIL)
    ]


def interrupt(study: optuna.Study, trials: Iterable[FrozenTrial]) -> None:
    """Let trials not count, and enqueue them again with the same parameters.

    A trial that ends meanwhile by itself counts. The caller is the only one that changes which trials there are, see
    `sslwear.studies.workers.team.Crew.asking`.
    """
    for trial in trials:
        mark = f"{INTERRUPTED}:{trial.number}:{uuid4().hex[:8]}"
        study.set_user_attr(mark, True)
        if trial.state == TrialState.RUNNING and not tell(study, trial.number, TrialState.FAIL):
            study.set_user_attr(mark, False)  # it ended by itself, or another process interrupted it
    _enqueue_again(study)


def _enqueue_again(study: optuna.Study) -> None:
    """Enqueue interrupted trials that no later trial repeats, also those of a process that was killed before this."""
    trials = study.get_trials(deepcopy=False)
    for number in sorted(interrupted_trials(study)):
        again = _parameters(trials[number])
        if trials[number].state != TrialState.FAIL or again is None:
            continue
        later = trials[number + 1 :]
        if not any(again in (one.params, one.system_attrs.get("fixed_params")) for one in later):
            study.enqueue_trial(again)


def _parameters(trial: FrozenTrial) -> dict[str, Any] | None:
    """Parameters with which an interrupted trial runs again; None if it was only partly proposed."""
    if "settings" in trial.user_attrs:
        return trial.params
    return trial.system_attrs.get("fixed_params")  # of one of the first trials


def tell(
    study: optuna.Study,
    trial: optuna.Trial | int,
    state: TrialState,
    values: float | Sequence[float] | None = None,
) -> bool:
    """Tell Optuna how a trial ended; returns False if it had been given to another worker, so that nothing counts."""
    try:
        study.tell(trial, values, state)
    except (UpdateFinishedTrialError, ValueError):
        number = trial if isinstance(trial, int) else trial.number
        found = study.get_trials(deepcopy=False)[number]
        if not found.state.is_finished():
            raise
        if found.state != state or (state == TrialState.FAIL and number in interrupted_trials(study)):
            return False
        # The answer to an earlier attempt was lost.
    return True


def describe(error: BaseException) -> str:
    """Type and message of an error, with passwords masked."""
    return masked(f"{type(error).__name__}: {error}")


def alike(one: str, other: str) -> bool:
    """Whether two described errors are equal apart from numbers."""
    return NUMBER.sub("0", one) == NUMBER.sub("0", other)


def interrupts(study: optuna.Study, trial: optuna.Trial, error: Exception) -> bool:
    """Whether an error interrupts a trial instead of letting it fail.

    Outages interrupt. Running out of memory may be due to the trial's settings, so it interrupts only `ATTEMPTS` - 1
    times.
    """
    if not outages.is_memory(error):
        return outages.is_outage(error)
    trial.set_user_attr("error", describe(error))
    return not _last_attempt(study, trial.params)


def _last_attempt(study: optuna.Study, params: Mapping[str, Any]) -> bool:
    interrupted = interrupted_trials(study)
    before = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        if trial.number in interrupted and "error" in trial.user_attrs and trial.params == params
    ]
    return len(before) >= ATTEMPTS - 1


def check_failures(study: optuna.Study, total: int) -> None:
    """Stop a study whose last trials all failed in the same way, or many in any way; they run again when it is resumed.

    Trials that stopped the study before count as failed after `ATTEMPTS` times, so that it can go on. Divergence is a
    result of a search: after a trial succeeded, it stops a study only with `MANY` failures in a row.

    Args:
        study: the study.
        total: total number of its trials.

    Raises:
        StudyError: saying how they failed.
    """
    trials = counted(study)
    if not trials or trials[-1].state != TrialState.FAIL or "error" not in trials[-1].user_attrs:
        return
    row = list(takewhile(lambda trial: trial.state == TrialState.FAIL, reversed(trials)))
    again = [trial for trial in row if not _last_attempt(study, trial.params)]
    if len(again) >= MANY:
        which = f"the last {len(again)} trials failed ({'; '.join(_reasons(again))})"
    else:
        why = str(trials[-1].user_attrs["error"])
        if why.startswith(DivergenceError.__name__) and len(row) < len(trials):
            return
        same = takewhile(lambda trial: alike(trial.user_attrs.get("error", ""), why), row)
        again = [trial for trial in same if not _last_attempt(study, trial.params)]
        if len(again) < min(REPEATED, total):
            return
        which = f"the last {len(again)} trials failed in the same way" if len(again) > 1 else "the trial failed"
        which = f"{which} ({why})"
    with signals_deferred():
        interrupt(study, reversed(again))
    raise StudyError(
        f"{study.study_name}: {which}. traceback.txt of their runs has more. Correct the cause and run the "
        "same command again, which repeats them; or start another study with --set study=NAME"
    )


def _reasons(trials: Sequence[FrozenTrial]) -> list[str]:
    """The ways in which trials failed, the most frequent first, with the number of trials."""
    found: dict[str, list[str]] = {}
    for trial in trials:
        why = str(trial.user_attrs.get("error", "no reason is known"))
        found.setdefault(NUMBER.sub("0", why), []).append(why)
    ordered = sorted(found.values(), key=len, reverse=True)
    return [f"{len(same)} times {same[0]}" if len(same) > 1 else same[0] for same in ordered]


def failed_note(study: optuna.Study) -> str | None:
    """A sentence that says how many trials of a study failed; None if none did."""
    trials = counted(study)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    if not failed:
        return None
    return f"{len(failed)} of {len(trials)} trials failed. sslwear study show {study.study_name} says why"


class FailedJobs:
    """Failed jobs of an evaluation.

    Args:
        total: number of all jobs.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._failed: list[str] = []
        self._in_a_row: list[str] = []

    def note(self, name: str, why: str | None) -> None:
        """Note how a job ended; None for one that finished.

        Raises:
            StudyError: when several jobs in a row failed in the same way.
        """
        if why is None:
            self._in_a_row.clear()
            return
        self._failed.append(name)
        self._in_a_row = [*self._in_a_row, why] if self._in_a_row and alike(self._in_a_row[0], why) else [why]
        if len(self._in_a_row) == REPEATED:
            raise StudyError(
                f"{REPEATED} jobs in a row failed in the same way ({why}). traceback.txt of their runs has more. "
                "Correct the cause and run the same command again, which repeats them"
            )

    def check(self) -> None:
        """Check that no job failed.

        Raises:
            StudyError: when some did.
        """
        if self._failed:
            raise StudyError(
                f"{len(self._failed)} of {self._total} jobs failed, the first one {self._failed[0]}. "
                "Their runs in the UI have the tracebacks; the same command runs them again"
            )
