"""Bland-Altman figure: difference against mean of predicted and labelled minutes, one panel a class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sslwear.evaluation.agreement import LABELLED, PREDICTED, Agreement, Estimate, Group, LabelComparison, by_class
from sslwear.reports.plain_text import plain
from sslwear.reports.training_figures import BLUE, COLOURS, GREY

MOST_COLUMNS = 3
PANEL_IN, LEGEND_IN = (4.2, 3.2), 1.6


def bland_altman_figure(found: LabelComparison, everyone: Group, groups: Sequence[Group] = ()) -> Figure:
    """Draw a point for each participant, the bias and the limits of agreement, with bands for their intervals.

    Args:
        found: predictions beside labels.
        everyone: all participants.
        groups: groups with a colour each; empty for one colour.
    """
    agreements = by_class(found, everyone)
    columns = min(MOST_COLUMNS, len(agreements))
    rows = math.ceil(len(agreements) / columns)
    width = PANEL_IN[0] * columns + (LEGEND_IN if groups else 0)
    figure = Figure(figsize=(width, PANEL_IN[1] * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, agreement) in zip(panels, agreements.items(), strict=False):
        shown = groups or (everyone,)
        coloured = {member for group in groups for member in group.participants}
        if others := tuple(name for name in everyone.participants if groups and name not in coloured):
            shown = (*groups, Group(groups[0].by, "unknown", others))
        for place, group in enumerate(shown):
            table = group.of(found.minutes, name)
            x, y = table[PREDICTED].to_numpy(), table[LABELLED].to_numpy()
            colour = COLOURS[place % len(COLOURS)] if groups else BLUE
            axes.scatter((x + y) / 2, x - y, s=18, color=colour, label=plain(group.title), zorder=3)
        _lines(axes, agreement)
        axes.set_title(plain(name), fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(agreements) :]:
        axes.remove()
    figure.supxlabel(f"mean of predicted and labelled {found.unit}", fontsize=10)
    figure.supylabel("predicted - labelled", fontsize=10)
    if groups:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _lines(axes: Axes, found: Agreement) -> None:
    axes.axhline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    _line(axes, found.bias, "-")
    for limit in (found.lower, found.upper):
        _line(axes, limit, "--")


def _line(axes: Axes, at: Estimate, style: str) -> None:
    if np.isnan(at.value):
        return
    axes.axhline(at.value, color="black", linewidth=1.2, linestyle=style, zorder=2)
    place = (1.01, at.value)
    axes.annotate(f"{at.value:+.1f}", place, xycoords=("axes fraction", "data"), fontsize=8, va="center")
    if not np.isnan(at.low):
        axes.axhspan(at.low, at.high, color=GREY, alpha=0.3, linewidth=0, zorder=1)
