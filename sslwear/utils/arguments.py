"""Numbers in brackets in texts of a study file, such as ``rotate(20)``."""

from __future__ import annotations

import math
import re

from sslwear.errors import SettingsError


def argument(text: str, name: str, default: float | None, form: str | None = None) -> float | None:
    """Number in a text of the form ``name(number)``.

    Args:
        text: text of a study file.
        name: name before the brackets.
        default: number for ``name`` without brackets; None if a number is required.
        form: form to write, for messages; ``name(NUMBER)`` if it is None.

    Returns:
        The number, or None if the text has another form.

    Raises:
        SettingsError: when there is no number in the brackets, or a required number is missing.
    """
    match = re.fullmatch(rf"{re.escape(name)}\s*(?:\(([^()]*)\))?", text.strip())
    if match is None:
        return None
    if match[1] is None and default is not None:
        return default
    try:
        value = float(match[1] or "")
        if not math.isfinite(value):
            raise ValueError("not finite")
    except ValueError as error:
        raise SettingsError(f"{text!r} has no number in brackets. Write {form or f'{name}(NUMBER)'}") from error
    return value
