"""Values of ``augment``: texts, lists of texts, and the one text that settings have for a list."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.config import TrainingSettings, from_python
from sslwear.config.augment import augmentation_texts, joined


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("yes", True),
        ("no", False),
        ("rotation", True),
        (["rotation"], True),
        ("noise", "noise"),
        ("rotate(20)", "rotate(20)"),
        (" rotate ( 20.0 ) ", "rotate(20)"),
        ("jitter(2e-2)", "jitter(0.02)"),
        ("jitter(1e-5)", "jitter(1e-05)"),
        ("scale(+1e+0)", "scale(1)"),
        (["rotate(20)", "scale(0.1)"], "rotate(20)+scale(0.1)"),
        (("scale(0.10)", "rotate(20)"), "scale(0.1)+rotate(20)"),
        ("rotate(20) + scale(.1)", "rotate(20)+scale(0.1)"),
        (["rotation", "scale"], "rotation+scale"),
        (["rotate(20)+scale", "jitter"], "rotate(20)+scale+jitter"),
        ("rotate(x)", "rotate(x)"),
        ("rotate(nan)", "rotate(nan)"),
        ("rotate()", "rotate()"),
        ("rotate(20", "rotate(20"),
    ],
)
def test_a_value_has_one_spelling(value: Any, expected: bool | str) -> None:
    found = TrainingSettings(augment=value).augment
    assert (found, type(found)) == (expected, type(expected))
    assert TrainingSettings(augment=found).augment == found


def test_the_choices_of_a_search_are_values_of_augment() -> None:
    choices = [False, True, "rotate(20.0)", ["rotate(20)", "scale"]]
    settings = from_python({"study": "a", "data": "b", "search": {"augment": choices}}, {})
    assert settings.search.augment == (False, True, "rotate(20)", "rotate(20)+scale")


@given(st.lists(st.sampled_from(["rotate(20)", "scale", "jitter(1e-05)", "rotation"]), min_size=2))
def test_a_joined_text_has_the_texts_of_the_list(texts: list[str]) -> None:
    text = joined(texts)
    assert isinstance(text, str)
    assert augmentation_texts(text) == texts


@given(st.text(min_size=1).filter(str.strip))
def test_a_joined_text_stays_as_it_is(text: str) -> None:
    once = joined(text)
    assert joined(once) == once
