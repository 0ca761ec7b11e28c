"""Recipes of CONTRIBUTING.md run as they are written, and their classes keep the contracts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sslwear.testing.augmentations import AugmentationContract
from sslwear.testing.baselines import BaselineContract

TEXT = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text()
RECIPES = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def defined(name: str) -> Any:
    """The class of a recipe."""
    (code,) = (one for one in RECIPES if f"class {name}(" in one)
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, name, "exec", dont_inherit=True), names)
    return names[name]


class TestScale(AugmentationContract):
    augmentation = defined("Scale")


class TestMajority(BaselineContract):
    baseline = defined("Majority")


def test_the_other_recipe_runs() -> None:
    assert list(defined("Noise")().transforms()) == ["noise"]
