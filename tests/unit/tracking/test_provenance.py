"""Provenance of runs: the command and the commit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sslwear.tracking import provenance as module
from sslwear.tracking.provenance import provenance

COMMIT = "mlflow.source.git.commit"


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """What a process keeps is made anew for each test."""
    provenance.cache_clear()
    yield
    provenance.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (
            ["/usr/bin/sslwear", "evaluate", "a b.yaml", "--set", "x=[1, 2]"],
            "sslwear evaluate 'a b.yaml' --set 'x=[1, 2]'",
        ),
        (["/code/sslwear/__main__.py", "train", "x.yaml"], "sslwear train x.yaml"),
        (["thesis.py", "--fast"], "python thesis.py --fast"),
        (["/venv/ipykernel_launcher.py", "-f", "k.json"], "python /venv/ipykernel_launcher.py -f k.json"),
    ],
)
def test_the_command_is_one_that_a_shell_takes(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], command: str
) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    assert provenance()["mlflow.source.name"] == command


def test_a_secret_in_quotes_is_masked_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sslwear", "train", "x.yaml", "--set", "password='s3 cret'"])
    assert provenance()["mlflow.source.name"] == "sslwear train x.yaml --set 'password=***'"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("tracked", [True, False])
def test_the_commit_of_a_repository_that_does_not_have_the_package_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tracked: bool
) -> None:
    file = tmp_path / "site-packages" / "sslwear" / "tracking" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.touch()
    (tmp_path / ".gitignore").write_text("" if tracked else "site-packages\n")
    for command in ("init", "add .", "-c user.name=a -c user.email=a@b.c commit -m first"):
        subprocess.run(["git", "-C", str(tmp_path), *command.split()], check=True, capture_output=True)
    monkeypatch.setattr(module, "__file__", str(file))
    assert (COMMIT in provenance()) is tracked
