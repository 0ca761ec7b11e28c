"""Names of classes, participants and recordings as texts of figures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sslwear.utils.console import printable

MOST_CHARACTERS = 60
"""Length of a text in a figure, whose size grows with the longest one."""


def plain(name: object) -> str:
    """A name as matplotlib shows it: no formulas between dollar signs, no control characters, and not too long."""
    text = printable(str(name).replace("\t", " "))
    text = f"{text[: MOST_CHARACTERS - 3]}..." if len(text) > MOST_CHARACTERS else text
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text  # a legend leaves out names that begin with _


@contextmanager
def any_letters() -> Iterator[None]:
    """Block that saves a figure without warnings of matplotlib about letters of a name that its font lacks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield
