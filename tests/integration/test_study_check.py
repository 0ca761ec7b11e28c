"""Optuna and MLflow say the same about a study; where they differ, it is named and repaired."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sslwear.errors import StudyError
from sslwear.studies.database.failures import counted
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.workers.check import check_study
from sslwear.tracking import Run, Store
from tests.conftest import store_at


@pytest.fixture
def store(studied: Path, tmp_path: Path) -> Store:
    """A store with a finished study, to change."""
    home = tmp_path / "mlruns"
    shutil.copytree(studied, home)
    return store_at(home)


def run_of(store: Store, number: int) -> Run:
    trial = find_study("tiny", store).trials[number]
    return Run(store, trial.user_attrs["run_id"], store.experiment("tiny"))


def texts(store: Store, repair: bool = False) -> list[str]:
    return [one.text for one in check_study("tiny", store, repair).differences]


def test_nothing_differs_after_a_study(store: Store) -> None:
    checked = check_study("tiny", store)
    assert checked.sentence() == "Trials: 3 finished. Both stores agree."


def test_a_run_that_ended_otherwise_is_named_and_repaired(store: Store) -> None:
    run_of(store, 1).end("KILLED", "interrupted")
    assert texts(store) == ["trial 1 is finished, and its run is KILLED (interrupted)"]
    checked = check_study("tiny", store, repair=True)
    assert checked.sentence() == "Trials: 3 finished. 1 difference, 1 repaired, 0 left."
    assert texts(store) == []
    assert store.client.get_run(run_of(store, 1).id).info.status == "FINISHED"


def test_a_second_finished_run_of_a_trial_counts_once(store: Store) -> None:
    first = store.client.get_run(run_of(store, 1).id)
    parent = first.data.tags["mlflow.parentRunId"]
    extra = store.create_run(first.info.experiment_id, "#1 again", "trial", parent, trial="1")
    extra.end("FINISHED", "finished")
    assert texts(store) == [f"run {extra.id} of trial 1 is FINISHED, and the trial has another run"]
    check_study("tiny", store, repair=True)
    assert texts(store) == []
    assert store.client.get_run(extra.id).info.status == "KILLED"


def test_a_run_that_was_deleted_or_has_another_score_is_named_and_left(store: Store) -> None:
    store.client.delete_run(run_of(store, 1).id)
    run_of(store, 2).metrics({"kappa": 2.0}, step=99)
    for repair in (False, True):
        missing, score = texts(store, repair)
        assert missing == "trial 1 is finished, and its run is missing or deleted"
        assert score.startswith("trial 2 has kappa ")
        assert score.endswith(", and its run has 2.000000")


def test_runs_are_found_after_the_run_of_the_study_was_deleted(store: Store) -> None:
    study = find_study("tiny", store)
    store.client.delete_run(study.user_attrs["run_id"])
    assert texts(store) == []
    new = store.create_run(store.experiment("tiny"), "tiny", "study")  # as the next call of the study does
    study.set_user_attr("run_id", new.id)
    assert texts(store) == []


def test_a_trial_that_nobody_works_on_is_given_back(store: Store) -> None:
    study = find_study("tiny", store)
    study.enqueue_trial({"learning_rate": 1e-3})
    trial = study.ask()
    trial.set_user_attr("host", "here")
    trial.set_user_attr("process", store.process()[:-1] + "x")  # of this machine, and not alive
    assert check_study("tiny", store).trials == {"finished": 3, "running": 1}
    assert check_study("tiny", store, repair=True).trials == {"finished": 3, "interrupted": 1}
    assert len(counted(study)) == 3
    (waiting,) = study.get_trials(states=(TrialState.WAITING,))
    assert waiting.system_attrs["fixed_params"] == {"learning_rate": 1e-3}


def test_a_study_that_does_not_exist_is_answered(store: Store) -> None:
    with pytest.raises(StudyError, match="there is no study 'other'"):
        check_study("other", store)
