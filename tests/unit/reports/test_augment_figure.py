"""What the picture of augmentations shows."""

from __future__ import annotations

import torch

from sslwear.reports.augment_figure import augment_figure

WINDOWS = torch.arange(60.0).view(2, 3, 10)


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
