"""Optuna's charts of a study as figures."""

from __future__ import annotations

import io

import matplotlib as mpl
import optuna
import pytest
from matplotlib import pyplot as plt

from sslwear.config import TrainingSettings, parse
from sslwear.studies import summary
from sslwear.studies import trials as trials_module
from sslwear.studies.summary import group_charts, interactive, optuna_charts
from sslwear.studies.trials import importances, points

TRIALS = (("all", 1e-3, "none", 0.5), ("head", 1e-4, "reverse", 0.7), ("layer5", 1e-2, "none", 0.3))
CHOICES = {
    "tuning": optuna.distributions.CategoricalDistribution(["all", "head", "layer5"]),
    "learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
    "pretext": optuna.distributions.CategoricalDistribution(["none", "reverse"]),
}
CONTENT = {
    "study": "tiny",
    "data": "smartwatch",
    "search": {
        "tuning": ["all", "head", "layer5"],
        "learning_rate": {"low": 1e-5, "high": 1e-1},
        "pretext": ["none", "reverse"],
    },
}


def study(trials: int) -> optuna.Study:
    """A study in memory with some of the trials."""
    made = optuna.create_study(direction="maximize")
    settings = parse(CONTENT, "the test")
    made.set_user_attr("settings", settings.to_yaml())
    for tuning, rate, pretext, value in TRIALS[:trials]:
        params = {"tuning": tuning, "learning_rate": rate, "pretext": pretext}
        training = TrainingSettings(**{**settings.training.model_dump(), **params})
        made.add_trial(
            optuna.trial.create_trial(
                value=value,
                params=params,
                distributions=CHOICES,
                intermediate_values={1: value / 2, 2: value},
                user_attrs={"settings": training.model_dump()},
            )
        )
    return made


@pytest.mark.parametrize(
    ("trials", "expected"),
    [(0, []), (1, ["optimisation_history"]), (2, ["optimisation_history", "parallel_coordinates"])],
)
def test_charts_that_need_more_trials_are_left_out(trials: int, expected: list[str]) -> None:
    assert list(optuna_charts(study(trials), "kappa", {})) == expected


def test_charts_show_the_values_and_leave_no_global_state() -> None:
    before = dict(mpl.rcParams)
    charts = optuna_charts(study(3), "kappa", {"pretext": 0.2, "learning_rate": 0.3, "tuning": 0.5})
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
    history = charts["optimisation_history"].axes[0]
    assert history.get_ylabel() == "kappa"
    assert [float(y) for _, y in history.collections[0].get_offsets()] == [0.5, 0.7, 0.3]
    bars = charts["parameter_importances"].axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["tuning", "learning_rate", "pretext"]
    assert [bar.get_width() for bar in bars.patches] == [0.5, 0.3, 0.2]
    for chart in charts.values():
        chart.savefig(io.BytesIO(), format="png", dpi=40)


def test_scores_are_grouped_by_what_varies() -> None:
    assert list(group_charts(points(study(1)), "kappa")) == []
    assert list(group_charts(points(study(2)), "kappa")) == ["score_by_mask", "pretext_tasks"]


def test_of_many_trials_the_last_ones_have_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Every trial by epoch" in interactive(study(3), "kappa", {})
    monkeypatch.setattr(summary, "MANY_CURVES", 2)
    page = interactive(study(3), "kappa", {})
    assert "The last 2 trials by epoch" in page
    assert [f'"name":"Trial{number}"' in page for number in range(3)] == [False, True, True]


def test_of_many_trials_some_at_even_distances_give_importances(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = study(3), []
    for _ in range(3):
        made.add_trials(study(3).trials)
    monkeypatch.setattr(trials_module, "MANY_FOR_IMPORTANCES", 5)
    monkeypatch.setattr(
        optuna.importance, "get_param_importances", lambda some, **_: seen.append([t.value for t in some.trials]) or {}
    )
    importances(made)
    assert seen == [[made.trials[i].value for i in (0, 3, 6, 8, 11)]]
