"""Figures of a study as it is told, see `sslwear.reports.study_report`; matplotlib figures without global state.

The page of a study shows them, and the study's run has them as PNG. `study_pictures` gives those that have data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sslwear.evaluation.intervals import Interval
from sslwear.reports.plain_text import plain
from sslwear.reports.study_report import GROUPED, StudyReport
from sslwear.reports.study_text import ROLES, score_rows
from sslwear.reports.training_figures import BLUE, GREY, ORANGE
from sslwear.reports.trial_figures import (
    BASELINE_COLOUR,
    PALE,
    WIDTH_IN,
    curves_figure,
    draw_trials,
    finite,
    number,
    pareto_figure,
    short,
    shown_curves,
    shown_trials,
    trials_figure,
    trials_height,
)

DEFAULT_COLOUR = "#6b46c1"
MOST_NAMED = 60
"""Maximum number of participants whose names are written on an axis."""
TRIALS, GROUPS, PEOPLE = "trials", "groups", "participants"
CURVES, IMPORTANCES, PARETO = "learning_curves", "importances", "pareto"


def study_pictures(report: StudyReport) -> dict[str, Figure]:
    """Figures of a study by name, in the order in which they are told; those without data are left out."""
    drawn: dict[str, tuple[bool, Callable[[StudyReport], Figure]]] = {
        TRIALS: (bool(shown_trials(report)), trials_figure),
        GROUPS: (bool(report.grouped), groups_figure),
        PEOPLE: (bool(_sorted_people(_trial_scores(report))), people_figure),
        CURVES: (bool(shown_curves(report)), curves_figure),
        IMPORTANCES: (bool(report.importances), importances_figure),
        PARETO: (bool(report.second and report.front), pareto_figure),
    }
    return {name: draw(report) for name, (known, draw) in drawn.items() if known}


def study_overview(report: StudyReport) -> Figure:
    """Draw a study on one figure: means of the trials, and means by tuning strategy and pretext task if they vary."""
    groups = report.grouped
    if not groups:
        return trials_figure(report, f"Study {report.name}")
    rows = [len(found) + 1.5 for found in groups.values()]
    height = max(trials_height(report), 0.8 + 0.36 * sum(rows))
    figure = Figure(figsize=(1.7 * WIDTH_IN, height), layout="constrained")
    figure.suptitle(plain(f"Study {report.name}"))
    left, right = figure.subfigures(1, 2, squeeze=False)[0]
    draw_trials(left.subplots(), report)
    panels = right.subplots(len(groups), 1, squeeze=False, sharex=True, height_ratios=rows)[:, 0].tolist()
    _draw_groups(panels, groups, report)
    return figure


def groups_figure(report: StudyReport) -> Figure:
    """Draw the means of the trials with the same tuning strategy, and with the same pretext task, with intervals."""
    groups = report.grouped
    rows = [len(found) + 1.5 for found in groups.values()]
    figure = Figure(figsize=(WIDTH_IN, 0.6 + 0.3 * sum(rows)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, sharex=True, height_ratios=rows)[:, 0].tolist()
    _draw_groups(panels, groups, report)
    return figure


def _draw_groups(panels: Sequence[Axes], groups: Mapping[str, Mapping[str, Interval]], report: StudyReport) -> None:
    for axes, (by, found) in zip(panels, groups.items(), strict=True):
        _draw_intervals(axes, found)
        axes.set_title(f"by {GROUPED[by]}", fontsize=10, loc="left")
    known = any(finite(one.low) for found in groups.values() for one in found.values())
    panels[-1].set_xlabel(f"{report.score}, mean{' and 95 % interval' if known else ''} over participants")


def _draw_intervals(axes: Axes, found: Mapping[str, Interval]) -> None:
    """Draw a row for each name, the first one on top: the mean, and the limits where they are known."""
    for place, one in enumerate(found.values()):
        if finite(one.low) and finite(one.high):
            axes.plot([one.low, one.high], [place, place], color=BLUE, linewidth=2, alpha=0.75)
    axes.scatter([one.mean for one in found.values()], range(len(found)), s=30, facecolor=BLUE, zorder=3)
    axes.set_yticks(range(len(found)), [short(name) for name in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def people_figure(report: StudyReport) -> Figure:
    """Draw the scores of each participant under the winner, the file's own settings and the baseline.

    Participants are sorted by the winner's score. Test participants have a panel of their own.
    """
    methods = _methods(report)
    panels = {
        "judged in the search": [one.scores for one in methods],
        "test participants": [one.test_scores for one in methods],
    }
    names = {title: found for title, scores in panels.items() if (found := _sorted_people(scores))}
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    everybody = sum(map(len, names.values()))
    widths = [max(4, len(found), 0.25 * everybody) for found in names.values()]
    places = figure.subplots(1, len(names), squeeze=False, sharey=True, width_ratios=widths)[0]
    for axes, (title, found) in zip(places, names.items(), strict=True):
        _draw_people(axes, found, methods, panels[title], size=26 if everybody <= MOST_NAMED else 9)
        axes.set_title(f"{title} ({len(found)})", fontsize=10)
        if everybody > MOST_NAMED:
            axes.set_xticks([])
    places[0].set_ylabel(report.score)
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=8.5)
    return figure


class _Method(NamedTuple):
    """What the figure of participants shows in one colour."""

    label: str
    colour: str
    marker: str
    scores: Mapping[str, float]
    test_scores: Mapping[str, float]


def _methods(report: StudyReport) -> list[_Method]:
    judged: dict[int | None, Mapping[str, float]] = {one.number: one.participants for one in report.trials}
    looks = ((ORANGE, "D"), (DEFAULT_COLOUR, "o"), (BASELINE_COLOUR, "s"))
    return [
        _Method(
            f"{row.role}: {short(row.rated.name)}",
            *looks[ROLES.index(row.role)],
            row.rated.scores or judged.get(row.rated.trial, {}),
            row.rated.test_scores,
        )
        for row in score_rows(report)
    ]


def _trial_scores(report: StudyReport) -> list[Mapping[str, float]]:
    """Scores of the winner and of the file's own settings; without any, the baseline has nothing beside it."""
    shown = [one for one in _methods(report) if one.colour != BASELINE_COLOUR]
    return [scores for one in shown for scores in (one.scores, one.test_scores)] or [{}]


def _sorted_people(scores: Sequence[Mapping[str, float]]) -> list[str]:
    """Participants with a score, sorted by the first scores, the highest first; those without one last."""
    names = {name for one in scores for name, value in one.items() if finite(value)}
    return sorted(names, key=lambda name: (-scores[0][name] if finite(scores[0].get(name)) else math.inf, str(name)))


def _draw_people(
    axes: Axes, names: Sequence[str], methods: Sequence[_Method], scores: Sequence[Mapping[str, float]], size: float
) -> None:
    """Draw a column for each participant, with the scores of each method as markers of a size."""
    known = [[number(one.get(name)) for one in scores] for name in names]
    lowest, highest = [np.nanmin(one) for one in known], [np.nanmax(one) for one in known]
    axes.vlines(range(len(names)), lowest, highest, color=GREY, linewidth=1, zorder=1)
    for method, column in zip(methods, zip(*known, strict=True), strict=True):
        shown = [(place, value) for place, value in enumerate(column) if finite(value)]
        xs, ys = [x for x, _ in shown], [y for _, y in shown]
        axes.scatter(
            xs,
            ys,
            s=size,
            color=method.colour,
            marker=method.marker,
            label=method.label,
            zorder=3,
        )
    margin = max(0.6, 0.02 * len(names))
    axes.set_xlim(-margin, max(len(names), 4) - 1 + margin)
    axes.set_xticks(range(len(names)), [short(name, 14) for name in names], rotation=90, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def importances_figure(report: StudyReport) -> Figure:
    """Draw the share of each searched setting in the variance of the objective, with intervals if known."""
    found = dict(sorted(report.importances.items(), key=lambda item: -item[1].mean))
    figure = Figure(figsize=(WIDTH_IN, 0.9 + 0.3 * len(found)), layout="constrained")
    axes = figure.subplots()
    _draw_intervals(axes, found)
    known = any(finite(one.low) for one in found.values())
    axes.set(xlabel=f"importance{' and 95 % interval' if known else ''}", xlim=(-0.02, None))
    return figure
