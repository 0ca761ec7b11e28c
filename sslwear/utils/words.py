"""Numbers and values in the sentences that are shown to users."""

from __future__ import annotations

from typing import Any


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1: ``1 fold``, ``3 folds``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def shown(value: Any) -> str:
    """A setting or score as text: numbers with at most six digits, ``-`` for None, ``yes`` and ``no``, and lists."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return str(value)
