"""The columns of recordings under the names that stepcount and actinet use, where they mean the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.clock import to_local
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.day_table import DAY, day_table
from sslwear.evaluation.minute_table import MINUTE, MinuteTable
from sslwear.evaluation.people import RecordingSummary

WALKING = re.compile(r"walk(ing)?", re.IGNORECASE)
ANY_WEAR = CountingRule(min_wear_h=0)
"""Those programs count each day with wear, unless they are told otherwise."""
COVERED = 0.01
"""Least share of each hour of the clock with wear of a recording that covers all of them."""


def oxwearables_row(found: RecordingSummary, class_names: Sequence[str]) -> dict[str, Any]:
    """The row of a labelled recording, for files named as those programs name them.

    Args:
        found: a recording with minutes and quality.
        class_names: names of the classes.
    """
    minutes, quality = found.minutes, found.quality
    assert minutes is not None
    assert quality is not None
    days = day_table(minutes, ANY_WEAR)
    whole = days[days["counted"]]
    begin, end = (np.datetime64(int(one), "ns") for one in to_local(minutes.spans[0], minutes.zone))
    row: dict[str, Any] = {
        "Filename": found.file,
        "Device": quality.device,
        "SampleRate": quality.rate_hz,
        "NumTicks": quality.samples,
        "ReadErrors": quality.damaged_blocks,
        "StartTime": _text(begin),
        "EndTime": _text(end),
        "FirstDay(0=mon,6=sun)": int((begin.astype("datetime64[D]").astype(int) + 3) % 7),
        "DataSpan(days)": float(np.diff(minutes.spans[0])[0]) / (86400 * 1e9),
        "WearTime(days)": float(minutes.worn.sum()) / 86400,
        "NonwearTime(days)": float(minutes.nonwear.sum()) / 86400,
        "NumNonwearEpisodes": quality.nonwear_episodes,
        "NumInterrupts": quality.interrupts,
        "Covers24hOK": int(_covered(minutes)),
        "CalibErrorBefore(mg)": quality.calibration_error_before_mg,
        "CalibErrorAfter(mg)": quality.calibration_error_after_mg,
        "CalibOK": int(quality.calibrated),
        "ENMO(mg)": float(whole["enmo_mg"].mean()),
    }
    row |= _walking(minutes, whole, class_names)
    for place, day in enumerate(days.to_dict("records")):
        row[f"day{place}-recorded-wearTime(hrs)"] = day["wear_minutes"] / 60
        for name in class_names:
            row[f"day{place}-recorded-{name}(hrs)"] = day[f"minutes_{name}"] / 60
    return row


def _walking(minutes: MinuteTable, days: pd.DataFrame, class_names: Sequence[str]) -> dict[str, float]:
    """Minutes of walking as stepcount has them, if one class is walking."""
    found = [name for name in class_names if WALKING.fullmatch(name)]
    if len(found) != 1:
        return {}
    place = list(class_names).index(found[0])
    total = {"TotalWalking(mins)": float(minutes.seconds[:, place].sum()) / 60}
    values = days[f"minutes_{found[0]}"]
    return {
        **total,
        "WalkingDayAvg(mins)": float(values.mean()),
        "WalkingDayMed(mins)": float(values.median()),
        "WalkingDayMin(mins)": float(values.min()),
        "WalkingDayMax(mins)": float(values.max()),
    }


def _covered(minutes: MinuteTable) -> bool:
    """Whether each hour of the clock has some wear."""
    begin, end = (int(one) for one in minutes.spans[0])
    every = np.arange(begin // MINUTE, -(-end // MINUTE)) * MINUTE
    recorded = np.bincount(_hour(every, minutes), minlength=24) * 60.0
    worn = np.bincount(_hour(minutes.minute, minutes), minutes.worn, 24)
    return bool((recorded > 0).all() and (worn >= COVERED * recorded).all())


def _hour(instants: NDArray[np.int64], minutes: MinuteTable) -> NDArray[np.int64]:
    return to_local(instants, minutes.zone) % DAY // (60 * MINUTE)


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]")).replace("T", " ")
