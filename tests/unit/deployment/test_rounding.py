"""Numbers as MLflow's UI shows them."""

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from sslwear.deployment.serving.rounding import PATHS, RoundedValues, round_values, rounded
from tests.unit.deployment.asgi import ask

RUNS = {
    "runs": [
        {
            "info": {"start_time": 1.23456789012},
            "data": {
                "metrics": [{"key": "kappa", "value": 0.8372354373478179, "step": 7}, {"key": "f1", "value": "NaN"}],
                "params": [{"key": "learning_rate", "value": "0.00011043028832"}, {"key": "version", "value": "1.2.3"}],
            },
        }
    ]
}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.8372354373, 0.8372), (0.000110430288, 0.0001104), (54966.21384, 54966.2138), (-0.123456, -0.1235), (0.0, 0.0)],
)
def test_a_number_has_four_decimals_or_digits(value: float, shown: float) -> None:
    assert rounded(value) == shown


@pytest.mark.parametrize("path", PATHS)
def test_metrics_and_parameters_are_rounded_for_the_ui_and_nothing_else(path: str) -> None:
    status, headers, body = ask(RoundedValues(JSONResponse(RUNS)), "POST", path)
    (run,) = json.loads(body)["runs"]
    assert status == 200
    assert int(headers["content-length"]) == len(body)
    assert run["info"] == RUNS["runs"][0]["info"]
    assert run["data"]["metrics"] == [{"key": "kappa", "value": 0.8372, "step": 7}, {"key": "f1", "value": "NaN"}]
    assert [param["value"] for param in run["data"]["params"]] == ["0.0001104", "1.2.3"]


@pytest.mark.parametrize(("path", "status"), [("/api/2.0/mlflow/runs/search", 200), (PATHS[0], 500)])
def test_programs_and_errors_get_unchanged_answers(path: str, status: int) -> None:
    answer: Any = JSONResponse(RUNS, status)
    assert json.loads(ask(RoundedValues(answer), "POST", path)[2]) == RUNS


def test_a_long_parameter_keeps_its_digits_before_the_point() -> None:
    assert round_values({"key": "seconds", "value": "1234567.8912345"})["value"] == "1234567.8912"
    assert round_values({"key": "rate", "value": "0.000123456789"})["value"] == "0.0001235"
