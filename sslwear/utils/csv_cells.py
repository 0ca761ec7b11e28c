"""CSV text that is safe to open in a spreadsheet: names that would be formulas get an apostrophe in front."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"''*[=+\-@\t\r]")


def csv_cell(value: Any) -> Any:
    """A cell or a column's name; texts that a spreadsheet would take for a formula get an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value) else value


def original_cell(value: Any) -> Any:
    """The value that `csv_cell` was given."""
    return value[1:] if isinstance(value, str) and _ESCAPED.match(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_csv(table: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Write a table without its index as CSV."""
    path.write_text(csv_text(table, float_format), encoding="utf-8", newline="")


def csv_text(table: pd.DataFrame, float_format: str | None = None) -> str:
    """A table without its index as CSV."""
    # Versions of pandas have different names for columns of texts, so the others are named.
    names = table.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz", "timedelta"]).columns
    escaped = table.assign(**{name: table[name].map(csv_cell) for name in names}).rename(columns=csv_cell)
    text: str = escaped.to_csv(index=False, float_format=float_format)
    if "\r" in text:  # pandas puts quotes around it only if it ends lines, too
        text = escaped.to_csv(index=False, float_format=float_format, lineterminator="\r\n")
    return text
