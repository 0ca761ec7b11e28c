"""What a study has spent, over sessions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import optuna
import pytest

from sslwear.config import Settings, parse
from sslwear.studies.database import budget as module
from sslwear.studies.database.budget import Budget, end_note


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def settings(**changes: Any) -> Settings:
    return parse({"study": "a", "data": "b", "search": {"tuning": ["all", "head"]}, **changes}, "the test")


def test_the_first_that_is_spent_ends_the_study(clock: Clock) -> None:
    study = optuna.create_study()
    budget = Budget(study, settings(trials=3, hours=0.5))
    study.add_trial(optuna.create_trial(value=1.0))
    clock.now += 1799
    assert budget.spent() is None
    clock.now += 1
    assert budget.spent() == {"by": "hours", "hours": 0.5, "trials": 1, "of": 3}
    study.add_trials([optuna.create_trial(value=1.0)] * 2)
    assert budget.spent() == {"by": "trials", "trials": 3}


def test_a_score_that_is_enough_ends_the_study(clock: Clock) -> None:
    study = optuna.create_study(direction="maximize")
    budget = Budget(study, settings(trials=9, target_score=0.8, constraint={"trainable_parameters": 5}))
    for value, parameters in ((0.79, 5), (0.9, 6)):
        study.add_trial(optuna.create_trial(value=value, user_attrs={"measured": {"trainable_parameters": parameters}}))
    study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.PRUNED, intermediate_values={1: 0.95}))
    assert budget.spent() is None
    study.add_trial(optuna.create_trial(value=0.8, user_attrs={"measured": {"trainable_parameters": 5}}))
    assert budget.spent() == {"by": "score", "score": 0.8, "trial": 3, "trials": 4}
    budget.end(budget.spent())
    assert end_note(study) == "Ended by the target score: trial 3 reached 0.8 after 4 trials."
    assert Budget(study, settings(trials=9, target_score=0.95)).spent() is None


def test_time_of_earlier_sessions_counts_and_time_between_them_does_not(clock: Clock) -> None:
    study = optuna.create_study()
    first = Budget(study, settings(hours=1))
    clock.now += 3000
    first.keep()
    clock.now += 10**6
    second = Budget(study, settings(hours=1))
    assert second.spent() is None
    clock.now += 600
    assert second.seconds == pytest.approx(3600)
    assert second.spent() is not None


def test_a_study_that_kept_no_time_has_spent_that_of_its_trials(clock: Clock) -> None:
    study, start = optuna.create_study(), dt.datetime(2024, 1, 1)
    trial = optuna.create_trial(value=1.0)
    trial.datetime_start, trial.datetime_complete = start, start + dt.timedelta(hours=1)
    study.add_trials([trial, trial])
    assert Budget(study, settings()).seconds == pytest.approx(7200)


def test_a_study_says_by_what_it_ended(clock: Clock) -> None:
    study = optuna.create_study()
    assert end_note(study) is None
    budget = Budget(study, settings(trials=4, hours=2))
    budget.end({"by": "hours", "hours": 2.0, "trials": 1, "of": 4})
    assert end_note(study) == "Ended by time: 2 h were spent after 1 of 4 trials."
    budget.end({"by": "trials", "trials": 4})
    assert end_note(study) == "Ended by the number of trials: 4 trials."
    budget.end(None)
    assert end_note(study) is None


def test_workers_have_the_hours_of_the_one_that_began_first(clock: Clock) -> None:
    study = optuna.create_study()
    first = Budget(study, settings(hours=1))
    clock.now += 3000
    late = Budget(study, settings(hours=1))  # while the first one runs its first trial
    clock.now += 100
    first.keep()
    late.keep()
    assert late.seconds == study.user_attrs[module.SECONDS] == 3100
    clock.now += 500
    assert late.spent() == {"by": "hours", "hours": 1, "trials": 0, "of": 20}
