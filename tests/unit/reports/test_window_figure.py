"""What the pictures of a pretext task and of augmentations show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from sslwear.pretext.base import Example
from sslwear.reports.window_figure import augment_figure, pretext_figure

WINDOWS = torch.arange(60.0).view(2, 3, 10)
WINDOW = torch.arange(30.0).view(3, 10)
HIDDEN = torch.tensor([0, 1, 1, 0, 0, 0, 1, 0, 0, 1]).bool()


def picture(*examples: Example) -> Figure:
    figure = pretext_figure(WINDOW, examples, 2.0, "name: what it asks")
    figure.draw_without_rendering()
    return figure


def test_the_window_stands_as_it_was_recorded_above_what_is_made_of_it() -> None:
    figure = picture(Example("turned", WINDOW.flip(1)))
    before, after = figure.axes
    assert figure.get_suptitle() == "name: what it asks"
    assert [axes.get_title(loc="left") for axes in (before, after)] == ["as recorded", "turned"]
    for axes, window in ((before, WINDOW), (after, WINDOW.flip(1))):
        assert [line.get_label() for line in axes.lines] == ["x", "y", "z"]
        for line, signal in zip(axes.lines, window, strict=True):
            assert line.get_xdata().tolist() == [i / 2 for i in range(10)]
            assert line.get_ydata().tolist() == signal.tolist()
    assert before.get_ylim() == after.get_ylim()


def test_hidden_stretches_are_shaded_and_what_was_there_is_dotted() -> None:
    before, after = picture(Example("hidden", torch.where(HIDDEN, 0, WINDOW), HIDDEN)).axes
    assert len(before.patches) == 0
    shaded = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in after.patches]
    assert np.allclose(shaded, [(0.25, 1.25), (2.75, 3.25), (4.25, 4.75)])
    dotted = [line for line in after.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata().tolist() for line in dotted[:3]] == [[1, 2], [11, 12], [21, 22]]
    assert len(dotted) == 9


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 1), (6, 2), (9, 2)])
def test_many_examples_stand_in_two_columns_and_each_has_its_seconds_below(count: int, columns: int) -> None:
    figure = picture(*(Example(f"level {i}", WINDOW) for i in range(count)))
    drawn = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in sorted(drawn, key=_place)] == [
        "as recorded",
        *(f"level {i}" for i in range(count)),
    ]
    assert len({round(axes.get_position().x0, 2) for axes in drawn}) == columns
    assert sum(axes.get_xlabel() == "seconds" for axes in drawn) == columns


def _place(axes: object) -> tuple[float, float]:
    box = axes.get_position()  # type: ignore[attr-defined]
    return round(box.x0, 2), -box.y0


def test_each_window_has_a_column_with_its_views_below_it() -> None:
    views = [WINDOWS + 1, WINDOWS + 2]
    figure = augment_figure({7: WINDOWS[0], 4: WINDOWS[1]}, views, 2.0, "augment: x")
    figure.draw_without_rendering()
    assert figure.get_suptitle() == "augment: x"
    drawn = [axes for axes in figure.axes if axes.axison]
    columns = {axes.get_position().x0 for axes in drawn}
    assert len(columns) == 2
    for column, number, window in zip(sorted(columns), (7, 4), WINDOWS, strict=True):
        panels = sorted((a for a in drawn if a.get_position().x0 == column), key=lambda a: -a.get_position().y0)
        titles = [axes.get_title(loc="left") for axes in panels]
        assert titles == [f"window {number} as recorded", "view 1", "view 2"]
        for added, axes in enumerate(panels):
            for line, signal in zip(axes.lines, window + added, strict=True):
                assert line.get_xdata().tolist() == [i / 2 for i in range(10)]
                assert line.get_ydata().tolist() == signal.tolist()
        assert [axes.get_xlabel() for axes in panels] == ["", "", "seconds"]
    assert len({axes.get_ylim() for axes in drawn}) == 1
