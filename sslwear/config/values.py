"""Values of a study file as plain text, numbers, lists and mappings, and how messages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from sslwear.errors import SettingsError

MOST_LEVELS = 20
"""Largest depth of nested lists and mappings; a study file has 5."""
MOST_SHOWN = 100
"""Largest number of characters of a value or a key in a message."""


def plain(value: Any, levels: int = MOST_LEVELS) -> Any:
    """A value from Python as YAML has it: paths as text, NumPy numbers as numbers, tuples and arrays as lists.

    A set, whose order may differ between processes, is sorted.

    Args:
        value: a value; sections of settings become mappings of the keys that were given.
        levels: largest depth of nested lists and mappings.

    Raises:
        SettingsError: when lists and mappings are nested deeper, or contain themselves.
    """
    if levels < 0:
        raise SettingsError(f"the settings have more than {MOST_LEVELS} levels of lists and mappings. Remove some")
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, Mapping):
        return {key: plain(inner, levels - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, levels - 1) for inner in value]
    return str(value) if isinstance(value, Path) else value


def shown(value: Any) -> str:
    """A value in a message, on one line and not too long."""
    if value is None:
        return "no value"
    try:
        return _cut(repr(value))
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return "a number with too many digits"


def dotted(path: Iterable[Any]) -> str:
    """A key with the sections above it in a message, on one line and not too long."""
    text = ".".join(map(str, path))
    return _cut("".join(char if char.isprintable() else repr(char)[1:-1] for char in text))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
