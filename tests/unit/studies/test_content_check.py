"""Check of the content of a study that another program changed."""

from __future__ import annotations

import sqlite3

import optuna
import pytest

from sslwear.config import parse
from sslwear.errors import StudyError
from sslwear.studies.database.content_check import check_content
from sslwear.studies.database.optuna_storage import find_study, open_storage
from sslwear.studies.database.tested_trials import count_evaluation, keep_scores
from sslwear.studies.database.trials import training_of
from sslwear.tracking import Store

CHANGES = [
    "UPDATE trials SET state = 'BANANA'",
    "UPDATE trials SET datetime_start = 'yesterday'",
    "UPDATE trial_params SET distribution_json = '{}'",
    "UPDATE trial_user_attributes SET value_json = '{'",
    "DELETE FROM trial_user_attributes WHERE key = 'run_id'",
    "DELETE FROM trial_values",
    "UPDATE study_user_attributes SET value_json = '\"a: [\"' WHERE key = 'settings'",
    "UPDATE study_user_attributes SET value_json = '3' WHERE key = 'settings'",
    "UPDATE study_user_attributes SET value_json = '[1, 2]' WHERE key = 'tested'",
    "UPDATE study_user_attributes SET value_json = '[{\"why\": \"x\"}]' WHERE key = 'test_looks'",
]


@pytest.fixture
def kept(store: Store) -> Store:
    """Store with a study of one trial."""
    settings = parse({"study": "mine", "data": "smartwatch"}, "the test")
    study = optuna.create_study(storage=open_storage(store), study_name="mine", direction="maximize")
    study.set_user_attr("settings", settings.to_yaml())
    trial = study.ask()
    trial.suggest_float("learning_rate", 1e-4, 1e-3)
    trial.set_user_attr("run_id", "a" * 32)
    trial.set_user_attr("settings", settings.training.model_dump())
    study.tell(trial, 0.5)
    count_evaluation(study, 0, "trial 0, the winner")
    keep_scores(study, 0, {"kappa": 0.5}, {"kappa": 0.4}, {"anna": 0.5})
    return store


def change(store: Store, statement: str) -> None:
    connection = sqlite3.connect(store.home / "optuna.db")
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


def test_a_study_is_found(kept: Store) -> None:
    study = find_study("mine", kept)
    assert training_of(study.best_trial).tuning == "all"


@pytest.mark.parametrize("statement", CHANGES)
def test_changed_content_is_reported_with_what_to_do(kept: Store, statement: str) -> None:
    change(kept, statement)
    with pytest.raises(StudyError, match=r"'mine' that cannot be read .*Restore the store from a backup"):
        find_study("mine", kept)


def test_settings_of_another_version_are_reported(kept: Store) -> None:
    change(kept, "UPDATE trial_user_attributes SET value_json = '{\"no_such_key\": 1}' WHERE key = 'settings'")
    study = find_study("mine", kept)
    with pytest.raises(StudyError, match="trial 0 has settings that this version cannot read"):
        training_of(study.best_trial)


def test_a_study_of_another_program_is_named(store: Store) -> None:
    study = optuna.create_study(storage=open_storage(store), study_name="foreign")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(StudyError, match="'foreign' was not created by sslwear"):
        check_content(study)


def test_an_evaluation_is_not_taken_for_a_missing_study(kept: Store) -> None:
    with kept.start_run(kept.experiment("methods"), "evaluation of methods", "cross_validation"):
        pass
    with pytest.raises(StudyError, match="'methods' is an evaluation"):
        find_study("methods", kept)
    with pytest.raises(StudyError, match="no study 'nothing'"):
        find_study("nothing", kept)
