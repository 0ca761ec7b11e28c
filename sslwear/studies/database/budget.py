"""Budget of a study: a number of trials, hours, and a score that is enough."""

from __future__ import annotations

import time
from typing import Any

import optuna
from optuna.trial import TrialState

from sslwear.config import Settings
from sslwear.studies.database.failures import counted
from sslwear.studies.setup.limits import excess
from sslwear.utils.words import count, shown

SECONDS, END = "seconds", "end"
"""Names of what a study keeps: seconds spent so far, and by what it ended."""


class Budget:
    """What a study has spent of its trials and hours, over all sessions.

    Between two sessions the clock stands still. What a killed process spent on its last trial is lost.

    Args:
        study: the Optuna study, which keeps what was spent.
        settings: its settings, with `trials`, `hours` and `target_score`.
    """

    def __init__(self, study: optuna.Study, settings: Settings) -> None:
        self._study, self._settings = study, settings
        self._trials, self._hours = settings.trials, settings.hours
        self._before = study.user_attrs.get(SECONDS, _seconds_of_trials(study))
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds spent so far."""
        return float(self._before + time.monotonic() - self._start)

    def keep(self) -> None:
        """Let the study keep the time spent so far: that of the worker that has been at it for longest."""
        self._before += max(0.0, self._study.user_attrs.get(SECONDS, 0.0) - self.seconds)
        self._study.set_user_attr(SECONDS, self.seconds)

    def spent(self) -> dict[str, Any] | None:
        """What is spent, as `end` and `end_note` have it; None while the study goes on."""
        done = len(counted(self._study))
        if (reached := self._reached()) is not None:
            return {"by": "score", "score": self._settings.target_score, "trial": reached, "trials": done}
        if done >= self._trials:
            return {"by": "trials", "trials": done}
        if self._hours is not None and self.seconds >= 3600 * self._hours:
            return {"by": "hours", "hours": self._hours, "trials": done, "of": self._trials}
        return None

    def _reached(self) -> int | None:
        """Number of the first finished trial with the target score that keeps the constraints; None if none has it."""
        target = self._settings.target_score
        if target is None:
            return None
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        kept = (trial for trial in complete if all(over <= 0 for over in excess(trial, self._settings)))
        return next((trial.number for trial in kept if trial.values and trial.values[0] >= target), None)

    def end(self, spent: dict[str, Any] | None) -> None:
        """Let the study keep by what it ended; None while it goes on."""
        self._study.set_user_attr(END, spent)


def end_note(study: optuna.Study) -> str | None:
    """A sentence that says by what a study ended; None while it goes on, or if it has no such note."""
    end = study.user_attrs.get(END)
    if end is None:
        return None
    if end["by"] == "trials":
        return f"Ended by the number of trials: {count(end['trials'], 'trial')}."
    if end["by"] == "score":
        return (
            f"Ended by the target score: trial {end['trial']} reached {shown(end['score'])} after "
            f"{count(end['trials'], 'trial')}."
        )
    return f"Ended by time: {shown(end['hours'])} h were spent after {end['trials']} of {count(end['of'], 'trial')}."


def _seconds_of_trials(study: optuna.Study) -> float:
    """Time of all trials, of a study that has kept no time."""
    durations = (trial.duration for trial in study.get_trials(deepcopy=False))
    return sum(duration.total_seconds() for duration in durations if duration is not None)
