"""The examples in the documentation of study files can be read."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from sslwear.config import from_python, from_yaml

DOCS = Path(__file__).resolve().parents[3] / "docs"
EXAMPLES = [
    pytest.param(text, id=f"{path.stem}-{number}")
    for path in sorted(DOCS.glob("*.md"))
    for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE))
]


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_read(text: str) -> None:
    content = {"study": "a", "data": "smartwatch", **from_yaml(text)}
    content.pop("base", None)
    assert from_python(content, {}).data


def test_the_page_of_all_keys_is_current() -> None:
    found = runpy.run_path(str(DOCS / "keys.py"))
    assert (DOCS / "keys.md").read_text() == found["page"](), "run python docs/keys.py"
