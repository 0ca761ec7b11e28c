"""Tables of labelled minutes: CSV files with the minutes of each class of a participant, overall or day by day."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslwear.data.checks import is_missing
from sslwear.data.identity import participant_key
from sslwear.data.tables.annotations import PARTICIPANT, Row, name_of, table_rows
from sslwear.errors import DataError
from sslwear.utils.csv_cells import original_cell

DAY, LABEL, MINUTES = "day", "label", "minutes"
WIDE = f"{MINUTES}_"
"""Start of the name of a column with the minutes of one class, as in the days tables of ``sslwear predict``."""
DAY_MINUTES = 1500.0
"""Most minutes of a day: on which the clocks go back, it has 25 hours."""
INTERVALS = ("start", "end")
FORMS = "participant,start,end,label, or participant,label,minutes or participant,day,label,minutes"
"""First lines that a table of labels may have."""


@dataclass(frozen=True)
class LabelledMinutes:
    """Minutes of a class.

    Attributes:
        participant: name of the participant.
        day: the day; None in a table without days.
        label: name of the class.
        minutes: minutes of the class; NaN where the cell is empty.
        line: line of the file.
    """

    participant: str
    day: np.datetime64 | None
    label: str
    minutes: float
    line: int


def has_intervals(path: Path) -> bool:
    """Whether a table of labels has intervals and not minutes, by its columns.

    Raises:
        DataError: when it cannot be read, or has neither.
    """
    _, first = table_rows(path, (PARTICIPANT,), form=FORMS)[0]
    if all(name in first for name in INTERVALS):
        return True
    if MINUTES in first or any(name.startswith(WIDE) for name in first):
        return False
    raise DataError(f"{path} has neither intervals nor minutes; its first line must be {FORMS}")


def read_minutes(path: Path) -> list[LabelledMinutes]:
    """Read a table of labelled minutes.

    Args:
        path: a CSV file with the columns participant, label, minutes, or with the columns participant and
            ``minutes_CLASS`` of each class; with the column ``day``, each line is of one day.

    Raises:
        DataError: with the line that is wrong.
    """
    table = table_rows(path, (PARTICIPANT,), (DAY,))
    wide = [name for name in table[0][1] if name.startswith(WIDE)]
    if not wide:
        table = table_rows(path, (PARTICIPANT, LABEL, MINUTES), (DAY,))
    found = []
    for line, row in table:
        participant = name_of(path, line, row, PARTICIPANT)
        day = _day(path, line, row[DAY] or "") if DAY in row else None
        cells = {name.removeprefix(WIDE): name for name in wide} or {_label(path, line, row): MINUTES}
        for label, column in cells.items():
            found.append(LabelledMinutes(participant, day, label, _minutes(path, line, row, column, day), line))
    _check_repeated(path, found)
    if all(math.isnan(one.minutes) for one in found):
        raise DataError(f"{path} has no minutes; write a number for each participant and class")
    return found


def _label(path: Path, line: int, row: Row) -> str:
    return str(original_cell(name_of(path, line, row, LABEL)))


def _day(path: Path, line: int, text: str) -> np.datetime64:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[ T]00:00(?::00)?)?", text.strip())
    try:
        if match is None:
            raise ValueError(text)
        return np.datetime64(match[1], "D")
    except ValueError as error:
        raise DataError(f"{path}, line {line}: day is {text!r}; write a date such as 2024-04-30") from error


def _minutes(path: Path, line: int, row: Row, column: str, day: np.datetime64 | None) -> float:
    text = (row[column] or "").strip()
    if is_missing(text):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0 or math.isinf(value):
        raise DataError(f"{path}, line {line}: {column} is {text!r}; write a number of minutes, not below 0")
    if day is not None and value > DAY_MINUTES:
        raise DataError(
            f"{path}, line {line}: {column} is {text}, but a day has at most {DAY_MINUTES:g} minutes; correct it"
        )
    return value


def _check_repeated(path: Path, found: Sequence[LabelledMinutes]) -> None:
    """Refuse two lines about one class of a participant, and of a day where there are days."""
    lines: dict[object, int] = {}
    for one in found:
        before = lines.setdefault((participant_key(one.participant), one.day, one.label), one.line)
        if before != one.line:
            on = "" if one.day is None else f" on {one.day}"
            raise DataError(
                f"{path}, lines {before} and {one.line}: both are of {one.participant!r} and {one.label!r}{on}; add "
                "their minutes up in one line"
            )
