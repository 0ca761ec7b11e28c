"""Figure of windows as recorded and in augmented views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from sslwear.reports.window_figure import AS_RECORDED, Panel, window_figure

WIDTHS = {1: 9, 2: 13}
"""Width of the figure in inches for a number of columns; 16 for more."""


def augment_figure(windows: Mapping[int, Tensor], views: Sequence[Tensor], rate_hz: float, title: str) -> Figure:
    """Draw windows, one in each column, and their augmented views below, on the same scale.

    Args:
        windows: recorded windows (3, samples) in g by their number.
        views: all windows (windows, 3, samples) in each view, from view 1 on.
        rate_hz: sampling rate in Hz.
        title: title of the figure.
    """
    columns = []
    for place, (number, window) in enumerate(windows.items()):
        changed = [Panel(f"view {view}", made[place], window) for view, made in enumerate(views, 1)]
        columns.append([Panel(f"window {number} {AS_RECORDED}", window, window), *changed])
    return window_figure(columns, rate_hz, title, WIDTHS.get(len(columns), 16))
