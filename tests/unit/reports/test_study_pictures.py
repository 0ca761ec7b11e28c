"""Figures of a study are drawn where there is something to show."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection

from sslwear.evaluation.intervals import interval
from sslwear.reports.study_pictures import (
    MOST_NAMED,
    groups_figure,
    importances_figure,
    people_figure,
    study_overview,
    study_pictures,
)
from sslwear.reports.study_report import Rated, StudyReport
from tests.unit.reports.conftest import PEOPLE, TESTED, drawn, labels, trial


def points(axes: Axes) -> dict[str, list[list[float]]]:
    found = [series for series in axes.collections if isinstance(series, PathCollection)]
    return {str(series.get_label()): np.round(np.asarray(series.get_offsets()), 6).tolist() for series in found}


def test_a_full_study_has_all_figures_in_order(report: StudyReport) -> None:
    names = ["trials", "groups", "participants", "learning_curves", "importances", "pareto"]
    assert list(study_pictures(report)) == names


def test_figures_without_data_are_left_out(report: StudyReport) -> None:
    bare = replace(report, groups={"tuning": {"all": interval([0.5])}}, importances={}, second=None)
    assert list(study_pictures(bare)) == ["trials", "participants", "learning_curves"]
    alone = replace(bare, trials=(), winner=None, selected=None, default=None)
    assert study_pictures(alone) == {}


def test_an_epoch_gives_no_learning_curve(report: StudyReport) -> None:
    trials = tuple(replace(one, curve=one.curve[:1]) for one in report.trials)
    assert "learning_curves" not in study_pictures(replace(report, trials=trials))


def test_groups_are_sorted_by_mean_and_have_their_intervals(report: StudyReport) -> None:
    (axes,) = drawn(groups_figure(report)).axes
    assert labels(axes.get_yticklabels()) == ["head", "all"]
    assert axes.get_title(loc="left") == "by tuning strategy"
    assert axes.get_xlabel() == "kappa, mean and 95 % interval over participants"
    head = report.groups["tuning"]["head"]
    assert axes.lines[0].get_xydata().tolist() == [[head.low, 0], [head.high, 0]]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_groups_of_few_participants_have_no_intervals(report: StudyReport) -> None:
    few = {by: {"a": interval([0.5, 0.6]), "b": interval([0.7])} for by in ("tuning", "pretext")}
    panels = drawn(groups_figure(replace(report, groups=few))).axes
    assert [len(axes.lines) for axes in panels] == [0, 0]
    assert panels[1].get_xlabel() == "kappa, mean over participants"
    assert [axes.get_title(loc="left") for axes in panels] == ["by tuning strategy", "by pretext task"]


def test_an_undefined_mean_is_no_group(report: StudyReport) -> None:
    groups = {"tuning": {"a": interval([]), "b": interval([0.5])}}
    assert "groups" not in study_pictures(replace(report, groups=groups))


def test_participants_are_sorted_by_the_winner_and_test_participants_are_apart(report: StudyReport) -> None:
    judged, tested = drawn(people_figure(report)).axes
    assert labels(judged.get_xticklabels()) == ["m1", "m3", "m5", "m2", "m4", "m6"]
    assert labels(tested.get_xticklabels()) == list(reversed(TESTED))
    assert (judged.get_title(), tested.get_title()) == ("judged in the search (6)", "test participants (5)")
    assert points(judged)["selected: trial 3"] == [[i, 0.84 if i < 3 else 0.74] for i in range(6)]
    assert points(judged)["baseline: random forest"] == [[i, 0.55] for i in range(6)]
    assert points(tested)["file's own settings: trial 0"] == []


def test_a_line_joins_the_scores_of_a_participant(report: StudyReport) -> None:
    judged = drawn(people_figure(report)).axes[0]
    (lines,) = [one for one in judged.collections if isinstance(one, LineCollection)]
    np.testing.assert_allclose(lines.get_segments()[0], [[0, 0.55], [0, 0.84]])


def test_participants_without_a_score_of_the_winner_are_last_and_undefined_ones_are_left_out(
    report: StudyReport,
) -> None:
    scores = {"a": math.nan, "b": 0.2, "c": math.nan}
    one = replace(report, selected=Rated("trial 3", None, None, scores, {}, 3), default=None)
    two = replace(one, baseline=Rated("forest", None, None, {"a": 0.9, "c": math.nan}, {}))
    (judged,) = drawn(people_figure(two)).axes
    assert labels(judged.get_xticklabels()) == ["b", "a"]
    assert points(judged) == {"selected: trial 3": [[0, 0.2]], "baseline: forest": [[1, 0.9]]}


def test_files_own_settings_that_won_are_shown_once(report: StudyReport) -> None:
    figure = drawn(people_figure(replace(report, winner=0, selected=report.default)))
    assert labels(figure.legends[0].get_texts()) == ["selected: trial 0", "baseline: random forest"]


@pytest.mark.parametrize(("count", "named"), [(MOST_NAMED, True), (MOST_NAMED + 1, False)])
def test_many_participants_have_no_names(report: StudyReport, count: int, named: bool) -> None:
    scores = {f"m{i}": i / 100 for i in range(count)}
    many = replace(report, selected=Rated("trial 3", None, None, scores, {}, 3), default=None, baseline=None)
    assert (len(labels(drawn(people_figure(many)).axes[0].get_xticklabels())) > 0) == named


def test_importances_are_sorted(report: StudyReport) -> None:
    (axes,) = drawn(importances_figure(report)).axes
    assert labels(axes.get_yticklabels()) == ["tuning", "pretext"]
    assert axes.get_xlabel() == "importance"


def test_the_overview_has_trials_and_groups(report: StudyReport) -> None:
    figure = drawn(study_overview(report))
    assert figure.get_suptitle() == "Study quick"
    assert [labels(axes.get_yticklabels())[0] for axes in figure.axes] == ["2: layer1, reverse", "head"]


def test_the_overview_without_groups_is_the_figure_of_trials(report: StudyReport) -> None:
    figure = drawn(study_overview(replace(report, groups={}, name="a_b $x$")))
    assert figure.get_suptitle() == r"Study a_b \$x\$"
    assert len(figure.axes) == 1


def test_scores_of_a_trial_come_from_the_trial_where_the_rating_has_none(report: StudyReport) -> None:
    assert report.selected is not None
    own = dict.fromkeys(PEOPLE, 0.3)
    changed = replace(report, selected=replace(report.selected, scores=own), trials=(trial(3, 0.9), report.trials[0]))
    judged = drawn(people_figure(changed)).axes[0]
    assert {y for _, y in points(judged)["selected: trial 3"]} == {0.3}
    assert {y for _, y in points(judged)["file's own settings: trial 0"]} == {0.45, 0.55}
