"""The ``sslwear augment`` commands, as a user calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from sslwear.augmentations.base import find, forms_of
from sslwear.cli.app import app
from sslwear.utils import plugins

PLUGIN = '''\
import torch

from sslwear.augmentations.base import Augmentation


class Shifted(Augmentation):
    """Shifts the window by a random value."""

    name = "shifted_in_a_test"

    def draw(self, count, generator):
        return torch.randn(count, 1, 1, generator=generator)

    def apply(self, x, drawn):
        return x + drawn
'''


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(plugins, "_files", {})


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["augment", *map(str, arguments)])


def test_list_shows_the_forms_of_each_augmentation_and_what_it_does() -> None:
    result = call("list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert lines.keys() == find().keys()
    for name, augmentation in find().items():
        assert ", ".join(forms_of(augmentation)) in lines[name]
        assert (augmentation.__doc__ or "").splitlines()[0] in lines[name]


def test_the_help_shows_a_list_as_it_is_written() -> None:
    assert "'[rotate(20), jitter(0.02)]'" in call("show", "--help").stdout


def test_augmentations_of_a_file_are_listed_and_shown(tmp_path: Path, small_folder: Path) -> None:
    (tmp_path / "shifted.py").write_text(PLUGIN)
    result = call("list", "--plugin", "shifted.py")
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("shifted_in_a_test"))
    assert line.strip().split(maxsplit=2)[1:] == ["shifted_in_a_test", "Shifts the window by a random value."]
    result = call("show", "[scale, shifted_in_a_test]", "--plugin", "shifted.py", "--data", small_folder)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "augment-scale-shifted_in_a_test.png").exists()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rotate(20)", "rotate-20"),
        ("rotation", "rotation"),
        ("true", "rotation"),
        ("[rotate(20), scale(0.1), tempo(0.15), jitter(0.02)]", "rotate-20-scale-0.1-tempo-0.15-jitter-0.02"),
        ("rotate(20)+jitter(1e-5)", "rotate-20-jitter-1e-05"),
    ],
)
def test_show_draws_texts_and_lists(text: str, name: str, small_folder: Path, tmp_path: Path) -> None:
    result = call("show", text, "--data", small_folder)
    assert result.exit_code == 0, result.output
    target = tmp_path / f"augment-{name}.png"
    assert result.stdout.startswith(target.name)
    assert target.read_bytes().startswith(b"\x89PNG")


def test_show_gives_the_same_figure_each_time_and_another_one_for_other_windows_and_seeds(
    small_folder: Path, tmp_path: Path
) -> None:
    found = []
    for changes in ([], [], ["--seed", "1"], ["--window", "0"], ["--window", "1"]):
        result = call("show", "scale", "--data", small_folder, "--out", "x.png", *changes)
        assert result.exit_code == 0, result.output
        found.append((tmp_path / "x.png").read_bytes())
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_show_uses_the_smart_watch_by_default(tmp_path: Path) -> None:
    assert call("show", "mask").exit_code == 0
    assert (tmp_path / "augment-mask.png").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["noise"], "augment show: there is no 'noise'; choose one of true, false, flip(AXIS), "),
        (["rotate(x)"], "augment show: 'rotate(x)' has no number in brackets. Write rotate(DEGREES)"),
        (["[scale, 3]"], "augment show: a list should have texts such as rotate(20) or rotation, but has 3"),
        (["[scale"], "augment show: '[scale' is not a YAML value"),
        (["false"], "augment show: false is for no augmentation. Choose one of those in 'sslwear augment list'"),
        (["scale", "--data", "nowhere"], "data: 'nowhere' is neither a directory nor a source"),
        (["scale", "--out", "x.abc"], "--out x.abc: cannot be written"),
        (["scale", "--out", "x"], "--out x: has no ending. Give a file such as x.png"),
        (["scale", "--plugin", "none.py"], "none.py cannot be read"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(arguments: list[str], sentence: str, small_folder: Path) -> None:
    result = call("show", *arguments, *([] if "--data" in arguments else ["--data", str(small_folder)]))
    assert result.exit_code == 1
    assert result.stderr.startswith("sslwear: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_window_that_does_not_exist_is_refused(small_folder: Path) -> None:
    count = len(np.load(small_folder / "X.npy"))
    assert call("show", "scale", "--data", small_folder, "--window", str(count - 1)).exit_code == 0
    result = call("show", "scale", "--data", small_folder, "--window", str(count))
    assert result.exit_code == 1
    expected = f"--window {count}: the data have the windows 0 to {count - 1}. Give one of them"
    assert result.stderr == f"sslwear: {expected}\n"
