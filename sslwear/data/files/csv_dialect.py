"""Dialect of a CSV recording, by its first lines: what separates values, decimal commas, and where the columns are."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sslwear.data.files.recording_format import BY_PLACE, OTHER_COLUMNS, TableError

SEPARATORS = (",", ";", "\t")
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*")
NUMBER = re.compile(r"\s*[+-]?[\d.,eE+-]+\s*")
JUDGED_LINES = 50
"""Lines from which decimal commas are found."""


@dataclass(frozen=True)
class Dialect:
    """How the lines of a file are read.

    Attributes:
        separator: what is between two values.
        decimal: ``.`` or ``,``.
        names: a name for each column; those that are not read have numbers.
        header: whether the first line has names.
    """

    separator: str
    decimal: str
    names: tuple[str, ...]
    header: bool

    @property
    def note(self) -> str:
        """What is unusual, in words; empty for commas and decimal points."""
        parts = {";": "semicolons between values", "\t": "tabs between values"}
        found = [parts[self.separator]] if self.separator in parts else []
        return ", ".join([*found, *(["decimal commas"] if self.decimal == "," else [])])


def find_dialect(beginning: bytes, columns: Sequence[str], read_as: Sequence[str]) -> Dialect:
    """Find the dialect of a file.

    Args:
        beginning: the first lines of the file.
        columns: names of the columns to read, or their places, from 1 on.
        read_as: the names that they get.

    Raises:
        ValueError: when they are not text, a column is missing or repeated, or a line has more values than columns.
    """
    first, *lines = beginning.decode("utf-8-sig", errors="replace").split("\n")
    first = first.strip("\r\n") if first.strip() else ""
    if "\0" in first or "\ufffd" in first:
        raise ValueError("it is not text in UTF-8")
    separator, given = _header(first, columns)
    numbered = all(name.isdecimal() for name in columns)
    header = True
    if numbered and not set(columns) <= set(given):
        header, places = _numbered(given, columns)
    else:
        if missing := [name for name in columns if name not in given]:
            what = f"it has no column {', '.join(missing)}; its first line is {first.strip()[:100]!r}"
            nameless = len(given) >= len(columns) and all(map(NUMBER.fullmatch, given[1:]))
            raise TableError(what, BY_PLACE if nameless else OTHER_COLUMNS)
        if repeated := [name for name in columns if given.count(name) > 1]:
            raise ValueError(f"it has the column {repeated[0]} more than once")
        places = [given.index(name) for name in columns]
    rows = list(csv.reader(lines[:-1] if header else [first, *lines[:-1]], delimiter=separator, skipinitialspace=True))
    for number, values in enumerate(rows, 1 + header):  # pandas would take the first values
        if any(map(str.strip, values[len(given) :])):
            raise ValueError(f"line {number} has more values than the first line has columns, as with decimal commas")
    axes = [row[place] for row in rows[:JUDGED_LINES] for place in places[-3:] if place < len(row)]
    commas = any(DECIMAL_COMMA.fullmatch(text) for text in axes) and not any("." in text for text in axes)
    decimal = "," if commas else "."
    names = [str(i) for i in range(len(given))]
    for place, name in zip(places, read_as, strict=True):
        names[place] = name
    return Dialect(separator, decimal, tuple(names), header)


def _header(first: str, columns: Sequence[str]) -> tuple[str, list[str]]:
    """The separator, and the values of the first line; of several separators the one with most of the columns."""
    found = {}
    for separator in SEPARATORS:
        values = next(csv.reader([first], delimiter=separator, skipinitialspace=True), [])
        found[separator] = [value.strip(' "') for value in values]
    best = max(SEPARATORS, key=lambda one: (len(set(columns) & set(found[one])), -SEPARATORS.index(one)))
    if not set(columns) & set(found[best]) and all(name.isdecimal() for name in columns):
        best = max(SEPARATORS[1:], key=lambda one: len(found[one]))
        best = best if len(found[best]) >= len(columns) else SEPARATORS[0]
    return best, found[best]


def _numbered(given: Sequence[str], columns: Sequence[str]) -> tuple[bool, list[int]]:
    """Whether a file has a line of names, and the places of columns that are given by number."""
    places = [int(name) - 1 for name in columns]
    if min(places) < 0 or max(places) >= len(given):
        raise ValueError(f"it has {len(given)} columns, and no column {max(places) + 1 if min(places) >= 0 else 0}")
    return not all(NUMBER.fullmatch(given[place]) for place in places[-3:]), places
