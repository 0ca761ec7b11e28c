"""Charts of a study, one picture each; matplotlib figures without global state.

A study that gives a chart no ground (too few trials, one pretext task only) goes without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sslwear.reports.training_figures import BLUE, COLOURS, GREY, ORANGE

NO_PRETEXT = "none"
COLOUR_MAP = "viridis"


@dataclass(frozen=True)
class TrialPoint:
    """One trial as a study's charts show it.

    Attributes:
        number: the trial's.
        value: the objective; of a pruned trial the last one that it reported; None where it has none.
        tuning: what learnt.
        pretext: the pretext task.
        pruned: whether it was ended early.
        searched: what the study searches, by name: numbers on a logarithmic scale, or choices as text.
    """

    number: int
    value: float | None
    tuning: str
    pretext: str
    pruned: bool
    searched: Mapping[str, float | str] = field(default_factory=dict)


def study_charts(points: Sequence[TrialPoint], importances: Mapping[str, float], objective: str) -> dict[str, Figure]:
    """All charts for which the trials give ground, by a name that says what is on them.

    Args:
        points: the trials.
        importances: of what was searched, adding up to 1; empty where there are too few trials to say.
        objective: name of the score.
    """
    finished, shown = _finished(points), [point for point in points if point.value is not None]
    charts = {}
    if finished:
        charts["optimisation_history"] = history_chart(points, objective)
    if importances:
        charts["parameter_importances"] = importances_chart(importances, objective)
    if len({point.tuning for point in shown}) > 1:
        charts["score_by_mask"] = groups_chart(points, "tuning", objective)
    if len({point.pretext for point in shown}) > 1:
        charts["pretext_tasks"] = groups_chart(points, "pretext", objective)
    if len(finished) > 1 and len(_varied(finished)) > 1:
        charts["parallel_coordinates"] = parallel_chart(points, objective)
    return charts


def study_overview(points: Sequence[TrialPoint], objective: str, title: str) -> Figure:
    """Draw a study at a glance: every trial's value with the best so far, and values by what was tuned.

    Args:
        points: the trials; pruned ones show the last value that they reported.
        objective: name of the score.
        title: stands above.
    """
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.suptitle(title)
    history, masks = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _history(history, points, objective)
    _groups(masks, points, "tuning", "pretext", objective)
    return figure


def history_chart(points: Sequence[TrialPoint], objective: str) -> Figure:
    """Draw every trial's value, and the best so far."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    _history(figure.subplots(), points, objective)
    return figure


def importances_chart(importances: Mapping[str, float], objective: str) -> Figure:
    """Draw how much of the differences between trials each searched setting accounts for."""
    figure = Figure(figsize=(7, 1.4 + 0.4 * len(importances)), layout="constrained")
    axes = figure.subplots()
    names = sorted(importances, key=lambda name: importances[name])
    bars = axes.barh(names, [importances[name] for name in names], color=BLUE)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel=f"share of the differences in {objective}", xlim=(0, 1.08), title="Parameter importances")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def groups_chart(points: Sequence[TrialPoint], by: str, objective: str) -> Figure:
    """Draw values by what was tuned, coloured by pretext task, or by pretext task, coloured by what was tuned.

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
    title = "Score by what was tuned" if by == "tuning" else "Pretext tasks compared"
    axes.set_title(f"{title} (bar: median of the finished trials)", fontsize=11)
    return figure


def parallel_chart(points: Sequence[TrialPoint], objective: str) -> Figure:
    """Draw each finished trial as a line through what it was given, coloured by its value, the best on top."""
    finished = sorted(_finished(points), key=lambda point: point.value or 0.0)
    names = _varied(finished)
    values = np.array(_values(finished))
    figure = Figure(figsize=(2.2 + 1.7 * (len(names) + 1), 4.6), layout="constrained")
    axes = figure.subplots()
    columns = [_column(axes, place, [point.searched[name] for point in finished]) for place, name in enumerate(names)]
    columns.append(_column(axes, len(names), values.tolist(), logarithmic=False))
    lines = [list(enumerate(heights)) for heights in zip(*columns, strict=True)]
    collection = LineCollection(lines, cmap=COLOUR_MAP, norm=Normalize(values.min(), values.max()), linewidths=1.6)
    collection.set_array(values)
    axes.add_collection(collection)
    figure.colorbar(collection, ax=axes, label=f"validation {objective}", pad=0.09)
    axes.set(xlim=(-0.35, len(names) + 0.45), ylim=(-0.05, 1.05), yticks=[], title="Finished trials")
    axes.set_xticks(range(len(names) + 1), [*names, objective])
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    return figure


def _column(axes: Axes, place: int, values: Sequence[float | str], logarithmic: bool = True) -> list[float]:
    """Draw one scale of a parallel-coordinates plot, and say how high on it each value lies, from 0 to 1."""
    axes.axvline(place, color=GREY, linewidth=0.8, zorder=0)
    if any(isinstance(value, str) for value in values):
        choices = sorted({str(value) for value in values})
        heights = {choice: i / max(1, len(choices) - 1) for i, choice in enumerate(choices)}
        for choice, height in heights.items():
            _scale_label(axes, place, height, choice)
        return [heights[str(value)] for value in values]
    numbers = np.array(values, float)
    scaled = np.log10(numbers) if logarithmic else numbers
    span = scaled.max() - scaled.min() or 1.0
    for height, value in ((0.0, numbers.min()), (1.0, numbers.max())):
        _scale_label(axes, place, height, f"{value:.2g}")
    return [float(height) for height in (scaled - scaled.min()) / span]


def _scale_label(axes: Axes, place: int, height: float, text: str) -> None:
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.5}
    axes.text(place + 0.04, height, text, fontsize=8, va="center", bbox=box, zorder=4)


def _history(axes: Axes, points: Sequence[TrialPoint], objective: str) -> None:
    finished = _finished(points)
    pruned = [p for p in points if p.value is not None and p.pruned]
    axes.scatter([p.number for p in finished], _values(finished), color=BLUE, label="finished")
    axes.scatter([p.number for p in pruned], _values(pruned), color=GREY, marker="x", label="pruned, last value")
    if finished:
        best = np.maximum.accumulate(_values(finished))
        axes.step([p.number for p in finished], best, where="post", color=ORANGE, label="best so far")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
    axes.set(xlabel="trial", ylabel=f"validation {objective}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)


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
    axes.set(xlabel=f"validation {objective}", ylabel=labels[by])
    axes.grid(axis="y", color="#edf2f7", zorder=0)
    axes.set_axisbelow(True)
    axes.legend(title=labels[colour], frameon=False, bbox_to_anchor=(1, 1), loc="upper left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _sorted_groups(points: Sequence[TrialPoint], by: str) -> list[str]:
    """Names of the groups, the one with the best value last, that is, on top."""

    def best(name: str) -> float:
        return max((p.value for p in points if getattr(p, by) == name and p.value is not None), default=-np.inf)

    return sorted({getattr(p, by) for p in points}, key=best)


def _finished(points: Sequence[TrialPoint]) -> list[TrialPoint]:
    return sorted((p for p in points if p.value is not None and not p.pruned), key=lambda p: p.number)


def _values(points: Sequence[TrialPoint]) -> list[float]:
    return [p.value for p in points if p.value is not None]


def _varied(points: Sequence[TrialPoint]) -> list[str]:
    """What was searched and differs among the trials."""
    names = points[0].searched if points else {}
    return [name for name in names if len({point.searched[name] for point in points}) > 1]
