"""Budget of a study: a number of trials, and hours."""

from __future__ import annotations

import time
from typing import Any

import optuna

from sslwear.config import Settings
from sslwear.studies.failures import counted
from sslwear.utils.words import count, shown

SECONDS, END = "seconds", "end"
"""Names of what a study keeps: seconds spent so far, and by what it ended."""


class Budget:
    """What a study has spent of its trials and hours, over all sessions.

    Between two sessions the clock stands still. What a killed process spent on its last trial is lost.

    Args:
        study: the Optuna study, which keeps what was spent.
        settings: its settings, with `trials` and `hours`.
    """

    def __init__(self, study: optuna.Study, settings: Settings) -> None:
        self._study, self._trials, self._hours = study, settings.trials, settings.hours
        self._before = study.user_attrs.get(SECONDS, _seconds_of_trials(study))
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds spent so far."""
        return float(self._before + time.monotonic() - self._start)

    def keep(self) -> None:
        """Let the study keep the time spent so far."""
        self._study.set_user_attr(SECONDS, self.seconds)

    def spent(self) -> dict[str, Any] | None:
        """What is spent, as `end` and `end_note` have it; None while the study goes on."""
        done = len(counted(self._study))
        if done >= self._trials:
            return {"by": "trials", "trials": done}
        if self._hours is not None and self.seconds >= 3600 * self._hours:
            return {"by": "hours", "hours": self._hours, "trials": done, "of": self._trials}
        return None

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
    return f"Ended by time: {shown(end['hours'])} h were spent after {end['trials']} of {count(end['of'], 'trial')}."


def _seconds_of_trials(study: optuna.Study) -> float:
    """Time of all trials, of a study that has kept no time."""
    durations = (trial.duration for trial in study.get_trials(deepcopy=False))
    return sum(duration.total_seconds() for duration in durations if duration is not None)
