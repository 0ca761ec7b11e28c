"""Tables of labelled intervals: CSV files with the columns participant, start, end, label."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sslwear.errors import DataError

COLUMNS = ["participant", "start", "end", "label"]
MISSING = ("", "nan", "<na>")
"""Texts that stand for a missing label."""


@dataclass(frozen=True)
class Interval:
    """A labelled interval.

    Attributes:
        participant: name of the participant.
        start: start in the device's local time.
        end: end in the device's local time, outside the interval.
        label: the label.
        line: line of the file.
    """

    participant: str
    start: np.datetime64
    end: np.datetime64
    label: str
    line: int


def read_labels(path: Path, participants: Collection[str]) -> list[Interval]:
    """Read a table of labelled intervals; those of a participant must not overlap.

    Args:
        path: a CSV file with the columns participant, start, end, label.
        participants: participants whose intervals are returned; those of others are only checked.

    Returns:
        The intervals, sorted by participant and start.

    Raises:
        DataError: with the line that is wrong.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader if any(map(str.strip, _texts(row)))]
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; give the path of the labels, or leave them out") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}); save it as CSV, in UTF-8") from error
    if missing := [name for name in COLUMNS if name not in columns]:
        raise DataError(f"{path} has no column {missing[0]!r}; its first line must be {','.join(COLUMNS)}")
    if repeated := [name for name in COLUMNS if columns.count(name) > 1]:
        raise DataError(f"{path} has the column {repeated[0]!r} more than once; remove one")
    if not rows:
        raise DataError(f"{path} has no line below its first; write one for each labelled interval")
    intervals = sorted(
        (_interval(path, line, row) for line, row in rows),
        key=lambda interval: (interval.participant, interval.start),
    )
    for one, other in pairwise(intervals):
        if one.participant == other.participant and one.end > other.start:
            raise DataError(f"{path}, lines {one.line} and {other.line}: they overlap; end one before the other starts")
    wanted = [interval for interval in intervals if interval.participant in participants]
    if not wanted:
        raise DataError(
            f"{path}: no file has the name of a participant in it, such as {intervals[0].participant!r}; the names of "
            f"the files without their endings are {', '.join(list(participants)[:5])}"
        )
    return wanted


def _texts(row: Mapping[Any, Any]) -> list[str]:
    """All values of a row, also those beyond the columns."""
    return [text for value in row.values() for text in (value if isinstance(value, list) else [value or ""])]


def _interval(path: Path, line: int, row: Mapping[str, str | None]) -> Interval:
    where = f"{path}, line {line}"
    if None in row:
        raise DataError(f"{where}: there are more values than columns; put a label with a comma between quotes")
    if missing := [name for name in COLUMNS if row[name] is None]:
        raise DataError(f"{where}: it ends before the column {missing[0]!r}; write all of {','.join(COLUMNS)}")
    participant, label = ((row[name] or "").strip() for name in ("participant", "label"))
    if not participant:
        raise DataError(f"{where}: the participant is empty; write the file's name without its ending")
    if label.lower() in MISSING:
        raise DataError(f"{where}: the label is empty ({label!r}); write one, or leave the line out")
    start, end = (_time(where, name, row[name] or "") for name in ("start", "end"))
    if end <= start:
        raise DataError(f"{where}: the end {end} is not after the start {start}; correct it")
    return Interval(participant, start, end, label, line)


def _time(where: str, column: str, text: str) -> np.datetime64:
    # pandas would guess other formats: 12:00 as noon today, 01/05 as the 5th of January
    try:
        time = pd.to_datetime(text.strip(), format="ISO8601") if re.match(r"\s*\d{4}-\d\d-\d\d", text) else pd.NaT
        time = time.as_unit("ns")  # the unit of the samples' times, in which the year 9999 does not fit
    except (AttributeError, ValueError):
        time = pd.NaT
    if pd.isna(time):
        raise DataError(f"{where}: {column} is {text!r}; write a time such as 2024-04-30 14:53:00")
    if time.tzinfo is not None:
        raise DataError(f"{where}: {column} is {text!r}; leave the time zone out, as the device does")
    return time.to_datetime64()
