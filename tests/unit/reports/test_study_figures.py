"""Charts of a study show what they are given, and are left out where there is no ground for them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from sslwear.reports.study_figures import TrialPoint, study_charts, study_overview

POINTS = [
    TrialPoint(4, 0.7, "head", "reverse", False),
    TrialPoint(0, 0.5, "all", "none", False),
    TrialPoint(1, 0.3, "layer1", "none", False),
    TrialPoint(2, 0.4, "head", "reverse", True),
    TrialPoint(3, None, "layer2", "multi", False),
    TrialPoint(5, None, "layer2", "multi", True),
]


def drawn(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    assert plt.get_fignums() == []
    return figure


def labels(ticks: list) -> list[str]:
    return [tick.get_text() for tick in ticks]


def offsets(axes: Axes) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for series in axes.collections for x, y in np.asarray(series.get_offsets())}


def test_study_overview_shows_the_finished_and_the_pruned_trials() -> None:
    figure = drawn(study_overview(POINTS, "kappa", "quickstart"))
    history = figure.axes[0]
    finished, pruned = history.collections
    assert finished.get_offsets().tolist() == [[0, 0.5], [1, 0.3], [4, 0.7]]
    assert pruned.get_offsets().tolist() == [[2, 0.4]]
    assert figure.get_suptitle() == "quickstart"
    assert history.get_ylabel() == "validation kappa"
    assert labels(history.get_legend().get_texts()) == ["finished", "pruned, last value", "best so far"]


def test_study_overview_shows_the_best_so_far_of_the_finished_trials() -> None:
    history = drawn(study_overview(POINTS, "kappa", "quickstart")).axes[0]
    assert [line.get_xydata().tolist() for line in history.lines] == [[[0, 0.5], [1, 0.5], [4, 0.7]]]


def test_study_overview_sorts_what_was_tuned_by_its_best_value() -> None:
    masks = drawn(study_overview(POINTS, "kappa", "quickstart")).axes[1]
    assert labels(masks.get_yticklabels()) == ["layer2", "layer1", "all", "head"]
    assert offsets(masks) == {(0.3, 1), (0.5, 2), (0.4, 3), (0.7, 3)}


def test_study_overview_lists_the_pretext_tasks_with_none_first() -> None:
    points = [*POINTS, *(TrialPoint(6 + i, 0.1, "all", name, False) for i, name in enumerate("hgfedcba"))]
    legend = drawn(study_overview(points, "f1", "quickstart")).axes[1].get_legend()
    assert legend.get_title().get_text() == "pretext task"
    assert labels(legend.get_texts()) == ["none", *"abcdefgh", "multi", "reverse"]


@pytest.mark.parametrize(
    ("point", "shown"),
    [(TrialPoint(0, None, "all", "none", False), set()), (TrialPoint(0, 0.4, "all", "none", True), {(0.0, 0.4)})],
    ids=["failed", "pruned"],
)
def test_study_overview_can_be_drawn_before_a_trial_has_finished(
    point: TrialPoint, shown: set[tuple[float, float]]
) -> None:
    history, masks = drawn(study_overview([point], "kappa", "quickstart")).axes
    assert offsets(history) == shown
    assert len(history.lines) == 0
    assert labels(masks.get_yticklabels()) == ["all"]


@pytest.mark.parametrize(
    "trials",
    [
        1,
        6,
    ],
)
def test_study_overview_has_whole_trials_on_the_axis(trials: int) -> None:
    history = drawn(study_overview(POINTS[:trials], "kappa", "quickstart")).axes[0]
    assert_array_equal(history.get_xticks(), np.round(history.get_xticks()))


def searched(points: list[TrialPoint]) -> list[TrialPoint]:
    """The same trials, with what a study would have searched."""
    return [replace(p, searched={"tuning": p.tuning, "learning_rate": 10.0**-p.number, "seed": 1.0}) for p in points]


def test_a_study_has_every_chart_that_there_is_ground_for() -> None:
    charts = study_charts(searched(POINTS), {"tuning": 0.7, "learning_rate": 0.3}, "kappa")
    assert list(charts) == [
        "optimisation_history",
        "parameter_importances",
        "score_by_mask",
        "pretext_tasks",
        "parallel_coordinates",
    ]
    for chart in charts.values():
        drawn(chart)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], []),
        ([TrialPoint(0, 0.4, "all", "none", True)], []),
        (searched(POINTS[1:2]), ["optimisation_history"]),
        (searched(POINTS[1:3]), ["optimisation_history", "score_by_mask", "parallel_coordinates"]),
        (
            [TrialPoint(0, 0.4, "all", "none", False), TrialPoint(1, 0.4, "all", "multi", True)],
            ["optimisation_history", "pretext_tasks"],
        ),
    ],
    ids=["nothing", "pruned", "one", "one pretext task", "one mask"],
)
def test_charts_without_ground_are_left_out(points: list[TrialPoint], expected: list[str]) -> None:
    assert list(study_charts(points, {}, "kappa")) == expected


def test_importances_are_bars_the_most_important_on_top() -> None:
    (axes,) = drawn(study_charts(POINTS, {"tuning": 0.7, "pretext": 0.3}, "f1")["parameter_importances"]).axes
    assert labels(axes.get_yticklabels()) == ["pretext", "tuning"]
    assert [bar.get_width() for bar in axes.patches] == [0.3, 0.7]
    assert axes.get_xlabel() == "share of the differences in f1"


def test_pretext_tasks_are_compared_with_the_median_of_what_finished() -> None:
    (axes,) = drawn(study_charts(POINTS, {}, "kappa")["pretext_tasks"]).axes
    assert labels(axes.get_yticklabels()) == ["multi", "none", "reverse"]
    assert offsets(axes) == {(0.5, 1), (0.3, 1), (0.7, 2), (0.4, 2)}
    assert [line.get_xdata()[0] for line in axes.lines] == [0.4, 0.7]


def test_parallel_coordinates_show_what_differs_among_finished_trials_on_scales_from_0_to_1() -> None:
    axes = drawn(study_charts(searched(POINTS), {}, "kappa")["parallel_coordinates"]).axes[0]
    assert labels(axes.get_xticklabels()) == ["tuning", "learning_rate", "kappa"]
    (lines,) = axes.collections
    heights = {
        round(float(value), 2): segment[:, 1].tolist()
        for value, segment in zip(lines.get_array(), lines.get_segments(), strict=True)
    }
    assert heights[0.7] == pytest.approx([0.5, 0, 1])  # trial 4: head, the least learning rate, the best value
    assert heights[0.5] == pytest.approx([0, 1, 0.5])  # trial 0: all
    assert heights[0.3] == pytest.approx([1, 0.75, 0])  # trial 1: layer1
