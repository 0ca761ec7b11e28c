"""Table of people: a CSV file with properties of participants, such as sex or age band."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sslwear.data.checks import is_missing
from sslwear.data.identity import participant_key
from sslwear.data.tables.annotations import PARTICIPANT, name_of, table_rows
from sslwear.errors import DataError

MOST_GROUPS = 12
"""With more values, a column is taken as a measurement that was not put into bands."""


def read_people(path: Path, columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Values of some columns of a table of people.

    Args:
        path: a CSV file with the column participant, and one line for each participant.
        columns: names of the columns.

    Returns:
        For each column the value by the key of the participant's name; missing values are left out.

    Raises:
        DataError: when a column is missing or has more than `MOST_GROUPS` values, or a participant occurs twice.
    """
    found: dict[str, dict[str, str]] = {column: {} for column in columns}
    lines: dict[str, int] = {}
    for line, row in table_rows(path, (PARTICIPANT, *columns)):
        name = name_of(path, line, row, PARTICIPANT)
        key = participant_key(name)
        if key in lines:
            raise DataError(f"{path}, lines {lines[key]} and {line}: both are of {name!r}; leave one out")
        lines[key] = line
        for column in columns:
            value = (row[column] or "").strip()
            if not is_missing(value):
                found[column][key] = value
    for column, values in found.items():
        if (number := len(set(values.values()))) > MOST_GROUPS:
            raise DataError(
                f"{path}: the column {column!r} has {number} values, and at most {MOST_GROUPS} can be groups; write "
                "bands such as 40-49"
            )
        if not values:
            raise DataError(f"{path}: the column {column!r} is empty; choose another one with --by")
    return found
