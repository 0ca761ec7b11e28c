"""Recipes of CONTRIBUTING.md run as they are written, and their classes keep the contracts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sslwear.testing.augmentations import AugmentationContract
from sslwear.testing.baselines import BaselineContract
from sslwear.testing.encoders import EncoderContract
from sslwear.testing.pretext import PretextTaskContract
from sslwear.testing.sources import SourceContract
from sslwear.testing.tuning import TuningStrategyContract
from sslwear.utils import plugins

TEXT = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text()
RECIPES = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def defined(start: str) -> Any:
    """The class or function of a recipe, by the start of its definition."""
    (code,) = (one for one in RECIPES if start in one)
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, start, "exec", dont_inherit=True), names)
    return names[start.split()[1].rstrip("(")]


class TestGym(SourceContract):
    source = defined("class Gym(")
    write = staticmethod(defined("def write("))


class TestOffset(AugmentationContract):
    augmentation = defined("class Offset(")


class TestMajority(BaselineContract):
    baseline = defined("class Majority(")


class TestTiny(EncoderContract):
    encoder = defined("class Tiny(")


class TestNoise(PretextTaskContract):
    task = defined("class Noise(")


class TestTapered(TuningStrategyContract):
    strategy = defined("class Tapered(")

    @pytest.fixture(autouse=True)
    def _found_by_its_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plugins, "find", lambda *_: {self.strategy.name: self.strategy})


def test_every_recipe_is_tested() -> None:
    classes = set(re.findall(r"^class (\w+)\((?!PretextTaskContract)", "".join(RECIPES), re.MULTILINE))
    assert classes == {name.removeprefix("Test") for name in globals() if name.startswith("Test")}
