"""Study files are YAML 1.2, and texts that were written as YAML 1.1 are still read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.config import YamlError, from_yaml, to_yaml

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert from_yaml(to_yaml(value)) == value


@pytest.mark.parametrize("text", ["on", "off", "yes", "no", "y", "1:30", "1e", "e3"])
def test_words_are_text(text: str) -> None:
    assert from_yaml(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E3", 1e3), ("3e-4", 3e-4), ("0.001", 0.001), ("017", 17), ("0o17", 15), ("true", True)],
)
def test_numbers_and_booleans(text: str, value: Any) -> None:
    found = from_yaml(text)
    assert (found, type(found)) == (value, type(value))


def test_what_version_0_1_wrote_is_read() -> None:
    text = "rate: 1.0e-05\ndata: 'on'\nweights: 'null'\nlast: null\nshare: 0.001\nmany: true\nlist:\n- a\n- 2\n"
    assert from_yaml(text) == {
        "rate": 1e-5,
        "data": "on",
        "weights": "null",
        "last": None,
        "share": 0.001,
        "many": True,
        "list": ["a", 2],
    }


@pytest.mark.parametrize("printed", ["0.0001", "1e-05", "True", "False", "64"])
def test_what_python_prints_is_read_as_the_same_value(printed: str) -> None:
    assert repr(from_yaml(printed)) == printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "the key 'c' is given twice in line 4"),
        ("a: 2024-02-30", "'2024-02-30' cannot be read (day is out of range for month); put it in quotes in line 1"),
        ("a: \x00", "special characters are not allowed"),
        ("a: [", "in line 1"),
        ("a: 1\n---\nb: 1", "in line 2"),
    ],
)
def test_errors_say_what_and_where(text: str, message: str) -> None:
    with pytest.raises(YamlError) as caught:
        from_yaml(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
