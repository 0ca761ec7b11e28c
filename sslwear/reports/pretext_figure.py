"""Figure of a window before and after a pretext task."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from sslwear.pretext.base import Example
from sslwear.reports.window_figure import AS_RECORDED, Panel, window_figure

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
    made = [Panel(example.title, example.window, window, example.hidden) for example in examples]
    panels = [Panel(AS_RECORDED, window, window), *made]
    rows = len(panels) if len(panels) <= ONE_COLUMN else math.ceil(len(panels) / 2)
    columns = [panels[first : first + rows] for first in range(0, len(panels), rows)]
    return window_figure(columns, rate_hz, title, width=9 if len(columns) == 1 else 13)
