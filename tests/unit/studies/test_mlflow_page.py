"""What an experiment's page and its runs are called, and in what views it opens."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.config import TrainingSettings
from sslwear.studies.results.mlflow_page import BEST_FIRST, JOB, TRIAL, lines, page, view
from sslwear.studies.trial.training_run import brief, run_name


@pytest.mark.parametrize(
    ("rate", "text"), [(3e-4, "3e-4"), (3.2e-4, "3.2e-4"), (0.1, "1e-1"), (9.96e-4, "1e-3"), (0.00304, "3e-3")]
)
def test_a_learning_rate_has_two_digits_and_no_more_letters_than_that_takes(rate: float, text: str) -> None:
    assert brief(rate) == text


@given(st.floats(1e-9, 10))
def test_a_learning_rate_is_off_by_a_twentieth_at_most(rate: float) -> None:
    assert float(brief(rate)) == pytest.approx(rate, rel=0.051)


@pytest.mark.parametrize(
    ("changes", "number", "name"),
    [
        (
            {"tuning": "layer4-5", "learning_rate": 3e-4, "pretext": "permutation"},
            12,
            "#12 layer4-5 lr=3e-4 permutation",
        ),
        ({"tuning": "all", "learning_rate": 3.2e-4, "augment": True}, None, "all lr=3.2e-4 augmented"),
    ],
)
def test_a_name_says_what_a_run_is(changes: dict, number: int | None, name: str) -> None:
    assert run_name(TrainingSettings(**changes), number) == name


@pytest.mark.parametrize(("objective", "first"), [("kappa", ["kappa", "f1"]), ("f1", ["f1", "kappa"])])
def test_the_best_trials_come_first_with_their_outcome_and_objective(objective: str, first: list[str]) -> None:
    state = json.loads(view(objective, nested=False, kind=TRIAL))
    assert state["orderByKey"] == f"metrics.`{objective}`"
    assert state["orderByAsc"] is False
    assert state["searchFilter"] == "tags.`sslwear.kind` = 'trial'"
    assert state["selectedColumns"] == [
        "tags.`sslwear.outcome`",
        *(f"metrics.`{score}`" for score in (first[0], f"{first[0]}_se", first[1])),
        *(f"metrics.`test_{score}`" for score in first),
        "tags.`sslwear.like_best`",
        "params.`tuning`",
        "params.`learning_rate`",
        "params.`pretext`",
    ]
    assert state["columnOrder"][1:] == state["selectedColumns"]


def test_the_jobs_of_an_evaluation_are_sorted_by_test_scores_which_baselines_have_too() -> None:
    state = json.loads(view("f1", nested=False, kind=JOB))
    assert state["searchFilter"] == "tags.`sslwear.kind` = 'cross_validation_job'"
    assert state["orderByKey"] == state["selectedColumns"][1] == "metrics.`test_f1`"


def test_the_nested_view_has_all_runs_sorted_by_the_start_because_mlflow_nests_no_other() -> None:
    state = json.loads(view("kappa", nested=True))
    assert state["orderByKey"] == "attributes.start_time"
    assert state["searchFilter"] == ""


class Known:
    """An MLflow experiment."""

    def __init__(self, name: str, *views: str, experiment_id: str = "7") -> None:
        self.name, self.experiment_id = name, experiment_id
        self.tags = {f"mlflow.sharedViewState.{key}": "{}" for key in views}


def test_an_address_is_in_the_mode_for_training_and_names_a_view_where_there_is_one() -> None:
    address = "/#/experiments/7/runs?workflowType=machine_learning"
    assert page(Known("study"), BEST_FIRST) == address
    assert page(Known("study", "best-first"), BEST_FIRST) == f"{address}&viewStateShareKey=best-first"
    assert page(Known("study", "best-first"), "nested") == address


def test_every_study_and_every_evaluation_has_one_short_address() -> None:
    known = [
        Known("Default", experiment_id="0"),
        Known("first", "best-first", "nested"),
        Known("a b/c", "best-first", "evaluation", "nested"),
        Known("compared", "evaluation", "nested"),
    ]
    store = SimpleNamespace(client=SimpleNamespace(search_experiments=lambda: known))
    assert lines("http://127.0.0.1:5000", store) == [
        "first: http://127.0.0.1:5000/study/first",
        "a b/c: http://127.0.0.1:5000/study/a%20b/c",
        "evaluation of a b/c: http://127.0.0.1:5000/evaluation/a%20b/c",
        "evaluation of compared: http://127.0.0.1:5000/evaluation/compared",
    ]
