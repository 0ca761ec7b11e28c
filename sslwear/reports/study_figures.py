"""Chart of a study's scores by tuning strategy or pretext task, as a matplotlib figure without global state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sslwear.evaluation.participants import validation_title
from sslwear.reports.study_report import TrialPoint
from sslwear.reports.training_figures import COLOURS, GREY

NO_PRETEXT = "none"


def groups_chart(points: Sequence[TrialPoint], by: str, objective: str) -> Figure:
    """Draw values by tuning strategy, coloured by pretext task, or the other way round.

    Args:
        points: the trials.
        by: ``tuning`` or ``pretext``.
        objective: name of the score.
    """
    rows = len({getattr(point, by) for point in points})
    figure = Figure(figsize=(8, 1.8 + 0.36 * max(rows, 4)), layout="constrained")
    axes = figure.subplots()
    colour = "pretext" if by == "tuning" else "tuning"
    _groups(axes, points, by, colour, objective)
    for row, name in enumerate(_sorted_groups(points, by)):
        values = _values([p for p in _finished(points) if getattr(p, by) == name])
        if values:
            axes.plot([np.median(values)] * 2, [row - 0.3, row + 0.3], color=GREY, linewidth=2, zorder=1)
    title = "Score by tuning strategy" if by == "tuning" else "Pretext tasks compared"
    axes.set_title(f"{title} (bar: median of the finished trials)", fontsize=11)
    return figure


def _groups(axes: Axes, points: Sequence[TrialPoint], by: str, colour: str, objective: str) -> None:
    """Draw values in rows by one property and in colours by another."""
    rows = _sorted_groups(points, by)
    kinds = sorted({getattr(p, colour) for p in points}, key=lambda name: (name != NO_PRETEXT, name))
    for index, kind in enumerate(kinds):
        shade = COLOURS[index % len(COLOURS)]
        for pruned, marker in ((False, "o"), (True, "x")):
            mine = [p for p in points if p.value is not None and p.pruned == pruned and getattr(p, colour) == kind]
            heights = [rows.index(getattr(p, by)) for p in mine]
            axes.scatter(_values(mine), heights, color=shade, marker=marker)
        axes.scatter([], [], color=shade, label=kind)
    axes.set_yticks(range(len(rows)), rows)
    labels = {"pretext": "pretext task", "tuning": "tuning"}
    axes.set(xlabel=validation_title(objective), ylabel=labels[by])
    axes.grid(axis="y", color="#edf2f7", zorder=0)
    axes.set_axisbelow(True)
    axes.legend(title=labels[colour], frameon=False, bbox_to_anchor=(1, 1), loc="upper left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _sorted_groups(points: Sequence[TrialPoint], by: str) -> list[str]:
    """Names of the groups; the one with the best value is last, which is on top in the figure."""

    def best(name: str) -> float:
        return max((p.value for p in points if getattr(p, by) == name and p.value is not None), default=-np.inf)

    return sorted({getattr(p, by) for p in points}, key=best)


def _finished(points: Sequence[TrialPoint]) -> list[TrialPoint]:
    return sorted((p for p in points if p.value is not None and not p.pruned), key=lambda p: p.number)


def _values(points: Sequence[TrialPoint]) -> list[float]:
    return [p.value for p in points if p.value is not None]
