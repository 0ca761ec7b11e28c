"""Figures show what they are given: texts, ticks and series are checked, pixels are not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sslwear.reports.training_figures import confusion_figure, learning_curves, participants_figure
from sslwear.training import EpochRecord
from tests.unit.reports.conftest import drawn, labels

COUNTS = np.array([[8, 2, 0], [0, 5, 0], [0, 0, 0]])
NAMES = ("walk", "stairs", "sit")
HISTORY = [
    EpochRecord(1, 0.9, 0.8, {"kappa": 0.1, "f1": 0.2}, {}, 1.0),
    EpochRecord(2, 0.5, 0.6, {"kappa": 0.4, "f1": 0.5}, {}, 1.0),
    EpochRecord(3, 0.3, 0.7, {"kappa": 0.3, "f1": 0.6}, {}, 1.0),
]


def test_confusion_figure_writes_every_count_that_is_not_zero() -> None:
    axes = drawn(confusion_figure(COUNTS, NAMES, "participant m1")).axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "8", (1, 0): "2", (1, 1): "5"}


def test_confusion_figure_shades_by_the_share_of_the_true_class() -> None:
    axes = drawn(confusion_figure(COUNTS, NAMES, "participant m1")).axes[0]
    assert_allclose(axes.images[0].get_array(), [[0.8, 0.2, 0], [0, 1, 0], [0, 0, 0]])
    assert axes.images[0].get_clim() == (0, 1)
    assert {text.get_text(): text.get_color() for text in axes.texts} == {"8": "white", "2": "black", "5": "white"}


def test_confusion_figure_names_the_classes_on_both_axes() -> None:
    (axes,) = drawn(confusion_figure(COUNTS, NAMES, "participant m1")).axes
    assert labels(axes.get_xticklabels()) == labels(axes.get_yticklabels()) == list(NAMES)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("predicted", "true", "participant m1")


@pytest.mark.parametrize("names", [("no", "yes"), tuple(f"household chores, kind {i}" for i in range(12))])
def test_nothing_of_a_confusion_figure_is_cut_off(names: tuple[str, ...]) -> None:
    figure = drawn(confusion_figure(np.eye(len(names), dtype=np.int64), names, "participant m1"))
    (axes,) = figure.axes
    whole = figure.bbox
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label, axes.title):
        box = text.get_window_extent()
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, text
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, text


@pytest.mark.parametrize(("score", "values"), [("kappa", [0.1, 0.4, 0.3]), ("f1", [0.2, 0.5, 0.6])])
def test_learning_curves_show_losses_and_the_score_by_epoch(score: str, values: list[float]) -> None:
    losses, scores = drawn(learning_curves(HISTORY, 2, score)).axes
    series = {line.get_label(): line.get_xydata().tolist() for line in losses.lines}
    assert series["training"] == [[1, 0.9], [2, 0.5], [3, 0.3]]
    assert series["validation"] == [[1, 0.8], [2, 0.6], [3, 0.7]]
    assert labels(losses.get_legend().get_texts()) == ["training", "validation"]
    assert scores.lines[0].get_ydata().tolist() == values
    assert scores.get_ylabel() == f"validation {score}"


@pytest.mark.parametrize(("epochs", "mark"), [(60, "o"), (61, "None")])
def test_only_a_few_epochs_are_marked_one_by_one(epochs: int, mark: str) -> None:
    history = [replace(HISTORY[0], epoch=epoch) for epoch in range(1, epochs + 1)]
    losses, scores = drawn(learning_curves(history, 2, "kappa")).axes
    assert {line.get_marker() for line in (*losses.lines[:2], scores.lines[0])} == {mark}


def test_learning_curves_mark_the_epoch_that_was_kept() -> None:
    losses, scores = drawn(learning_curves(HISTORY, 2, "kappa")).axes
    assert [list(axes.lines[-1].get_xdata()) for axes in (losses, scores)] == [[2, 2], [2, 2]]
    assert [(text.get_text(), text.xy[0]) for text in scores.texts] == [("kept", 2)]


def test_learning_curves_show_chance_where_a_task_says_what_it_is() -> None:
    history = [replace(record, scores={**record.scores, "chance": 0.25}) for record in HISTORY]
    scores = drawn(learning_curves(history, 2, "kappa")).axes[1]
    assert scores.lines[1].get_ydata().tolist() == [0.25] * 3
    assert labels(scores.get_legend().get_texts()) == ["chance"]
    assert len(drawn(learning_curves(HISTORY, 2, "kappa")).axes[1].lines) == 2


@pytest.mark.parametrize(
    "epochs",
    [
        1,
        3,
    ],
)
def test_learning_curves_have_whole_epochs_on_the_axis(epochs: int) -> None:
    for axes in drawn(learning_curves(HISTORY[:epochs], 1, "kappa")).axes:
        assert_array_equal(axes.get_xticks(), np.round(axes.get_xticks()))


def test_participants_figure_has_a_box_and_a_point_for_everybody_in_whom_a_score_is_defined() -> None:
    scores = {"kappa": [0.2, np.nan, 0.4, 0.6, 0.8], "f1": [0.5] * 5, "recall": [np.nan] * 5}
    (axes,) = drawn(participants_figure(scores, "validation participants")).axes
    boxes, medians, points = axes.collections
    assert labels(axes.get_xticklabels()) == ["kappa", "f1", "recall"]
    assert axes.get_title() == "validation participants"
    heights = [y for x, y in points.get_offsets() if x < 0.5]
    assert_allclose(heights, [0.2, 0.4, 0.6, 0.8])
    assert len(points.get_offsets()) == 9
    box, below, above = boxes.get_segments()[:3]
    assert_allclose(sorted(set(box[:, 1].round(6))), [0.35, 0.65])
    assert_allclose([below[0, 1], above[-1, 1]], [0.2, 0.8])
    assert_allclose([median[0, 1] for median in medians.get_segments()], [0.5, 0.5])


@pytest.mark.parametrize("lowest", [0.3, -0.4])
def test_participants_figure_shows_scores_below_zero_too(lowest: float) -> None:
    (axes,) = drawn(participants_figure({"kappa": [lowest, 0.9]}, "validation participants")).axes
    assert axes.get_ylim()[0] < min(lowest, 0)
