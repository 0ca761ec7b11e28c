"""Figures of labelled people: distributions of each class over people, and the usual day of each person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sslwear.data.files.clock import to_local
from sslwear.evaluation.day_table import DAY
from sslwear.evaluation.minute_table import MINUTE, MinuteTable
from sslwear.evaluation.people import Person
from sslwear.reports.day_figure import INK, PALETTE
from sslwear.reports.plain_text import plain

GRID, AXIS = "#e2e8f0", "#a0aec0"
LEAST_MINUTES = 30.0
"""Minimum upper limit of an axis of minutes."""
BIN_MINUTES = 15
MOST_ROWS = 100
"""Maximum number of people with a ribbon of their own."""
WIDTH_IN, PANEL_IN, ROW_IN = 10.0, 1.9, 0.21
LETTERS = 24
"""Letters of a name beside a ribbon."""


def distributions(people: Sequence[Person], class_names: Sequence[str]) -> Figure:
    """A histogram of the minutes a day of each class over the people who count."""
    columns = min(3, len(class_names))
    rows = -(-len(class_names) // columns)
    figure = Figure(figsize=(WIDTH_IN, PANEL_IN * rows + 0.2), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for place, name in enumerate(class_names):
        axes = panels[place // columns, place % columns]
        values = np.array([float(one.row[f"minutes_{name}"]) for one in people])
        values = values[np.isfinite(values)]
        colour = PALETTE[place % len(PALETTE)]
        if len(values):
            bins = min(24, max(5, round(2 * len(values) ** 0.5)))
            most = max(LEAST_MINUTES, float(values.max()))
            axes.hist(values, bins=bins, range=(0, most), color=colour, alpha=0.85, linewidth=0)
            axes.set_xlim(0, most)
            middle = float(np.median(values))
            axes.axvline(middle, color=INK, linewidth=1)
            axes.text(middle, 1.02, f"{middle:.0f}", transform=axes.get_xaxis_transform(), ha="center", fontsize=8)
        axes.set_title(plain(name), fontsize=9.5, color=INK, loc="left")
        axes.tick_params(labelsize=8, colors=INK, length=2)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(AXIS)
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        if place // columns == rows - 1 or place + columns >= len(class_names):
            axes.set_xlabel("minutes a day", fontsize=8.5, color=INK)
        if place % columns == 0:
            axes.set_ylabel("people", fontsize=8.5, color=INK)
    for place in range(len(class_names), rows * columns):
        panels[place // columns, place % columns].set_visible(False)
    return figure


def usual_days(people: Sequence[Person], class_names: Sequence[str]) -> Figure:
    """A ribbon for each person: the class of most of each quarter of an hour, over all days with wear."""
    shown = people[:MOST_ROWS]
    height = ROW_IN * len(shown) + 0.8
    figure = Figure(figsize=(WIDTH_IN, height))
    axes = figure.add_axes((0.17, 0.4 / height, 0.81, (height - 0.8) / height))
    for row, one in enumerate(shown):
        if one.minutes is None:
            continue
        codes = usual_day(one.minutes)
        for code in range(len(class_names)):
            spans = [(place * BIN_MINUTES / 60, BIN_MINUTES / 60) for place in np.flatnonzero(codes == code)]
            axes.broken_barh(_merged(spans), (row - 0.38, 0.76), color=PALETTE[code % len(PALETTE)], linewidth=0)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_yticks(range(len(shown)), [_short(one.name) for one in shown])
    axes.set_xlim(0, 24)
    axes.set_xticks(range(0, 25, 3), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
    axes.tick_params(labelsize=8, colors=INK, length=0)
    axes.spines[:].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    keys = [Patch(color=PALETTE[i % len(PALETTE)], label=plain(name)) for i, name in enumerate(class_names)]
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(0.16, 1),
        ncols=min(6, len(keys)),
        frameon=False,
        fontsize=8.5,
        handlelength=1.1,
        columnspacing=1.2,
    )
    return figure


def usual_day(minutes: MinuteTable) -> NDArray[np.int64]:
    """Index of the class of most of each quarter of an hour of the clock (96,); -1 without wear."""
    clock = to_local(minutes.minute, minutes.zone) % DAY // (BIN_MINUTES * MINUTE)
    bins = 24 * 60 // BIN_MINUTES
    found = np.stack([np.bincount(clock, one, bins) for one in minutes.seconds.T], axis=1)
    codes: NDArray[np.int64] = np.where(found.sum(axis=1) > 0, found.argmax(axis=1), -1)
    return codes


def _merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans (begin, length) in which adjacent ones are one."""
    found: list[tuple[float, float]] = []
    for begin, length in spans:
        if found and abs(found[-1][0] + found[-1][1] - begin) < 1e-9:
            found[-1] = (found[-1][0], found[-1][1] + length)
        else:
            found.append((begin, length))
    return found


def _short(name: str) -> str:
    return plain(name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…")
