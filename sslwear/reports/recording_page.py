"""The page of a labelled recording: one file of HTML that needs no network and no scripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sslwear.data.cuts import duration
from sslwear.data.files.quality import Quality
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.daily import LabelledRecording
from sslwear.evaluation.day_table import day_table
from sslwear.evaluation.minute_table import MinuteTable
from sslwear.reports.day_figure import day_figure
from sslwear.reports.html_parts import facts, figure, number, page, table, text, warning_box
from sslwear.reports.inline_svg import inline_svg
from sslwear.utils.words import count


def recording_page(
    name: str,
    minutes: MinuteTable,
    quality: Quality,
    rule: CountingRule,
    about: Sequence[str],
    warning: str | None = None,
) -> str:
    """The page as HTML; all names and sentences are shown as plain text.

    Args:
        name: name of the recording.
        minutes: its minutes.
        quality: its quality.
        rule: which days count.
        about: lines about how the file was read and how it was labelled.
        warning: warning about its windows, or None.
    """
    days = day_table(minutes, rule)
    picture = inline_svg(day_figure(by_minute(name, minutes).local()), "days")
    caption = "Movement (ENMO, the acceleration above 1 g), and the class of most of each minute below it. "
    caption += "Grey: not worn. White: no data."
    if (days["length_minutes"] > 1440).any():
        caption += " Where the clocks went back, an hour occurs twice and is drawn once; the table counts both."
    if (days["length_minutes"] < 1440).any():
        caption += " Where the clocks went forward, an hour is white, because it did not occur."
    parts = [
        _verdict(minutes, days, rule),
        warning_box(warning),
        figure("Days", picture, caption),
        _days(days, minutes.class_names),
        "<h2>Quality</h2>",
        facts(_quality(quality)),
        "<h2>How it was made</h2>",
        *(f"<p>{text(line)}</p>" for line in about),
    ]
    return page(name, f"{quality.device} · {quality.rate_hz:g} Hz · {count(len(days), 'day')}", parts)


def by_minute(name: str, minutes: MinuteTable) -> LabelledRecording:
    """A recording with a window for each minute, with the class of most of it."""
    shares = np.column_stack([minutes.seconds, minutes.nonwear])
    codes = shares.argmax(axis=1) if len(shares) else np.empty(0, np.int64)
    codes = np.where(codes == len(minutes.class_names), -1, codes)
    begin, end = (np.datetime64(int(one), "ns") for one in (minutes.spans.min(), minutes.spans.max()))
    return LabelledRecording(
        name,
        minutes.class_names,
        minutes.minute.view("datetime64[ns]"),
        60.0,
        codes,
        minutes.enmo_mg.astype(np.float32),
        begin,
        end,
        minutes.zone,
    )


def _verdict(minutes: MinuteTable, days: pd.DataFrame, rule: CountingRule) -> str:
    counted = int(days["counted"].sum())
    wear, whole = float(minutes.worn.sum()), float(np.diff(minutes.spans, axis=1).sum()) / 1e9
    first = f"{counted} of {count(len(days), 'day')} {'counts' if counted == 1 else 'count'}: a day counts with "
    first += f"{rule.min_wear_h:g} h of wear" + (" and wear in each of its hours." if rule.cover == "day" else ".")
    second = f"Worn for {duration(wear)} of {duration(whole)}."
    return f'<div class="verdict"><p>{text(first)}</p><p>{text(second)}</p></div>'


def _days(days: pd.DataFrame, names: Sequence[str]) -> str:
    """Minutes by day, then their means over the days that count, as observed and imputed."""
    heads = ["day", *names, "worn", "not worn", "no data", "ENMO, mg", "why it does not count"]
    rows = []
    for day in days.to_dict("records"):
        date = pd.Timestamp(day["day"])
        cells = [f"{date:%a} {date.day} {date:%b %Y}"]
        cells += [number(day[f"minutes_{name}"]) for name in names]
        cells += [number(day[f"{what}_minutes"]) for what in ("wear", "nonwear", "missing")]
        cells += [number(day["enmo_mg"], 1), text(day["reason"])]
        rows.append(("" if day["counted"] else "left", cells))
    counted = days[days["counted"]]
    if len(counted):
        blank = ["", "", ""]
        observed = [number(counted[f"minutes_{name}"].mean()) for name in names]
        imputed = [number(counted[f"minutes_{name}_imputed"].mean(skipna=False)) for name in names]
        wear = number(counted["wear_minutes"].mean())
        rows.append(("selected", ["mean", *observed, wear, *blank[1:], number(counted["enmo_mg"].mean(), 1), ""]))
        motion = number(counted["enmo_mg_imputed"].mean(skipna=False), 1)
        rows.append(("selected", ["mean, imputed", *imputed, *blank, motion, ""]))
    note = (
        "Minutes. The means are over the days that count. Imputed: time without wear or data has the mean of the same "
        "minute on other days; a dash where a minute was worn on no other day."
    )
    return table(heads, rows, words=(0, len(heads) - 1)) + f'\n<p class="note">{text(note)}</p>'


def _quality(found: Quality) -> list[tuple[str, str]]:
    before, after = found.calibration_error_before_mg, found.calibration_error_after_mg
    calibration = "not calibrated: too few still positions"
    if before is not None:
        few = "still positions in too few directions" if after == before else "the error stayed too large"
        done = "calibrated" if found.calibrated else f"not calibrated: {few}"
        calibration = f"{done}, error {number(before, 1)} mg before and {number(after, 1)} mg after"
    return [
        ("gravity", calibration),
        ("samples at the limit of the range", f"{100 * found.clipped_share:.3g} %"),
        ("gaps of more than 1 s", str(found.interrupts)),
        ("cut because of its times", duration(found.cut_seconds) if found.cut_seconds else "nothing"),
        ("damaged blocks", str(found.damaged_blocks)),
        ("stretches of non-wear", str(found.nonwear_episodes)),
    ]
