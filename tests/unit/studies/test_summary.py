"""Optuna's charts of a study as figures."""

from __future__ import annotations

import io

import matplotlib as mpl
import optuna
import pytest
from matplotlib import pyplot as plt

from sslwear.config import TrainingSettings, parse
from sslwear.studies.summary import group_charts, optuna_charts
from sslwear.studies.trials import points

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
