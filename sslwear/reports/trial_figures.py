"""Figures of a study's trials: means with standard errors, learning curves, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sslwear.reports.plain_text import plain
from sslwear.reports.study_report import FINISHED, PRUNED, StudyReport, TrialResult
from sslwear.reports.training_figures import BLUE, COLOURS, GREY, ORANGE

WIDTH_IN = 8.0
INK, PALE, BASELINE_COLOUR, OCHRE = "#4a5568", "#e2e8f0", "#2f855a", "#b7791f"
MOST_ROWS = 40
"""Maximum number of trials with a row each; more are drawn without labels, by rank."""
MOST_DRAWN = 300
"""Maximum number of trials in a figure, the best ones."""
MOST_CURVES = 8
"""Maximum number of learning curves, the winner's and those of the best other trials."""
LABEL = 34
"""Maximum number of characters of a label."""


def trials_figure(report: StudyReport, title: str = "") -> Figure:
    """Draw the trials' means with standard errors, the best one first, and the baseline's mean as a line.

    Up to `MOST_ROWS` trials have a row each, more have a column each without a label.
    """
    figure = Figure(figsize=(WIDTH_IN, trials_height(report)), layout="constrained")
    if title:
        figure.suptitle(plain(title))
    draw_trials(figure.subplots(), report)
    return figure


def shown_trials(report: StudyReport) -> list[TrialResult]:
    """Trials of the figure: those with a mean that have finished or were pruned; the best first, pruned ones last."""
    return [one for one in report.ranked if one.known and one.outcome in (FINISHED, PRUNED)][:MOST_DRAWN]


def trials_height(report: StudyReport) -> float:
    """Height of the figure in inches."""
    count = len(shown_trials(report))
    return 1.1 + 0.21 * max(count, 2) if count <= MOST_ROWS else 4.2


def draw_trials(axes: Axes, report: StudyReport) -> None:
    """Draw the trials of `trials_figure` on axes."""
    trials = shown_trials(report)
    rows = len(trials) <= MOST_ROWS
    for (label, colour, marker), places in _kinds(report, trials).items():
        means = [number(trials[place].mean) for place in places]
        errors = [error if finite(error := number(trials[place].error)) else 0.0 for place in places]
        low = [mean - error for mean, error in zip(means, errors, strict=True)]
        high = [mean + error for mean, error in zip(means, errors, strict=True)]
        bars = axes.hlines if rows else axes.vlines
        bars(places, low, high, color=colour, linewidth=1.4 if rows else 0.9, alpha=0.75)
        x, y = (means, places) if rows else (places, means)
        links = [f"#trial-{trials[place].number}" for place in places]
        axes.scatter(x, y, s=26 if rows else 13, marker=marker, color=colour, label=label, zorder=3, urls=links)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    score = f"{report.score}, {'over all windows' if report.pooled else 'mean over participants ± standard error'}"
    if rows:
        axes.set_yticks(range(len(trials)), [label_of(report, one) for one in trials], fontsize=8.5)
        axes.set(xlabel=score, ylim=(max(len(trials), 2) - 0.4, -0.6))
        axes.grid(axis="y", color=PALE, linewidth=0.6)
    else:
        axes.set(xlabel="trials, sorted by mean; pruned ones last", ylabel=score.replace(", ", ",\n"))
        axes.set(xlim=(-1.5, len(trials) + 0.5), xticks=[])
    estimate = report.baseline.estimate if report.baseline is not None else None
    if report.baseline is not None and estimate is not None and math.isfinite(estimate.mean):
        line, label = axes.axvline if rows else axes.axhline, f"baseline: {short(report.baseline.name)}"
        line(estimate.mean, color=BASELINE_COLOUR, linestyle="--", zorder=1, label=label)
    axes.figure.legend(frameon=False, fontsize=8.5, loc="outside upper left", ncols=3)


def _kinds(report: StudyReport, trials: Sequence[TrialResult]) -> dict[tuple[str, str, str], list[int]]:
    """Places of the trials by label, colour and marker."""
    kinds: dict[tuple[str, str, str], list[int]] = {}
    for place, one in enumerate(trials):
        if one.outcome == PRUNED:
            kind = ("pruned, last mean", GREY, "x")
        elif one.number == report.winner:
            kind = ("selected", ORANGE, "D")
        elif one.candidate:
            kind = ("cannot be told from the best", BLUE, "o")
        else:
            kind = ("other finished trials", INK, "o")
        kinds.setdefault(kind, []).append(place)
    return kinds


def curves_figure(report: StudyReport) -> Figure:
    """Draw the objective by epoch of the winner and of the best trials that cannot be told from the best."""
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    axes = figure.subplots()
    others = [colour for colour in COLOURS if colour not in (ORANGE, OCHRE)]  # the winner is orange
    for place, one in enumerate(shown_curves(report)):
        mine = one.number == report.winner
        colour = ORANGE if mine else others[place % len(others)]
        label = f"{label_of(report, one)}{' (selected)' if mine else ''}"
        epochs = range(1, len(one.curve) + 1)
        width, order = (2.4, 3) if mine else (1.2, 2)
        axes.plot(epochs, one.curve, color=colour, label=label, linewidth=width, zorder=order)
    axes.set(xlabel="epoch", ylabel=f"{'' if report.pooled else 'mean '}{report.score}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title="trial", frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def shown_curves(report: StudyReport) -> list[TrialResult]:
    """Trials whose learning curves are drawn: the winner and the best candidates with more than one epoch."""
    found = sorted(report.candidates, key=lambda one: one.number != report.winner)
    return [one for one in found if len(one.curve) > 1][:MOST_CURVES]


def pareto_figure(report: StudyReport) -> Figure:
    """Draw the objective by the second objective; trials on the Pareto front are joined and have their numbers."""
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    axes = figure.subplots()
    front = sorted(report.front, key=lambda one: number(one.second))
    numbers = {one.number for one in front}
    others = [one for one in report.finished if one.number not in numbers and finite(one.second)][:MOST_DRAWN]
    for label, trials, size, colour in (("other trials", others, 18, GREY), ("Pareto front", front, 32, BLUE)):
        places = [(number(one.second), number(one.mean)) for one in trials]
        links = [f"#trial-{one.number}" for one in trials]
        xs, ys = [x for x, _ in places], [y for _, y in places]
        if trials:
            axes.scatter(xs, ys, s=size, color=colour, label=label, zorder=2, urls=links)
    axes.plot(xs, ys, color=BLUE, linewidth=1, linestyle=":")  # the front, which was drawn last
    for one, place in zip(front, places, strict=True):
        axes.annotate(str(one.number), place, (4, 4), textcoords="offset points", fontsize=8.5)
    everything = [number(one.second) for one in (*others, *front)]
    if min(everything) > 0 and max(everything) > 100 * min(everything):
        axes.set_xscale("log")
    axes.set(xlabel=plain(report.second), ylabel=f"mean {report.score}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure


def label_of(report: StudyReport, trial: TrialResult) -> str:
    """Number of a trial, and the settings by which it differs from others."""
    named = report.named(trial)
    return short(f"{trial.number}: {named}" if named else str(trial.number))


def short(text: object, most: int = LABEL) -> str:
    """A text as matplotlib shows it, of a few characters."""
    whole = str(text)
    return plain(f"{whole[: most - 3]}..." if len(whole) > most else whole)


def number(value: float | None) -> float:
    """The value; NaN for None."""
    return math.nan if value is None else value


def finite(value: float | None) -> bool:
    """Whether a value is known and a number."""
    return value is not None and math.isfinite(value)
