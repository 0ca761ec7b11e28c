"""The workers of a study count its trials, give back those of dead ones, and keep their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from sslwear.errors import StudyError
from sslwear.studies.database.failures import counted, interrupted_trials, tell
from sslwear.studies.database.optuna_storage import open_storage
from sslwear.studies.workers.team import Crew, Team
from sslwear.tracking import Store

RATE = {"rate": optuna.distributions.FloatDistribution(0, 1)}


@pytest.fixture
def study(store: Store) -> optuna.Study:
    made = optuna.create_study(study_name="tiny", storage=open_storage(store), direction="maximize")
    made.set_user_attr("settings", "")
    return made


def asked(study: optuna.Study, crew: Crew | None = None, **attributes: Any) -> optuna.Trial:
    trial = study.ask(RATE)
    if crew is not None:
        crew.mark(trial)
    for name, value in {"settings": {}, **attributes}.items():
        trial.set_user_attr(name, value)
    return trial


def test_a_trial_that_ends_while_trials_are_counted_is_counted_once(
    store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew, real = Crew(store, study), optuna.Study.get_trials
    trial = asked(study, crew)

    def ending(self: optuna.Study, *arguments: Any, **named: Any) -> Any:
        found = real(self, *arguments, **named)
        if study._storage.get_trial(trial._trial_id).state == TrialState.RUNNING:
            study.tell(trial, 0.5)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(optuna.Study, "get_trials", ending)
        assert sum(crew.numbers()) == 1
    assert crew.numbers() == (1, 0)


def test_trials_in_hand_are_kept_and_those_of_nobody_wait_again(store: Store, study: optuna.Study) -> None:
    crew = Crew(store, study)
    mine = asked(study, crew)
    dead = asked(study, host="x", process=store.process()[:-1] + "x")
    elsewhere = asked(study, host="elsewhere", process="elsewhere-1")
    with crew.asking() as alone:
        assert alone
        assert crew.is_asking()
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING]
    assert interrupted_trials(study) == {dead.number}
    assert study.trials[3].system_attrs["fixed_params"] == dead.params
    assert crew.numbers() == (0, 2)
    crew.leave(KeyboardInterrupt())
    assert interrupted_trials(study) == {mine.number, dead.number}
    assert study.trials[elsewhere.number].state == TrialState.RUNNING
    assert not crew.is_asking()


def test_a_trial_that_was_given_away_is_not_told(store: Store, study: optuna.Study) -> None:
    crew = Crew(store, study)
    trial = asked(study, crew)
    crew.drop()
    with crew.asking():
        pass
    assert not tell(study, trial, TrialState.COMPLETE, 0.5)
    assert counted(study) == []


def test_an_answer_that_was_lost_is_no_other_workers_trial(store: Store, study: optuna.Study) -> None:
    trial = asked(study, Crew(store, study))
    assert tell(study, trial, TrialState.COMPLETE, 0.5)
    assert tell(study, trial, TrialState.COMPLETE, 0.5)


def test_a_study_that_another_worker_stopped_is_left(store: Store, study: optuna.Study) -> None:
    crew = Crew(store, study)
    with crew.joined():
        crew.check_stopped()
        study.set_user_attr("stopped", "three trials failed")
        with pytest.raises(StudyError, match="three trials failed"):
            crew.check_stopped()
    with crew.joined():  # nobody else works on it any more
        crew.check_stopped()


def test_a_finished_run_is_not_opened_again_for_a_worker_that_died(store: Store, study: optuna.Study) -> None:
    crew, run = Crew(store, study), store.create_run(store.experiment("a"), "a", "study")
    crew.runs(run)
    for status, then in {"KILLED": "RUNNING", "FINISHED": "FINISHED"}.items():
        run.end(status, status.lower())
        crew.heartbeat.claims.owner = dead = store.process()[:-1] + "x"
        crew.heartbeat.claims.take(f"worker\tstudy:tiny\t{dead}")
        crew.heartbeat.claims.owner = store.process()
        crew._after_beat()
        assert store.client.get_run(run.id).info.status == then


def test_of_workers_that_leave_at_once_the_last_one_ends_their_run(store: Store) -> None:
    first, last = Team(store, "a"), Team(store, "a")
    run = store.create_run(store.experiment("a"), "a", "study", None, "")
    run.tags(process="elsewhere-1")
    shared = first.heartbeat  # both have it, because they are one process here

    @contextmanager
    def elsewhere() -> Iterator[None]:
        shared.owner = shared.claims.owner = "elsewhere-1"
        yield
        shared.owner = shared.claims.owner = store.process()

    last._joined = first._joined = True  # not `joined`, whose thread would see the changed owner
    last._join()
    with elsewhere():
        first._join()
        first.leave(KeyboardInterrupt(), run)
        first._after_beat()  # its heartbeats go on until its process ends
    left = store.client.get_run(run.id)
    assert left.info.status == "RUNNING"
    assert left.data.tags["sslwear.process"] == store.process()  # with whose end the run ends, however that is
    last.leave(KeyboardInterrupt(), run)
    last._after_beat()
    assert store.client.get_run(run.id).info.status == "KILLED"
    assert first.others() == []


def test_teams_with_similar_names_are_not_one(store: Store) -> None:
    one, other = Team(store, "a"), Team(store, "a:b")
    other.heartbeat.claims.owner = "elsewhere-1"
    with other.joined():
        other.heartbeat.claims.owner = store.process()
        assert one.others() == []
        assert other.others() == ["elsewhere-1"]
        other.heartbeat.claims.owner = "elsewhere-1"
    other.heartbeat.claims.owner = store.process()
