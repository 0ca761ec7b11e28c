"""A study's report ranks its trials and names them by what differs."""

import math
from dataclasses import replace

import pytest

from sslwear.reports.study_report import StudyReport
from tests.unit.reports.conftest import trial


def test_finished_trials_come_first_and_the_highest_mean_is_first(report: StudyReport) -> None:
    assert [one.number for one in report.ranked] == [2, 3, 5, 0, 1, 4]
    assert [one.number for one in report.finished] == [2, 3, 5, 0]


@pytest.mark.parametrize("mean", [None, math.nan])
def test_a_finished_trial_without_a_mean_comes_after_those_with_one(report: StudyReport, mean: float | None) -> None:
    trials = (replace(trial(6, 0.5), mean=mean), *report.trials)
    changed = replace(report, trials=trials)
    assert [one.number for one in changed.ranked] == [2, 3, 5, 0, 6, 1, 4]
    assert 6 not in [one.number for one in changed.finished]


def test_a_trial_with_an_outcome_of_another_version_is_listed_last(report: StudyReport) -> None:
    changed = replace(report, trials=(trial(6, 0.9, outcome="lost"), *report.trials))
    assert changed.ranked[-1].number == 6


def test_the_winner_is_a_candidate_in_any_case(report: StudyReport) -> None:
    assert [one.number for one in report.candidates] == [2, 3]
    assert [one.number for one in replace(report, winner=5).candidates] == [2, 3, 5]


def test_trials_are_named_by_the_tuning_strategy_and_pretext_task_that_differ(report: StudyReport) -> None:
    assert report.named(report.trials[3]) == "head, reverse"
    alike = replace(report, trials=(trial(0, 0.5), trial(1, 0.6, "head")))
    assert [alike.named(one) for one in alike.trials] == ["all", "head"]


def test_trials_that_differ_otherwise_are_named_by_their_searched_settings(report: StudyReport) -> None:
    trials = tuple(trial(number, 0.5, searched={"batch": 8, "rate": number / 3, "x": number}) for number in (1, 2))
    changed = replace(report, trials=trials)
    assert changed.named(trials[0]) == "rate 0.333333, x 1"
    assert changed.named(trials[0], most=1) == "rate 0.333333"
    assert replace(report, trials=trials[:1]).named(trials[0]) == ""


def test_searched_settings_are_listed_once(report: StudyReport) -> None:
    changed = replace(report, trials=(*report.trials, trial(6, 0.5, searched={"batch": 8})))
    assert changed.searched == ["tuning", "pretext", "learning_rate", "batch"]
    assert changed.varied("batch")
    assert not replace(changed, trials=changed.trials[6:]).varied("batch")


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [(0.8123, 0.0126, "0.812 ± 0.013"), (0.8, None, "0.800"), (-0.1, math.nan, "-0.100"), (None, None, "-")],
)
def test_a_mean_is_written_with_its_standard_error(mean: float | None, error: float | None, text: str) -> None:
    assert replace(trial(0, 0.5), mean=mean, error=error).text() == text


@pytest.mark.parametrize(("objective", "title"), [("kappa", "kappa"), ("f1", "macro F1"), ("other", "other")])
def test_the_score_has_a_title(report: StudyReport, objective: str, title: str) -> None:
    assert replace(report, objective=objective).score == title
