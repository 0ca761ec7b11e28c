"""A study with every outcome, for the tests of its figures, text and page."""

from __future__ import annotations

import io

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from sslwear.evaluation.intervals import interval
from sslwear.reports.study_report import Rated, StudyReport, TrialResult

PEOPLE = ("m1", "m2", "m3", "m4", "m5", "m6")
TESTED = ("t1", "t2", "t3", "t4", "t5")


def drawn(figure: Figure) -> Figure:
    """The figure, after it was drawn."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    assert plt.get_fignums() == []
    return figure


def labels(ticks: list) -> list[str]:
    """Texts of labels at an axis."""
    return [tick.get_text() for tick in ticks]


def trial(number: int, mean: float | None, tuning: str = "all", pretext: str = "none", **others: object) -> TrialResult:
    """A trial whose participants differ by 0.05 in turn."""
    scores = {} if mean is None else {name: mean + 0.05 * (-1) ** i for i, name in enumerate(PEOPLE)}
    values: dict[str, object] = {
        "outcome": "finished",
        "searched": {"tuning": tuning, "pretext": pretext, "learning_rate": 0.001 * (number + 1)},
        "error": None if mean is None else 0.02,
        "participants": scores,
        "epochs": 3,
        "seconds": 61.0,
        "parameters": 1_234_567,
        "windows_per_second": 2500.4,
        "run_id": f"{number}a2b3c4d5e6f7",
        "curve": () if mean is None else (mean - 0.2, mean - 0.1, mean),
        "second": 1000.0 * (number + 1),
    }
    return TrialResult(number=number, tuning=tuning, pretext=pretext, mean=mean, **{**values, **others})  # type: ignore[arg-type]


@pytest.fixture
def report() -> StudyReport:
    """A study of six trials, of which trials 2 and 3 cannot be told apart and 3 was selected."""
    trials = (
        trial(0, 0.5),
        trial(1, 0.65, "head", outcome="pruned", participants={"m1": 0.65, "m2": 0.65}),
        trial(2, 0.8, "layer1", "reverse", candidate=True),
        trial(3, 0.79, "head", "reverse", candidate=True),
        trial(4, None, "layer2", outcome="failed", error=None, curve=(), second=None),
        trial(5, 0.6, "layer1"),
    )
    judged = {one.number: list(one.participants.values()) for one in trials}
    tests = [0.7, 0.72, 0.74, 0.76, 0.78]
    return StudyReport(
        name="quick",
        objective="kappa",
        data="adl",
        encoder="harnet10",
        weights="published weights",
        judged="Each trial was judged in 3 folds.",
        trials=trials,
        winner=3,
        selection="Trial 3 has the fewest tuned parameters of them.",
        finding="Trial 3 cannot be told from trial 2.",
        estimate_note="The estimate was lowered by 0.010.",
        selected=Rated("trial 3", interval(judged[3]), interval(tests), {}, dict(zip(TESTED, tests, strict=True)), 3),
        default=Rated("trial 0", interval(judged[0]), None, {}, {}, 0),
        baseline=Rated("random forest", interval([0.55] * 6), interval([0.5] * 5), dict.fromkeys(PEOPLE, 0.55), {}),
        notes=("A further note.",),
        groups={
            "tuning": {"all": interval([0.5] * 5), "head": interval([0.6, 0.65, 0.7, 0.75, 0.8])},
            "pretext": {"none": interval([0.5] * 5)},
        },
        importances={"pretext": interval([0.2, 0.2]), "tuning": interval([0.8, 0.8])},
        pareto=(2, 0),
        second="memory in MB",
        test_evaluations=1,
    )
