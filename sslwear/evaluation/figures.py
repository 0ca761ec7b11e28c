"""Pictures of a run and of a study; matplotlib figures without global state, so that threads may draw.

A trial's pictures have margins that are computed from the length of their labels: a layout engine, which draws twice,
takes twice as long, and a study draws hundreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sslwear.pretext.base import CHANCE
from sslwear.training import EpochRecord

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#a0aec0"
LETTER_IN = 0.085
"""Width in inches of a letter of a label, about."""
COLOURS = (
    *(BLUE, ORANGE, "#2f855a", "#b83280", "#6b46c1", "#b7791f", "#2c7a7b"),
    *("#c53030", "#63b3ed", "#744210", "#9ae6b4", "#1a202c"),
)


def confusion_figure(counts: NDArray[np.int64], class_names: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix, shaded by the share of the true class and labelled with counts.

    Args:
        counts: windows by true class (rows) and predicted class (columns).
        class_names: names of the classes.
        title: stands above.
    """
    label = LETTER_IN * max(map(len, class_names))
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
    axes.set_xticks(ticks, list(class_names), rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, list(class_names))
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def learning_curves(history: Sequence[EpochRecord], best_epoch: int, score: str) -> Figure:
    """Draw losses and one validation score by epoch; the epoch whose weights are kept is marked.

    Args:
        history: all epochs.
        best_epoch: the one that was kept.
        score: name of the score.
    """
    figure = Figure(figsize=(9, 3.4))
    losses, scores = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.16, top=0.95, wspace=0.22)
    epochs = [record.epoch for record in history]
    losses.plot(epochs, [record.train_loss for record in history], "o-", color=BLUE, label="training")
    losses.plot(epochs, [record.validation_loss for record in history], "o-", color=ORANGE, label="validation")
    losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    losses.legend(frameon=False)
    scores.plot(epochs, [record.scores[score] for record in history], "o-", color=ORANGE)
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


@dataclass(frozen=True)
class TrialPoint:
    """One trial as a study's picture shows it; `value` is None where it did not finish."""

    number: int
    value: float | None
    tuned: str
    pretext: str
    pruned: bool


def study_overview(points: Sequence[TrialPoint], objective: str, title: str) -> Figure:
    """Draw a study at a glance: every trial's value with the best so far, and values by what was tuned.

    Args:
        points: the trials; pruned ones show the last value that they reported.
        objective: name of the score.
        title: stands above.
    """
    finished = sorted((p for p in points if p.value is not None and not p.pruned), key=lambda p: p.number)
    pruned = [p for p in points if p.value is not None and p.pruned]
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.suptitle(title)
    history, masks = figure.subplots(1, 2, width_ratios=(1, 1.25))
    history.scatter([p.number for p in finished], [p.value for p in finished], color=BLUE, label="finished")
    history.scatter(
        [p.number for p in pruned], [p.value for p in pruned], color=GREY, marker="x", label="pruned, last value"
    )
    if finished:
        best = np.maximum.accumulate([float(p.value) for p in finished if p.value is not None])
        history.step([p.number for p in finished], best, where="post", color=ORANGE, label="best so far")
        history.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
    history.set(xlabel="trial", ylabel=f"validation {objective}")
    history.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    rows = sorted({p.tuned for p in points}, key=lambda tuned: _best(points, tuned))
    pretexts = sorted({p.pretext for p in points}, key=lambda name: (name != "none", name))
    for colour, pretext in zip(_cycle(len(pretexts)), pretexts, strict=True):
        for group, marker in ((finished, "o"), (pruned, "x")):
            mine = [p for p in group if p.pretext == pretext]
            masks.scatter([p.value for p in mine], [rows.index(p.tuned) for p in mine], color=colour, marker=marker)
        masks.scatter([], [], color=colour, label=pretext)
    masks.set_yticks(range(len(rows)), rows)
    masks.set(xlabel=f"validation {objective}", ylabel="tuned")
    masks.grid(axis="y", color="#edf2f7", zorder=0)
    masks.set_axisbelow(True)
    masks.legend(title="pretext task", frameon=False, bbox_to_anchor=(1, 1), loc="upper left", fontsize=8)
    for axes in (history, masks):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _best(points: Sequence[TrialPoint], tuned: str) -> float:
    return max((p.value for p in points if p.tuned == tuned and p.value is not None), default=-np.inf)


def _cycle(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
