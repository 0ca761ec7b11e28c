"""Tables about recordings: CSV files of labelled intervals, and of the participant of each recording."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sslwear.data.checks import is_missing
from sslwear.data.identity import participant_key, recording_key
from sslwear.errors import DataError

PARTICIPANT, RECORDING = "participant", "recording"
COLUMNS = (PARTICIPANT, "start", "end", "label")
Row = Mapping[str, str | None]


@dataclass(frozen=True)
class Interval:
    """A labelled interval.

    Attributes:
        participant: name of the participant, or of the recording.
        start: start in the device's local time.
        end: end in the device's local time, outside the interval.
        label: the label; empty where it is missing.
        line: line of the file.
        recording: name of the recording, from the column ``recording``; empty without such a column.
    """

    participant: str
    start: np.datetime64
    end: np.datetime64
    label: str
    line: int
    recording: str = ""


class IntervalIndex:
    """Indices of intervals by the names in them; comparing each with each recording would take long for many people.

    Args:
        intervals: the intervals.
    """

    def __init__(self, intervals: Sequence[Interval]) -> None:
        self._places: dict[tuple[bool, str], list[int]] = defaultdict(list)  # by whether it is a recording, and its key
        keys = {name: recording_key(name) for name in {one.recording or one.participant for one in intervals}}
        for i, one in enumerate(intervals):
            self._places[bool(one.recording), keys[one.recording or one.participant]].append(i)

    def of(self, recording: str, participant: str) -> list[int]:
        """Indices, increasing, of the intervals that label a recording of a participant.

        An interval that names no recording labels all of the participant's, or the one with the participant's name.
        """
        names = {recording_key(recording), recording_key(participant), participant_key(participant)}
        named = self._places.get((True, recording_key(recording)), [])
        return sorted([*named, *(i for name in names for i in self._places.get((False, name), []))])


def read_labels(path: Path) -> list[Interval]:
    """Read a table of labelled intervals.

    Args:
        path: a CSV file with the columns participant, start, end, label, and, if a participant has several recordings,
            recording.

    Returns:
        The intervals in order of time, those without a label included.

    Raises:
        DataError: with the line that is wrong.
    """
    intervals = [_interval(path, line, row) for line, row in table_rows(path, COLUMNS, (RECORDING,))]
    if all(interval.label == "" for interval in intervals):
        raise DataError(f"{path} has no label; write one into the column 'label' of each line")
    return sorted(intervals, key=lambda interval: interval.start)


def check_overlaps(path: Path, intervals: Sequence[Interval]) -> None:
    """Refuse overlapping intervals of one recording, which are in order of their starts.

    Raises:
        DataError: with their lines.
    """
    for one, other in pairwise(intervals):
        if one.end > other.start:
            lines = " and ".join(map(str, sorted((one.line, other.line))))
            raise DataError(f"{path}, lines {lines}: they overlap; end one before the other starts")


def read_participants(path: Path) -> list[tuple[str, str]]:
    """Read a table of recordings and their participants.

    Args:
        path: a CSV file with the columns recording, participant.

    Returns:
        Name of each recording, and of its participant.

    Raises:
        DataError: with the line that is wrong.
    """
    return [
        (name_of(path, line, row, RECORDING), name_of(path, line, row, PARTICIPANT))
        for line, row in table_rows(path, (RECORDING, PARTICIPANT))
    ]


def declared_participants(path: Path, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Participants by the key of a recording's name.

    Raises:
        DataError: when a recording has two participants.
    """
    found: dict[str, str] = {}
    for recording, participant in pairs:
        before = found.setdefault(recording_key(recording), participant)
        if participant_key(before) != participant_key(participant):
            raise DataError(
                f"{path}: the recording {recording!r} is of {before!r} and of {participant!r}; give it one participant"
            )
    return found


def table_rows(
    path: Path, required: Sequence[str], optional: Sequence[str] = (), form: str = ""
) -> list[tuple[int, Row]]:
    """The lines of a CSV file that are not blank, with their numbers.

    Args:
        path: the file.
        required: columns that it must have.
        optional: columns that it may have.
        form: what its first line must be, where that is more than the required columns.

    Raises:
        DataError: when it cannot be read, or a column or value is missing or repeated.
    """
    try:
        reader = csv.DictReader(io.StringIO(_text(path), newline=""))
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, _texts(row)))]
    except csv.Error as error:
        raise DataError(f"{path} cannot be read ({error}); save it as CSV, in UTF-8") from error
    first = form or ",".join(required)
    if missing := [name for name in required if name not in columns]:
        given = ",".join(columns)[:100]
        raise DataError(f"{path} has no column {missing[0]!r}; its first line must be {first}, but is {given!r}")
    known = [*required, *(name for name in optional if name in columns)]
    if repeated := [name for name in known if columns.count(name) > 1]:
        raise DataError(f"{path} has the column {repeated[0]!r} more than once; remove one")
    if not rows:
        raise DataError(f"{path} has no line below its first; write one for each {required[-1]}")
    for line, row in rows:
        if None in row:
            raise DataError(
                f"{path}, line {line}: there are more values than columns; put a label with a comma between quotes"
            )
        if missing := [name for name in known if row[name] is None]:
            raise DataError(f"{path}, line {line}: it ends before the column {missing[0]!r}; write all of {first}")
    return list(rows)


def _text(path: Path) -> str:
    """Content of a text file.

    Raises:
        DataError: when it cannot be read, or is not text in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; give the path of the table, or leave the option out") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8; save it as CSV, in UTF-8") from error
    if "\0" in text:  # UTF-16, or no text at all
        raise DataError(f"{path} is not text in UTF-8; save it as CSV, in UTF-8")
    return text


def _texts(row: Mapping[Any, Any]) -> list[str]:
    """All values of a row, also those beyond the columns."""
    return [text for value in row.values() for text in (value if isinstance(value, list) else [value or ""])]


def name_of(path: Path, line: int, row: Row, column: str) -> str:
    """A name in a row.

    Raises:
        DataError: when it is missing.
    """
    name = (row[column] or "").strip()
    if is_missing(name):
        raise DataError(f"{path}, line {line}: the {column} is missing ({name!r}); write its name")
    return name


def _interval(path: Path, line: int, row: Row) -> Interval:
    label = (row["label"] or "").strip()
    start, end = (_time(path, line, name, row[name] or "") for name in ("start", "end"))
    if end <= start:
        texts = [(row[name] or "").strip() for name in ("end", "start")]
        raise DataError(f"{path}, line {line}: the end {texts[0]} is not after the start {texts[1]}; correct it")
    recording = name_of(path, line, row, RECORDING) if RECORDING in row else ""
    participant = name_of(path, line, row, PARTICIPANT)
    return Interval(participant, start, end, "" if is_missing(label) else label, line, recording)


def _time(path: Path, line: int, column: str, text: str) -> np.datetime64:
    # pandas would guess other formats: 12:00 as noon today, 01/05 as the 5th of January
    try:
        time = pd.to_datetime(text.strip(), format="ISO8601") if re.match(r"\s*\d{4}-\d\d-\d\d", text) else pd.NaT
        time = time.as_unit("ns")  # the unit of the samples' times, in which the year 9999 does not fit
    except (AttributeError, ValueError):
        time = pd.NaT
    if pd.isna(time):
        raise DataError(f"{path}, line {line}: {column} is {text!r}; write a time such as 2024-04-30 14:53:00")
    if time.tzinfo is not None:
        raise DataError(f"{path}, line {line}: {column} is {text!r}; leave the time zone out, as the device does")
    return time.to_datetime64()
