"""Figures of a report: at most five, small enough for a repository."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sslwear.data.sources.raw import natural
from sslwear.evaluation.comparison import Comparison, Summary
from sslwear.reports.plain_text import any_letters, plain
from sslwear.reports.study_figures import groups_chart
from sslwear.reports.study_report import TrialPoint
from sslwear.reports.training_figures import BLUE, COLOURS, GREY, learning_curves
from sslwear.training import EpochRecord

MASKS, PRETEXT, DIFFERENCES, CURVES = "masks.png", "pretext_tasks.png", "participants.png", "learning_curves.png"
CONFUSION = "confusion.png"
NAMES = (MASKS, PRETEXT, DIFFERENCES, CURVES, CONFUSION)
MOST_BYTES = 60_000
RESOLUTIONS = (110, 90, 70, 50, 35)
"""Dots per inch; the first one that gives a small file is used."""
MAX_COLOURED = len(COLOURS)
"""Maximum number of participants with a colour each."""


@dataclass(frozen=True)
class MethodPoint:
    """An evaluated network in a figure.

    Attributes:
        summary: its scores.
        tuning: its tuning strategy.
        pretext: its pretext task.
    """

    summary: Summary
    tuning: str
    pretext: str


def report_pictures(
    methods: Mapping[str, Sequence[MethodPoint]],
    points: Sequence[TrialPoint],
    comparisons: Mapping[str, Sequence[Comparison]],
    curves: Sequence[EpochRecord],
    best_epoch: int,
    score: str,
) -> dict[str, Figure]:
    """Figures of a report by file name; figures without data are left out.

    Tuning strategies and pretext tasks are compared by the evaluated networks, or by the trials of the search if all
    evaluated networks have the same one.

    Args:
        methods: evaluated networks, by title of their panel.
        points: trials of the search.
        comparisons: comparisons with the reference, by title of their panel.
        curves: epochs of one training; empty if they are not known.
        best_epoch: the epoch whose weights were kept.
        score: name of the score.
    """
    shown = [point for point in points if point.value is not None]
    pictures = {}
    for name, by in ((MASKS, "tuning"), (PRETEXT, "pretext")):
        varied = {title: found for title, found in methods.items() if len({getattr(one, by) for one in found}) > 1}
        if varied:
            pictures[name] = effect_figure(varied, by, score)
        elif len({getattr(point, by) for point in shown}) > 1:
            pictures[name] = groups_chart(shown, by, score)
    if found := {title: rows for title, rows in comparisons.items() if rows}:
        pictures[DIFFERENCES] = differences_figure(found, score)
    if curves:
        pictures[CURVES] = learning_curves(curves, best_epoch, score)
    return pictures


def effect_figure(methods: Mapping[str, Sequence[MethodPoint]], by: str, score: str) -> Figure:
    """Draw means over test participants, with intervals if known, in rows by one property and colours by the other.

    Args:
        methods: networks, by title of their panel.
        by: property of the rows, ``tuning`` or ``pretext``; the row with the highest mean is on top.
        score: name of the score.
    """
    colour = "pretext" if by == "tuning" else "tuning"
    rows = {title: _ordered(found, by, score) for title, found in methods.items()}
    kinds = sorted({getattr(one, colour) for found in methods.values() for one in found})
    shades = {kind: COLOURS[i % len(COLOURS)] for i, kind in enumerate(kinds)}
    heights = [len(names) + 1 for names in rows.values()]
    figure = Figure(figsize=(8, 1.2 + 0.45 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(rows), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, (title, found) in zip(panels, methods.items(), strict=True):
        for place, name in enumerate(rows[title]):
            mine = [one for one in found if getattr(one, by) == name]
            for one, offset in zip(mine, np.linspace(-0.2, 0.2, len(mine)) if len(mine) > 1 else [0.0], strict=True):
                interval, shade = one.summary.scores[score], shades[getattr(one, colour)]
                if interval.known:
                    axes.plot([interval.low, interval.high], [place + offset] * 2, color=shade, linewidth=2)
                hollow = "white" if one.summary.transductive else shade
                form = "s" if one.summary.supervised else "o"
                axes.scatter([interval.mean], [place + offset], color=shade, facecolor=hollow, marker=form, zorder=3)
        axes.set_yticks(range(len(rows[title])), rows[title])
        axes.set_ylim(len(rows[title]) - 0.5, -0.5)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    for kind in kinds:
        panels[0].scatter([], [], color=shades[kind], label=kind)
    if any(one.summary.transductive for found in methods.values() for one in found):
        panels[0].scatter([], [], color="black", facecolor="white", label="hollow: transductive")
    if any(one.summary.supervised for found in methods.values() for one in found):
        panels[0].scatter([], [], color="black", marker="s", label="square: supervised pre-training")
    labels = {"tuning": "tuning", "pretext": "pretext task"}
    panels[0].legend(title=labels[colour], frameon=False, fontsize=8, bbox_to_anchor=(1, 1), loc="upper left")
    known = any(one.summary.scores[score].known for found in methods.values() for one in found)
    panels[-1].set_xlabel(f"test {score}: mean over participants{' and 95 % interval' if known else ''}")
    return figure


def _ordered(methods: Sequence[MethodPoint], by: str, score: str) -> list[str]:
    def best(name: str) -> float:
        return max(one.summary.scores[score].mean for one in methods if getattr(one, by) == name)

    return sorted({getattr(one, by) for one in methods}, key=best, reverse=True)


def differences_figure(comparisons: Mapping[str, Sequence[Comparison]], score: str) -> Figure:
    """Draw each participant's difference from the reference, one row a method, with the mean and its 95 % interval.

    Args:
        comparisons: comparisons with the reference, by title of their panel.
        score: name of the score.
    """
    rows = [len(found) for found in comparisons.values()]
    figure = Figure(figsize=(8, 1.2 + sum(0.5 * count + 0.9 for count in rows)), layout="constrained")
    panels = figure.subplots(len(rows), 1, squeeze=False, sharex=True, height_ratios=[n + 1 for n in rows])[:, 0]
    for axes, (title, found) in zip(panels, comparisons.items(), strict=True):
        _panel(axes, found)
        axes.set_title(title, fontsize=10)
    known = any(one.found.interval.known for found in comparisons.values() for one in found)
    bars = "line: mean; bar: 95 % interval" if known else "line: mean"
    panels[-1].set_xlabel(f"difference in {score} from the reference\n(points: participants; {bars})")
    return figure


def _panel(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    people = sorted({one for found in comparisons for one in found.each.index}, key=lambda one: natural(str(one)))
    coloured = 0 < len(people) <= MAX_COLOURED
    for place, person in enumerate(people):
        values = [(found.each[person], row) for row, found in enumerate(comparisons) if person in found.each.index]
        # at different heights, so that equal values stay visible
        spread = 0.3 * (place / max(1, len(people) - 1) - 0.5)
        colour = COLOURS[place % len(COLOURS)] if coloured else BLUE
        xs, ys = [x for x, _ in values], [row + spread for _, row in values]
        axes.scatter(xs, ys, s=16, color=colour, label=plain(person) if coloured else None, zorder=3)
    for row, found in enumerate(comparisons):
        interval = found.found.interval
        if interval.known:
            axes.plot([interval.low, interval.high], [row, row], color=GREY, linewidth=5, alpha=0.6, zorder=1)
        axes.plot([interval.mean] * 2, [row - 0.25, row + 0.25], color="black", linewidth=1.5, zorder=2)
    axes.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks(range(len(comparisons)), [plain(found.summary.label) for found in comparisons])
    axes.set_ylim(len(comparisons) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if coloured:
        axes.legend(title="participant", frameon=False, fontsize=8, bbox_to_anchor=(1, 1), loc="upper left", ncols=2)


def small_png(figure: Figure) -> bytes:
    """The figure as PNG below 60 kB, in the highest possible resolution."""
    content = b""
    for resolution in RESOLUTIONS:
        buffer = io.BytesIO()
        with any_letters():
            figure.savefig(buffer, format="png", dpi=resolution, metadata={"Software": None})
        content = buffer.getvalue()
        if len(content) < MOST_BYTES:
            break
    return content
