"""Texts of augmentations in a study file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslwear.augmentations.base import Augmentation, Augmentations, find, forms_of, in_turn, parse
from sslwear.augmentations.flip import Flip
from sslwear.augmentations.jitter import Jitter
from sslwear.augmentations.mask import Mask
from sslwear.augmentations.rotation import Rotation
from sslwear.augmentations.scale import Scale
from sslwear.augmentations.scale_motion import ScaleMotion
from sslwear.augmentations.tempo import Tempo
from sslwear.augmentations.time_warp import TimeWarp
from sslwear.errors import SettingsError
from sslwear.utils import plugins


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rotation", Rotation()),
        ("rotate", Rotation(180)),
        ("rotate(20)", Rotation(20)),
        ("scale", Scale(0.1)),
        ("scale(0.2)", Scale(0.2)),
        ("scale_motion(0.3)", ScaleMotion(0.3)),
        ("tempo(0.15)", Tempo(0.15)),
        ("jitter(0.02)", Jitter(0.02)),
        ("time_warp(0.1)", TimeWarp(0.1)),
        ("mask(0.3)", Mask(0.3)),
        ("flip(3)", Flip(3)),
        ("rotate(20)+scale", (Rotation(20), Scale())),
        ("scale+rotate(20)", (Scale(), Rotation(20))),
        ("jitter+jitter", (Jitter(), Jitter())),
    ],
)
def test_a_text_names_augmentations_in_their_order(text: str, expected: Augmentations) -> None:
    assert parse(text) == expected
    assert in_turn(parse(text)) == (expected if isinstance(expected, tuple) else (expected,))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rotate(x)", "'rotate(x)' has no number in brackets. Write rotate(DEGREES)"),
        ("rotate()", "'rotate()' has no number in brackets. Write rotate(DEGREES)"),
        ("rotate(0)", "in rotate(DEGREES), the number must be above 0 and at most 180, but is 0"),
        ("rotate(181)", "in rotate(DEGREES), the number must be above 0 and at most 180, but is 181"),
        ("scale(-0.1)", "in scale(SHARE), the number must be above 0 and at most 0.9, but is -0.1"),
        ("scale(10)", "in scale(SHARE), the number must be above 0 and at most 0.9, but is 10"),
        ("scale_motion(1)", "in scale_motion(SHARE), the number must be above 0 and at most 0.9, but is 1"),
        ("tempo(1)", "in tempo(SHARE), the number must be above 0 and at most 0.9, but is 1"),
        ("jitter(2)", "in jitter(SIGMA_G), the number must be above 0 and at most 1, but is 2"),
        ("time_warp(2)", "in time_warp(SIGMA), the number must be above 0 and at most 1, but is 2"),
        ("mask(1)", "in mask(SHARE), the number must be above 0 and at most 0.9, but is 1"),
        ("flip(4)", "in flip(AXIS), the axis must be 1, 2 or 3 for x, y or z, but is 4"),
        ("flip(1.5)", "in flip(AXIS), the axis must be 1, 2 or 3 for x, y or z, but is 1.5"),
        ("rotate(20)+scale(x)", "'scale(x)' has no number in brackets. Write scale(SHARE)"),
    ],
)
def test_a_number_that_is_not_allowed_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse(text, "search.augment")
    assert str(error.value) == f"search.augment: {sentence}"


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("noise", "noise"),
        ("rotation(20)", "rotation(20)"),
        ("rotate(20)+noise(1)", "noise(1)"),
        ("rotate(20), scale(0.1)", "rotate(20), scale(0.1)"),
        ("scale+", ""),
        ("Scale", "Scale"),
    ],
)
def test_an_unknown_text_is_refused_with_the_forms_that_there_are(text: str, unknown: str) -> None:
    forms = ", ".join(form for augmentation in find().values() for form in forms_of(augmentation))
    assert forms.startswith("flip(AXIS), jitter(SIGMA_G), ")
    assert "rotation, rotate(DEGREES), scale(SHARE)" in forms
    with pytest.raises(SettingsError) as error:
        parse(text, "training.augment")
    expected = f"training.augment: there is no {unknown!r}; choose one of true, false, {forms}, or a list of them"
    assert str(error.value) == expected


PLUGIN = """\
import torch

from sslwear.augmentations.base import Augmentation


class Shifted(Augmentation):
    name = "shifted-in a test"

    def draw(self, count, generator):
        return torch.randn(count, 1, 1, generator=generator)

    def apply(self, x, drawn):
        return x + drawn
"""


def test_a_plugin_needs_a_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_files", {})
    (tmp_path / "shifted.py").write_text(PLUGIN)
    plugins.load_file(tmp_path / "shifted.py")
    found = parse("shifted-in a test")
    assert isinstance(found, Augmentation)
    assert in_turn(parse("scale+shifted-in a test")) == (Scale(), found)
    with pytest.raises(SettingsError, match=r"there is no 'shifted-in a test\(1\)'; .*, shifted-in a test, "):
        parse("shifted-in a test(1)")
