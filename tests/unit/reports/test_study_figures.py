"""Figures of a study show the given trials."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from sslwear.reports.study_figures import groups_chart
from sslwear.reports.study_report import TrialPoint
from tests.unit.reports.conftest import drawn, labels

POINTS = [
    TrialPoint(4, 0.7, "head", "reverse", False),
    TrialPoint(0, 0.5, "all", "none", False),
    TrialPoint(1, 0.3, "layer1", "none", False),
    TrialPoint(2, 0.4, "head", "reverse", True),
    TrialPoint(3, None, "layer2", "multi", False),
    TrialPoint(5, None, "layer2", "multi", True),
]


def offsets(axes: Axes) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for series in axes.collections for x, y in np.asarray(series.get_offsets())}


def test_tuning_strategies_are_sorted_by_their_best_value() -> None:
    (axes,) = drawn(groups_chart(POINTS, "tuning", "kappa")).axes
    assert labels(axes.get_yticklabels()) == ["layer2", "layer1", "all", "head"]
    assert offsets(axes) == {(0.3, 1), (0.5, 2), (0.4, 3), (0.7, 3)}
    assert axes.get_xlabel() == "validation kappa"


def test_pretext_tasks_are_listed_with_none_first() -> None:
    points = [*POINTS, *(TrialPoint(6 + i, 0.1, "all", name, False) for i, name in enumerate("hgfedcba"))]
    legend = drawn(groups_chart(points, "tuning", "f1")).axes[0].get_legend()
    assert legend.get_title().get_text() == "pretext task"
    assert labels(legend.get_texts()) == ["none", *"abcdefgh", "multi", "reverse"]


@pytest.mark.parametrize(
    ("point", "shown"),
    [(TrialPoint(0, None, "all", "none", False), set()), (TrialPoint(0, 0.4, "all", "none", True), {(0.4, 0.0)})],
    ids=["failed", "pruned"],
)
def test_groups_can_be_drawn_before_a_trial_has_finished(point: TrialPoint, shown: set[tuple[float, float]]) -> None:
    (axes,) = drawn(groups_chart([point], "tuning", "kappa")).axes
    assert offsets(axes) == shown
    assert len(axes.lines) == 0
    assert labels(axes.get_yticklabels()) == ["all"]


def test_pretext_tasks_are_compared_with_the_median_of_what_finished() -> None:
    (axes,) = drawn(groups_chart(POINTS, "pretext", "kappa")).axes
    assert labels(axes.get_yticklabels()) == ["multi", "none", "reverse"]
    assert offsets(axes) == {(0.5, 1), (0.3, 1), (0.7, 2), (0.4, 2)}
    assert [line.get_xdata()[0] for line in axes.lines] == [0.4, 0.7]
