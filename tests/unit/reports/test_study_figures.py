"""Figures of a study show the given trials."""

import io

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from sslwear.reports.study_figures import TrialPoint, groups_chart, study_overview

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


def test_pretext_tasks_are_compared_with_the_median_of_what_finished() -> None:
    (axes,) = drawn(groups_chart(POINTS, "pretext", "kappa")).axes
    assert labels(axes.get_yticklabels()) == ["multi", "none", "reverse"]
    assert offsets(axes) == {(0.5, 1), (0.3, 1), (0.7, 2), (0.4, 2)}
    assert [line.get_xdata()[0] for line in axes.lines] == [0.4, 0.7]
