"""Figures of trials show the trials they are given: texts and positions are checked, pixels are not."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection

from sslwear.reports.study_report import StudyReport
from sslwear.reports.trial_figures import (
    LABEL,
    MOST_CURVES,
    MOST_DRAWN,
    MOST_ROWS,
    curves_figure,
    pareto_figure,
    short,
    shown_trials,
    trials_figure,
)
from tests.unit.reports.conftest import drawn, labels, trial


def points(axes: Axes) -> dict[str, list[list[float]]]:
    """Positions of the markers by label."""
    found = [series for series in axes.collections if isinstance(series, PathCollection)]
    return {str(series.get_label()): np.asarray(series.get_offsets()).tolist() for series in found}


def bars(axes: Axes) -> list[list[list[float]]]:
    found = [series for series in axes.collections if isinstance(series, LineCollection)]
    return [np.round(segment, 6).tolist() for series in found for segment in series.get_segments()]


def test_trials_have_rows_with_the_best_on_top_and_pruned_ones_last(report: StudyReport) -> None:
    axes = drawn(trials_figure(report)).axes[0]
    rows = ["2: layer1, reverse", "3: head, reverse", "5: layer1, none", "0: all, none", "1: head, none"]
    assert labels(axes.get_yticklabels()) == rows
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert points(axes) == {
        "cannot be told from the best": [[0.8, 0]],
        "selected": [[0.79, 1]],
        "other finished trials": [[0.6, 2], [0.5, 3]],
        "pruned, last mean": [[0.65, 4]],
    }
    assert [[0.78, 0], [0.82, 0]] in bars(axes)


def test_the_baseline_is_a_line_at_its_estimate(report: StudyReport) -> None:
    figure = drawn(trials_figure(report))
    (line,) = figure.axes[0].lines
    assert line.get_xdata() == [pytest.approx(0.55)] * 2
    assert "baseline: random forest" in labels(figure.legends[0].get_texts())
    assert not drawn(trials_figure(replace(report, baseline=None))).axes[0].lines


def test_a_trial_links_to_its_row_in_the_table(report: StudyReport) -> None:
    axes = trials_figure(report).axes[0]
    (selected,) = [one for one in axes.collections if one.get_label() == "selected"]
    assert selected.get_urls() == ["#trial-3"]


def test_a_mean_without_a_standard_error_has_no_bar(report: StudyReport) -> None:
    axes = drawn(trials_figure(replace(report, trials=(trial(0, 0.5, error=None),)))).axes[0]
    assert bars(axes) == [[[0.5, 0], [0.5, 0]]]
    assert labels(axes.get_yticklabels()) == ["0"]


def test_many_trials_have_columns_without_labels(report: StudyReport) -> None:
    trials = tuple(trial(number, 0.9 - number / 100) for number in range(MOST_ROWS + 1))
    axes = drawn(trials_figure(replace(report, trials=trials, winner=0))).axes[0]
    assert points(axes)["selected"] == [[0, 0.9]]
    assert points(axes)["other finished trials"][-1] == [MOST_ROWS, pytest.approx(0.9 - MOST_ROWS / 100)]
    assert [[0, 0.88], [0, 0.92]] in bars(axes)
    assert labels(axes.get_xticklabels()) == []


def test_the_best_of_very_many_trials_are_drawn(report: StudyReport) -> None:
    trials = tuple(trial(number, number / 1000) for number in range(MOST_DRAWN + 2))
    assert [one.number for one in shown_trials(replace(report, trials=trials))] == list(range(MOST_DRAWN + 1, 1, -1))


def test_learning_curves_are_those_of_the_winner_and_the_candidates(report: StudyReport) -> None:
    axes = drawn(curves_figure(report)).axes[0]
    assert [line.get_label() for line in axes.lines] == ["3: head, reverse (selected)", "2: layer1, reverse"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2, 3]] * 2
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.59, 0.69, 0.79])
    assert axes.lines[0].get_linewidth() > axes.lines[1].get_linewidth()


def test_the_winner_is_among_a_limited_number_of_learning_curves(report: StudyReport) -> None:
    trials = tuple(trial(number, 0.9 - number / 100, candidate=True) for number in range(MOST_CURVES + 5))
    axes = drawn(curves_figure(replace(report, trials=trials, winner=MOST_CURVES + 4))).axes[0]
    assert len(axes.lines) == MOST_CURVES
    assert str(axes.lines[0].get_label()).endswith("(selected)")
    assert len({line.get_color() for line in axes.lines}) == MOST_CURVES


def test_the_pareto_front_is_joined_and_has_the_numbers_of_its_trials(report: StudyReport) -> None:
    axes = drawn(pareto_figure(report)).axes[0]
    assert points(axes) == {"other trials": [[4000, 0.79], [6000, 0.6]], "Pareto front": [[1000, 0.5], [3000, 0.8]]}
    assert [text.get_text() for text in axes.texts] == ["0", "2"]
    assert axes.lines[0].get_xydata().tolist() == [[1000, 0.5], [3000, 0.8]]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("memory in MB", "mean kappa", "linear")


def test_a_second_objective_of_several_sizes_has_a_logarithmic_axis(report: StudyReport) -> None:
    trials = (trial(0, 0.5, second=1.0), trial(2, 0.6, second=1e4))
    assert drawn(pareto_figure(replace(report, trials=trials))).axes[0].get_xscale() == "log"


def test_labels_are_short_and_have_no_formulas() -> None:
    assert len(short("x" * 99)) == LABEL
    assert short("$x$") == r"\$x\$"
    assert short("abcdef", 5) == "ab..."
