"""Figure of a recording's days: movement and predicted classes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sslwear.evaluation.daily import LabelledRecording
from sslwear.reports.plain_text import plain

PALETTE = (
    *("#2b6cb0", "#dd6b20", "#2f855a", "#b83280", "#d69e2e", "#6b46c1", "#2c7a7b", "#c53030", "#63b3ed", "#f6ad55"),
    *("#68d391", "#f687b3", "#ecc94b", "#b794f4", "#81e6d9", "#fc8181", "#1a365d", "#744210", "#22543d", "#702459"),
)
NONWEAR_COLOUR, INK, MOVEMENT = "#d5dbe3", "#2d3748", "#4a5568"
WIDTH_IN, ROW_IN, ONE_ROW_IN, LEFT_IN, RIGHT_IN, BELOW_IN = 12.0, 0.85, 1.4, 1.25, 0.3, 0.45
LEGEND_LINE_IN, LETTER_IN, KEY_IN = 0.22, 0.085, 0.45
LEAST_MG = 100.0
"""Minimum upper limit of the movement axis, so that small movements at night are not enlarged."""
FINE_S = 3600
"""Recordings shorter than this are drawn by window, longer ones by minute."""
ALL_DAYS = 31
"""Recordings of more days are drawn without the days that have no data, of which a wrong clock makes many."""
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800)
DAY_S = 86400


def day_figure(found: LabelledRecording) -> Figure:
    """Draw a row for each day: movement, and below it the predicted classes; grey where the device was not worn.

    Several days are drawn from midnight to midnight, a single day from the start of the recording to its end. White
    means no data; days without any are left out of recordings that span more than ALL_DAYS. In a drawing by minute, a
    minute has the class of most of its windows.
    """
    begin, end = _seconds(found.begin), _seconds(found.end)
    step = 60.0 if end - begin > FINE_S else found.window_s
    bins, mg, codes = _binned(found, step)
    days = np.arange(begin // DAY_S, max(begin // DAY_S + 1, np.ceil(end / DAY_S))) * DAY_S
    whole_days = len(days) > 1
    if len(days) > ALL_DAYS and len(bins):
        days = days[np.isin(days // DAY_S, bins // DAY_S)]
    keys = _keys(found)
    lines = _lines([key.get_label() for key in keys])
    above = 0.5 + LEGEND_LINE_IN * lines
    height = above + (ROW_IN * len(days) if len(days) > 1 else ONE_ROW_IN) + BELOW_IN
    figure = Figure(figsize=(WIDTH_IN, height))
    rows = figure.subplots(len(days), 1, squeeze=False, sharex=True)[:, 0]
    left, right = LEFT_IN / WIDTH_IN, 1 - RIGHT_IN / WIDTH_IN
    figure.subplots_adjust(left=left, right=right, top=1 - above / height, bottom=BELOW_IN / height, hspace=0.25)
    top = 1 - 0.22 / height
    figure.text(left, top, _title(found), va="center", color=INK, fontsize=12, fontweight="bold")
    what = "movement (ENMO, mg) and predicted class; white: no data"
    figure.text(right, top, what, va="center", ha="right", color=INK, fontsize=9)
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(left, 1 - 0.36 / height),
        bbox_transform=figure.transFigure,
        ncols=-(-len(keys) // lines),
        frameon=False,
        fontsize=9,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.3,
        borderaxespad=0,
        borderpad=0,
    )
    most = max(LEAST_MG, float(np.percentile(mg, 99.5)) if len(mg) else 0.0)
    for axes, day in zip(rows, days, strict=True):
        here = (bins >= day) & (bins < day + DAY_S)
        _draw(axes, bins[here] - day, mg[here], codes[here], step, most, len(found.class_names))
        date = np.datetime64(int(day), "s").astype(object)
        text = f"{date:%a} {date.day} {date:%b}"
        axes.text(-0.045, 0.5, text, transform=axes.transAxes, ha="right", va="center", color=INK, fontsize=9)
    until = max(end, bins[-1] + step if len(bins) else begin + 1) - days[0]
    _time_axis(rows[-1], *((0, DAY_S) if whole_days else (begin - days[0], min(until, DAY_S))))
    return figure


def _draw(
    axes: Axes,
    bins: NDArray[np.float64],
    mg: NDArray[np.float64],
    codes: NDArray[np.int64],
    step: float,
    most: float,
    classes: int,
) -> None:
    """Draw a day; bins start at the given seconds after midnight and last `step` seconds."""
    for first, last in _runs(np.diff(bins) > 1.5 * step, len(bins)):
        edges = np.append(bins[first:last], bins[last - 1] + step)
        axes.stairs(np.minimum(mg[first:last], most), edges, fill=True, color=MOVEMENT, zorder=2)
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        spans = [
            (bins[mine[first]], bins[mine[last - 1]] + step - bins[mine[first]])
            for first, last in _runs(np.diff(bins[mine]) > 1.5 * step, len(mine))
        ]
        low, high = (-0.36 * most, 1.36 * most) if code == classes else (-0.34 * most, 0.26 * most)
        colour = NONWEAR_COLOUR if code == classes else _colour(int(code))
        axes.broken_barh(spans, (low, high), color=colour, linewidth=0, zorder=1 if code == classes else 3)
    axes.set_ylim(-0.36 * most, most)
    axes.set_yticks([0, _round(most)])
    axes.tick_params(axis="y", labelsize=8, colors=INK, length=2)
    axes.tick_params(axis="x", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_bounds(0, most)
    axes.spines["left"].set_color(INK)
    axes.grid(axis="x", color="#e2e8f0", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def _binned(
    found: LabelledRecording, step: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Starts, mean movement and most frequent class of the bins that have windows."""
    start = found.start.astype("datetime64[ns]").view(np.int64) / 1e9
    classes = len(found.class_names)
    codes = np.where(found.codes < 0, classes, found.codes)
    if step == found.window_s:
        return start, found.enmo_mg.astype(np.float64), codes
    bins, place, counts = np.unique(start // step, return_inverse=True, return_counts=True)
    votes = np.zeros((len(bins), classes + 1), np.int64)
    np.add.at(votes, (place, codes), 1)
    mg = np.bincount(place, found.enmo_mg, len(bins)) / counts
    return bins * step, mg, votes.argmax(axis=1)


def _runs(breaks: NDArray[np.bool_], count: int) -> Iterator[tuple[int, int]]:
    """First and last index (exclusive) of each run between breaks."""
    edges = np.concatenate([[0], np.flatnonzero(breaks) + 1, [count]])
    yield from ((int(first), int(last)) for first, last in pairwise(edges) if last > first)


def _title(found: LabelledRecording) -> str:
    last_second = max(found.begin, found.end - np.timedelta64(1, "s"))  # midnight is the end of the day before
    first, last = (moment.astype("datetime64[s]").astype(object) for moment in (found.begin, last_second))
    until = f"{last.day} {last:%B %Y}"
    if first.date() == last.date():
        return f"{plain(found.name)}, {until}"
    since = f"{first.day} {first:%B}" + (f" {first:%Y}" if first.year != last.year else "")
    return f"{plain(found.name)}, {since} to {until}"


def _keys(found: LabelledRecording) -> list[Patch]:
    keys = [Patch(color=_colour(i), label=plain(name)) for i, name in enumerate(found.class_names)]
    if (found.codes < 0).any():
        keys.append(Patch(color=NONWEAR_COLOUR, label="not worn"))
    return keys


def _lines(labels: list[object]) -> int:
    """Number of lines of the legend, whose columns have the width of the longest label."""
    widest = max(len(str(label)) for label in labels) * LETTER_IN + KEY_IN
    columns = max(1, int((WIDTH_IN - LEFT_IN - RIGHT_IN) / widest))
    return -(-len(labels) // columns)


def _time_axis(axes: Axes, first: float, last: float) -> None:
    axes.set_xlim(first, last)
    every = next((tick for tick in TICKS_S if (last - first) / tick <= 12), TICKS_S[-1])
    ticks = np.arange(np.ceil(first / every) * every, last + 1e-6, every)
    moments = [np.datetime64(int(tick), "s").astype(object) for tick in ticks]
    texts = [f"{moment:%H:%M:%S}" if every < 60 else f"{moment:%H:%M}" for moment in moments]
    axes.set_xticks(ticks, ["24:00" if tick == DAY_S else text for tick, text in zip(ticks, texts, strict=True)])
    axes.tick_params(axis="x", length=3, labelsize=9, colors=INK)


def _round(value: float) -> float:
    """The value rounded down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(factor for factor in (1, 2, 5) if factor * power <= value) * power)


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _seconds(moment: np.datetime64) -> float:
    return float(moment.astype("datetime64[ns]").astype(np.int64)) / 1e9
