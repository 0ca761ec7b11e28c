"""Figures of a run, as matplotlib figures without global state, so that threads can draw.

Margins are computed from the length of the labels, because a layout engine draws twice and a study has many figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sslwear.pretext.base import CHANCE
from sslwear.reports.plain_text import plain
from sslwear.training import EpochRecord

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#a0aec0"
LETTER_IN = 0.085
"""Approximate width of a letter of a label in inches."""
COLOURS = (
    *(BLUE, ORANGE, "#2f855a", "#b83280", "#6b46c1", "#b7791f", "#2c7a7b"),
    *("#c53030", "#63b3ed", "#744210", "#9ae6b4", "#1a202c"),
)


MOST_MARKED = 60
"""Number of epochs up to which each is marked in a figure; of more, the marks would hide the line."""


def confusion_figure(counts: NDArray[np.int64], class_names: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix, shaded by the share of the true class and labelled with counts.

    Args:
        counts: windows by true class (rows) and predicted class (columns).
        class_names: names of the classes.
        title: title of the figure.
    """
    names = [plain(name) for name in class_names]
    label = LETTER_IN * max(map(len, names))
    side, left, below = 0.62 * max(3, len(class_names)), label + 0.6, 0.75 * label + 0.8
    width, height = left + side + 0.5, below + side + 0.5
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, below / height, side / width, side / height))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    ticks = range(len(class_names))
    axes.set_xticks(ticks, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def learning_curves(history: Sequence[EpochRecord], best_epoch: int, score: str) -> Figure:
    """Draw losses and a validation score by epoch; the epoch whose weights are kept is marked.

    Args:
        history: all epochs.
        best_epoch: the epoch whose weights are kept.
        score: name of the score.
    """
    figure = Figure(figsize=(9, 3.4))
    losses, scores = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.16, top=0.95, wspace=0.22)
    epochs = [record.epoch for record in history]
    line = "o-" if len(epochs) <= MOST_MARKED else "-"
    losses.plot(epochs, [record.train_loss for record in history], line, color=BLUE, label="training")
    losses.plot(epochs, [record.validation_loss for record in history], line, color=ORANGE, label="validation")
    losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    losses.legend(frameon=False)
    scores.plot(epochs, [record.scores[score] for record in history], line, color=ORANGE)
    if all(CHANCE in record.scores for record in history):
        chance = [record.scores[CHANCE] for record in history]
        scores.plot(epochs, chance, ":", color="grey", label=CHANCE)
        scores.legend(frameon=False, loc="upper left")
    scores.set(xlabel="epoch", ylabel=f"validation {score}", ylim=(None, 1.02))
    for axes in (losses, scores):
        axes.axvline(best_epoch, color=GREY, linestyle="--", zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.spines[["top", "right"]].set_visible(False)
    scores.annotate("kept", (best_epoch, 0.02), xycoords=("data", "axes fraction"), color="grey", fontsize=9)
    return figure


def participants_figure(scores: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Draw the distribution of scores over participants: a box and the participants' points for each score.

    A box shows the quartiles and the median; its whiskers show minimum and maximum. Undefined scores (NaN) are left
    out.

    Args:
        scores: one value for each participant, by name of the score.
        title: title of the figure.
    """
    figure = Figure(figsize=(5.6, 3.6))
    axes = figure.add_axes((0.1, 0.1, 0.88, 0.8))
    lines: list[list[tuple[float, float]]] = []
    medians: list[list[tuple[float, float]]] = []
    points: list[tuple[float, float]] = []
    for place, values in enumerate(scores.values()):
        known = np.array([value for value in values if not np.isnan(value)])
        if not len(known):
            continue
        least, lower, median, upper, most = np.quantile(known, (0, 0.25, 0.5, 0.75, 1))
        left, right = place - 0.3, place + 0.3
        lines.append([(left, lower), (right, lower), (right, upper), (left, upper), (left, lower)])
        lines += [[(place, least), (place, lower)], [(place, upper), (place, most)]]
        medians.append([(left, median), (right, median)])
        spread = np.linspace(-0.18, 0.18, len(known)) if len(known) > 1 else np.zeros(1)
        points += list(zip((place + spread).tolist(), known.tolist(), strict=True))
    axes.add_collection(LineCollection(lines, colors=GREY))
    axes.add_collection(LineCollection(medians, colors=ORANGE, linewidths=2))
    axes.scatter([x for x, _ in points], [y for _, y in points], s=18, color=BLUE, zorder=3)
    axes.set_xticks(range(len(scores)), list(scores))
    lowest = min((y for _, y in points), default=0.0)
    axes.set(title=title, xlim=(-0.5, len(scores) - 0.5), ylim=(min(-0.02, lowest - 0.05), 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    return figure
