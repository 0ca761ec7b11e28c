"""Numbers and values in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from sslwear.utils.words import count, shown


def test_a_noun_is_in_the_plural_unless_there_is_one() -> None:
    assert [count(number, "fold") for number in (0, 1, 2)] == ["0 folds", "1 fold", "2 folds"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0003162277660168379, "0.000316228"),
        (1e-05, "1e-05"),
        (True, "yes"),
        (False, "no"),
        (None, "-"),
        (16, "16"),
        ("layer4-5", "layer4-5"),
        (("none", 0.5, False), "none, 0.5, no"),
    ],
)
def test_values_are_short(value: Any, text: str) -> None:
    assert shown(value) == text
