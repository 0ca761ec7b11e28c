"""Figures of windows: as recorded and in augmented views, and before and after a pretext task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sslwear.pretext.base import Example

AXES = (("x", "#2b6cb0"), ("y", "#dd6b20"), ("z", "#2f855a"))
"""The sensor's axes and their colours."""
SHADE = "#e2e8f0"
AS_RECORDED = "as recorded"
"""Title of a window that was not changed."""
ROW_INCHES = 1.7
WIDTHS, WIDEST = {1: 9, 2: 13}, 16
"""Width of a figure in inches for a number of columns, and for more columns."""
ONE_COLUMN = 6
"""Maximum number of panels in one column of a figure of a pretext task; more panels are in two columns."""


@dataclass(frozen=True)
class Panel:
    """A window in a figure.

    Attributes:
        title: title of the panel.
        window: window (3, samples) in g.
        recorded: window as recorded (3, samples), which is dotted where samples are hidden.
        hidden: samples that are shaded (samples,), or None.
    """

    title: str
    window: Tensor
    recorded: Tensor
    hidden: Tensor | None = None


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
    return _figure(columns, rate_hz, title)


def pretext_figure(window: Tensor, examples: Sequence[Example], rate_hz: float, title: str) -> Figure:
    """Draw a recorded window and the windows that a pretext task makes from it, on the same scale.

    Hidden samples are shaded; their recorded values are dotted.

    Args:
        window: recorded window (3, samples) in g.
        examples: windows that the task makes from it.
        rate_hz: sampling rate in Hz.
        title: title of the figure.
    """
    made = [Panel(example.title, example.window, window, example.hidden) for example in examples]
    panels = [Panel(AS_RECORDED, window, window), *made]
    rows = len(panels) if len(panels) <= ONE_COLUMN else math.ceil(len(panels) / 2)
    columns = [panels[first : first + rows] for first in range(0, len(panels), rows)]
    return _figure(columns, rate_hz, title)


def _figure(columns: Sequence[Sequence[Panel]], rate_hz: float, title: str) -> Figure:
    """Draw panels on the same scale.

    Args:
        columns: panels of each column, from top to bottom.
        rate_hz: sampling rate in Hz.
        title: title of the figure.
    """
    rows = max(map(len, columns))
    figure = Figure(figsize=(WIDTHS.get(len(columns), WIDEST), 0.8 + ROW_INCHES * rows), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(rows, len(columns), sharex=True, sharey=True, squeeze=False)
    for places, panels in zip(grid.T, columns, strict=True):
        for axes, panel in zip(places, panels, strict=False):
            _draw(axes, panel, rate_hz)
        for axes in places[len(panels) :]:
            axes.set_axis_off()
        lowest = places[len(panels) - 1]
        lowest.set_xlabel("seconds")
        lowest.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("g")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(AXES), frameon=False)
    return figure


def _draw(axes: Axes, panel: Panel, rate_hz: float) -> None:
    time = np.arange(panel.window.shape[-1]) / rate_hz
    for index, (name, colour) in enumerate(AXES):
        axes.plot(time, panel.window[index].numpy(), color=colour, linewidth=1.2, label=name)
    if panel.hidden is not None:
        for first, last in _runs(panel.hidden):
            axes.axvspan((first - 0.5) / rate_hz, (last + 0.5) / rate_hz, color=SHADE, zorder=0, linewidth=0)
            within = slice(first, last + 1)
            for index, (_, colour) in enumerate(AXES):
                axes.plot(time[within], panel.recorded[index, within].numpy(), ":", color=colour, linewidth=1)
    axes.set_title(panel.title, loc="left", fontsize=10)
    axes.set_xlim(0, time[-1])
    axes.spines[["top", "right"]].set_visible(False)


def _runs(hidden: Tensor) -> list[tuple[int, int]]:
    """First and last sample of each hidden segment."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden.numpy().astype(int), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
