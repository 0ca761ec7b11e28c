"""What an experiment's page and its runs are called, and in what views it opens."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.config import TrainingSettings
from sslwear.studies.mlflow_page import addresses, view
from sslwear.studies.trial import brief, run_name


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
def test_the_best_come_first_and_their_objective_stands_first(objective: str, first: list[str]) -> None:
    state = json.loads(view(objective, nested=False))
    assert state["orderByKey"] == f"metrics.`{objective}`"
    assert state["orderByAsc"] is False
    assert state["selectedColumns"] == [
        *(f"metrics.`{score}`" for score in first),
        "params.`tuning`",
        "params.`learning_rate`",
        "params.`pretext`",
        *(f"metrics.`test_{score}`" for score in first),
        "tags.`sslwear.outcome`",
    ]
    assert state["columnOrder"][1:] == state["selectedColumns"]


def test_the_nested_view_is_sorted_by_the_start_because_mlflow_nests_no_other() -> None:
    assert json.loads(view("kappa", nested=True))["orderByKey"] == "attributes.start_time"


class Known:
    """An MLflow experiment."""

    experiment_id = "7"

    def __init__(self, **tags: str) -> None:
        self.tags = {f"mlflow.sharedViewState.{key.replace('_', '-')}": value for key, value in tags.items()}


def test_an_address_names_a_view_only_where_the_experiment_has_it() -> None:
    page = "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning"
    assert addresses("http://127.0.0.1:5000", Known()) == [page]
    assert addresses("http://127.0.0.1:5000", Known(best_first="{}", nested="{}")) == [
        f"{page}&viewStateShareKey=best-first",
        f"{page}&viewStateShareKey=nested",
    ]
