"""Figure of a window before and after a pretext task."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sslwear.pretext.base import Example

AXES = (("x", "#2b6cb0"), ("y", "#dd6b20"), ("z", "#2f855a"))
"""The sensor's axes and their colours."""
SHADE = "#e2e8f0"
ONE_COLUMN = 6
"""Maximum number of panels in one column, the recorded window included; more panels are in two columns."""


def pretext_figure(window: Tensor, examples: Sequence[Example], rate_hz: float, title: str) -> Figure:
    """Draw a recorded window and the windows that a pretext task makes from it, on the same scale.

    Hidden samples are shaded; their recorded values are dotted.

    Args:
        window: recorded window (3, samples) in g.
        examples: windows that the task makes from it.
        rate_hz: sampling rate in Hz.
        title: title of the figure.
    """
    panels = [Example("as recorded", window), *examples]
    columns = 1 if len(panels) <= ONE_COLUMN else 2
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(9 if columns == 1 else 13, 0.8 + 1.7 * rows), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    places = list(grid.T.flat)
    for axes, panel in zip(places, panels, strict=False):
        _draw(axes, panel, window, rate_hz)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes in (*grid[-1], *(places[len(panels) - 1 : len(panels)])):
        axes.set_xlabel("seconds")
        axes.tick_params(labelbottom=True)
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(AXES), frameon=False)
    return figure


def _draw(axes: Axes, panel: Example, recorded: Tensor, rate_hz: float) -> None:
    time = np.arange(recorded.shape[-1]) / rate_hz
    for index, (name, colour) in enumerate(AXES):
        axes.plot(time, panel.window[index].numpy(), color=colour, linewidth=1.2, label=name)
    if panel.hidden is not None:
        for first, last in _runs(panel.hidden):
            axes.axvspan((first - 0.5) / rate_hz, (last + 0.5) / rate_hz, color=SHADE, zorder=0, linewidth=0)
            within = slice(first, last + 1)
            for index, (_, colour) in enumerate(AXES):
                axes.plot(time[within], recorded[index, within].numpy(), ":", color=colour, linewidth=1)
    axes.set_title(panel.title, loc="left", fontsize=10)
    axes.set(ylabel="g", xlim=(0, time[-1]))
    axes.spines[["top", "right"]].set_visible(False)


def _runs(hidden: Tensor) -> list[tuple[int, int]]:
    """First and last sample of each hidden segment."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden.numpy().astype(int), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
