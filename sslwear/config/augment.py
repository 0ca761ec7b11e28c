"""Value of ``augment`` in a study file: a boolean, the text of an augmentation, or a list of such texts.

Settings have a list as one text, ``rotate(20)+scale(0.1)``, so that Optuna and MLflow can store it. A study file may
have such a text too.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sslwear.config.values import shown

ROTATION = "rotation"
"""The augmentation that ``augment: true`` stands for."""
JOIN = "+"
BETWEEN = re.compile(r"\+(?![^(]*\))")
"""What joins augmentations in a text; the sign of a number in brackets does not."""
NUMBERED = re.compile(r"([^()]*?)\s*\((.*)\)")


def augmentation_texts(text: str) -> list[str]:
    """Texts of the single augmentations in a text, in one spelling: ``rotate( 20.0 )`` is ``rotate(20)``."""
    return [_in_one_spelling(part.strip()) for part in BETWEEN.split(text)]


def _in_one_spelling(text: str) -> str:
    """The text with its number as short as can be; without a number it stays as it is, to be refused by its name."""
    match = NUMBERED.fullmatch(text)
    try:
        number = float(match[2]) if match is not None else math.nan
    except ValueError:
        return text
    return text if match is None or not math.isfinite(number) else f"{match[1]}({repr(number).removesuffix('.0')})"


def joined(value: Any) -> bool | str:
    """Value of ``augment`` as a boolean or one text; the name of the rotation of ``true`` is read as true.

    Raises:
        ValueError: when it is something else.
    """
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("give at least one augmentation, or false")
        for text in value:
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"a list should have texts such as rotate(20) or rotation, but has {shown(text)}")
        value = JOIN.join(value)
    if isinstance(value, str) and value.strip():
        text = JOIN.join(augmentation_texts(value))
        return True if text == ROTATION else text
    if isinstance(value, str) or value not in (True, False):
        raise ValueError(
            f"input should be true, false, a text such as rotate(20), or a list of such texts, but got {shown(value)}"
        )
    return bool(value)


Augment = Annotated[
    bool | str,
    Field(union_mode="left_to_right"),  # so that yes and no are read as booleans
    BeforeValidator(joined, bool | str | tuple[str, ...]),
]
"""Whether to augment, or the texts of augmentations, joined in the order in which they are applied."""
