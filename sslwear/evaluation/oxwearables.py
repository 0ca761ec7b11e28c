"""The columns of recordings under the names that stepcount and actinet use, where they mean the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sslwear.data.clock import to_local
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.day_table import DAY, day_table
from sslwear.evaluation.minute_table import MinuteTable
from sslwear.evaluation.people import RecordingSummary

WALKING = re.compile(r"walk(ing)?", re.IGNORECASE)
MIN_WEAR_H = 21.0
"""Hours of wear of a day that those programs use by default."""


def oxwearables_row(found: RecordingSummary, class_names: Sequence[str]) -> dict[str, Any]:
    """The row of a labelled recording, for files named as those programs name them.

    Args:
        found: a recording with minutes and quality.
        class_names: names of the classes.
    """
    minutes, quality = found.minutes, found.quality
    assert minutes is not None
    assert quality is not None
    rule = CountingRule(min_wear_h=MIN_WEAR_H)
    days = day_table(minutes, rule)
    whole = days[days["counted"]]
    begin, end = (np.datetime64(int(one), "ns") for one in to_local(minutes.spans[0], minutes.zone))
    worn = minutes.minute[minutes.worn > 0]
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
        "Covers24hOK": int(len(np.unique(to_local(worn, minutes.zone) % DAY // (DAY // 24))) == 24),
        "CalibErrorBefore(mg)": quality.calibration_error_before_mg,
        "CalibErrorAfter(mg)": quality.calibration_error_after_mg,
        "CalibOK": int(quality.calibrated),
        "ENMO(mg)": _weighted(minutes.enmo_mg, minutes.worn),
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


def _weighted(values: np.ndarray, weights: np.ndarray) -> float | None:
    return float((values * weights).sum() / weights.sum()) if weights.sum() else None


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]")).replace("T", " ")
