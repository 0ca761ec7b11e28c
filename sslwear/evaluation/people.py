"""One row a person: minutes a day of each class, motion, wear, quality and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sslwear.data.files.clock import texts
from sslwear.data.files.quality import Quality
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.day_table import day_table, uncovered_hours
from sslwear.evaluation.minute_table import MinuteTable, joined

SUFFIXES = ("", "_weekday", "_weekend")
CLIPPED_SHARE = 0.001
"""Share of samples at the limit of the range above which a person is flagged."""
ERROR_MG = 10.0
"""Calibration error after calibration above which a person is flagged: actipy's limit for a device that is right."""


@dataclass(frozen=True)
class RecordingSummary:
    """What is known of a recording for the tables of people.

    Attributes:
        name: name of the recording.
        file: name of its file.
        minutes: its minutes; None if it was left out.
        quality: its quality; None if it was left out.
        warning: warning about the distribution of its windows, or None.
        reason: why it was left out; empty if it was labelled.
        error: the whole message; empty if it was labelled.
    """

    name: str
    file: str
    minutes: MinuteTable | None = None
    quality: Quality | None = None
    warning: str | None = None
    reason: str = ""
    error: str = ""


@dataclass(frozen=True)
class Person:
    """A person's row and days.

    Attributes:
        name: name of the person.
        row: columns of the table of people.
        days: the person's days, see `day_table`; None if no recording was labelled.
        recordings: the person's recordings.
        minutes: minutes of all recordings together, or None.
    """

    name: str
    row: Mapping[str, Any]
    days: pd.DataFrame | None
    recordings: Sequence[RecordingSummary]
    minutes: MinuteTable | None


def person(
    name: str,
    recordings: Sequence[RecordingSummary],
    class_names: Sequence[str],
    rule: CountingRule,
    model: Mapping[str, Any],
) -> Person:
    """Sum up a person's recordings.

    Args:
        name: name of the person.
        recordings: the recordings, also those that were left out.
        class_names: names of the classes.
        rule: which days and people count.
        model: columns about the model and the software, the same for all people.
    """
    tables = [one.minutes for one in recordings if one.minutes is not None]
    lost = [f"{one.name}: {one.reason}" for one in recordings if one.reason]
    if not tables:
        row = {"person": name, "recordings": _names(recordings), "counts": False, "why_not": "; ".join(lost)}
        return Person(name, {**row, "recordings_left_out": len(lost), **model}, None, recordings, None)
    whole = joined(tables)
    days = day_table(whole, rule)
    counted = days[days["counted"]]
    weekend = counted["weekend"].to_numpy(bool)
    problems = list(rule.person_problems(int((~weekend).sum()), int(weekend.sum()), uncovered_hours(whole, days)))
    row = {
        "person": name,
        "recordings": _names(recordings),
        "counts": not problems,
        "why_not": "; ".join(problems),
        "start": texts(whole.spans.min(keepdims=True)[0], whole.zone, "s")[0],
        "end": texts(whole.spans.max(keepdims=True)[0], whole.zone, "s")[0],
        "timezone": whole.zone or "",
        "days": len(days),
        "counted_days": len(counted),
        "counted_weekdays": int((~weekend).sum()),
        "counted_weekend_days": int(weekend.sum()),
        **_lengths(whole),
        **_outcomes(counted, class_names),
        **_quality(recordings),
        "hours_never_worn": uncovered_hours(whole, days),
        "recordings_left_out": len(lost),
        **_flags(recordings, whole, days),
        **model,
    }
    return Person(name, row, days, recordings, whole)


def _names(recordings: Sequence[RecordingSummary]) -> str:
    return "; ".join(one.name for one in recordings)


def _lengths(whole: MinuteTable) -> dict[str, float]:
    """Minutes of all recordings together, which add up: recording = wear + non-wear + gaps."""
    recording = float(np.diff(whole.spans, axis=1).sum()) / 6e10
    wear, nonwear = float(whole.worn.sum()) / 60, float(whole.nonwear.sum()) / 60
    return {
        "recording_minutes": recording,
        **{f"total_minutes_{name}": float(whole.seconds[:, i].sum()) / 60 for i, name in enumerate(whole.class_names)},
        "total_wear_minutes": wear,
        "total_nonwear_minutes": nonwear,
        "total_gap_minutes": max(0.0, round(recording - wear - nonwear, 9)),
        "overlap_minutes": whole.overlap_s / 60,
    }


def _outcomes(counted: pd.DataFrame, class_names: Sequence[str]) -> dict[str, float]:
    """Means over the days that count: overall, weekdays and weekend days, as observed and imputed."""
    values = [*(f"minutes_{name}" for name in class_names), "wear_minutes", "enmo_mg"]
    found: dict[str, float] = {}
    for suffix in SUFFIXES:
        chosen = counted
        if suffix:
            chosen = counted[counted["weekend"] == (suffix == "_weekend")]
        for value in values:
            found[f"{value}{suffix}"] = _mean(chosen[value])
        for value in values:
            if value != "wear_minutes":
                found[f"{value}{suffix}_imputed"] = _mean(chosen[f"{value}_imputed"], every=True)
        found[f"imputed_minutes{suffix}"] = _mean(chosen["imputed_minutes"], every=True)
    return found


def _mean(values: pd.Series[Any], every: bool = False) -> float:
    """Mean; NaN of no values, and with `every` also if one is missing."""
    return float(values.mean(skipna=not every)) if len(values) else float("nan")


def _quality(recordings: Sequence[RecordingSummary]) -> dict[str, Any]:
    """Quality of the recordings: the worst of several, and sums of what is counted."""
    known = [one.quality for one in recordings if one.quality is not None]
    errors = {
        "calibration_error_before_mg": [one.calibration_error_before_mg for one in known],
        "calibration_error_after_mg": [one.calibration_error_after_mg for one in known],
    }
    samples = sum(one.samples for one in known)
    return {
        "device": "; ".join(dict.fromkeys(one.device for one in known)),
        "rate_hz": min(one.rate_hz for one in known),
        "calibrated": all(one.calibrated for one in known),
        **{name: max((v for v in values if v is not None), default=float("nan")) for name, values in errors.items()},
        "clipped_share": sum(one.clipped_share * one.samples for one in known) / max(1, samples),
        "interrupts": sum(one.interrupts for one in known),
        "cut_seconds": sum(one.cut_seconds for one in known),
        "damaged_blocks": sum(one.damaged_blocks for one in known),
        "nonwear_episodes": sum(one.nonwear_episodes for one in known),
    }


def _flags(recordings: Sequence[RecordingSummary], whole: MinuteTable, days: pd.DataFrame) -> dict[str, bool]:
    """What a reader of the row should know; a flag leaves nobody out."""
    known = [one.quality for one in recordings if one.quality is not None]
    error = max((one.calibration_error_after_mg or 0.0 for one in known), default=0.0)
    counted = days[days["counted"]]
    return {
        "flag_not_calibrated": not all(one.calibrated for one in known),
        "flag_calibration_error": error > ERROR_MG,
        "flag_clipped": _quality(recordings)["clipped_share"] > CLIPPED_SHARE,
        "flag_unlike_training_data": any(one.warning for one in recordings),
        "flag_clock_change": bool((days["length_minutes"] != 1440).any()),
        "flag_not_imputed": bool(counted["imputed_minutes"].isna().any()),
        "flag_overlap": whole.overlap_s > 0,
        "flag_recordings_left_out": any(one.reason for one in recordings),
    }
