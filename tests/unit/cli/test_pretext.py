"""The ``sslwear pretext`` commands, as a user calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from sslwear.cli import pretext
from sslwear.cli.app import app
from sslwear.data.arrays import motion
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.shards import open_shards
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.pretext.base import find


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(tmp_path / "home"))


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["pretext", *map(str, arguments)])


def test_list_shows_the_question_and_score_of_each_task() -> None:
    result = call("list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert lines.keys() == find().keys()
    for name, task in find().items():
        assert lines[name].split()[1] == task.headline
        assert task.title in lines[name]


@pytest.mark.parametrize("name", find())
def test_show_draws_every_task(name: str, small_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "picture.png"
    result = call("show", name, "--out", target, "--data", small_folder)
    assert result.exit_code == 0, result.output
    assert str(target) in result.stdout
    assert target.read_bytes().startswith(b"\x89PNG")


def test_show_uses_the_smart_watch_by_default_and_gives_the_same_figure_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("show", "permutation").exit_code == 0
    first = (tmp_path / "pretext-permutation.png").read_bytes()
    assert call("show", "permutation", "--seed", "1").exit_code == 0
    assert (tmp_path / "pretext-permutation.png").read_bytes() != first
    assert call("show", "permutation").exit_code == 0
    assert (tmp_path / "pretext-permutation.png").read_bytes() == first


def test_the_window_has_more_motion_than_most(small_folder: Path) -> None:
    window, rate_hz = pretext._active_window(small_folder)
    everything = motion(np.load(small_folder / "X.npy"))
    assert window.shape == (150, 3)
    assert rate_hz == 30
    assert 0.85 < (everything < motion(window[None])[0]).mean() < 0.95


def test_unlabelled_shards_can_be_shown(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    prepare(Smartwatch(), folder, WindowPlan(window_s=5, step_s=30, unlabelled=True))
    window, _ = pretext._active_window(folder)
    assert (open_shards(folder).shards[0].windows() == window).all(axis=(1, 2)).any()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "jigsaw"], "pretext show: there is no 'jigsaw'; choose one of contrastive, hidden_half, "),
        (["show", "reverse", "--data", "nowhere"], "data: 'nowhere' is neither a directory nor a source"),
        (["show", "reverse", "--out", "x.abc"], "--out x.abc: cannot be written"),
        (["show", "reverse", "--out", "no/such/folder/x.png"], "--out no/such/folder/x.png: cannot be written"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(
    arguments: list[str], sentence: str, small_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments, *([] if "--data" in arguments else ["--data", str(small_folder)]))
    assert result.exit_code == 1
    assert result.stderr.startswith("sslwear: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_windows_too_short_for_a_task_are_refused(small_folder: Path, tmp_path: Path) -> None:
    for name in ("Y", "pid", "T"):
        np.save(tmp_path / f"{name}.npy", np.load(small_folder / f"{name}.npy"))
    np.save(tmp_path / "X.npy", np.load(small_folder / "X.npy")[:, :3])
    result = call("show", "permutation", "--data", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == (
        "sslwear: pretext task permutation: 4 segments of at least 1 samples need more than 3 samples. Use data with "
        "longer windows\n"
    )
