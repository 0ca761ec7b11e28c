"""Texts from files and stores on a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from sslwear.utils.console import PlainConsole, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("P\x1b[2J\x1b]0;title\x07", r"P\x1b[2J\x1b]0;title\x07"),
        ("a\rb\x9b31m", r"a\rb\x9b31m"),
        ("gpj.\u202efdc", r"gpj.\u202efdc"),
        ("gehen 🚶 \t été\n", "gehen 🚶 \t été\n"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def output(terminal: bool, draw: object) -> str:
    file = io.StringIO()
    PlainConsole(file=file, width=80, force_terminal=terminal, color_system="standard" if terminal else None).print(
        draw
    )
    return file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_shows_names_as_they_are(terminal: bool) -> None:
    table = Table("name", "[b]", box=None)
    table.add_row("[red]x[/red] :smile:", "\x1b[31mP1\x07", style="bold")
    shown = output(terminal, table)
    assert "[red]x[/red] :smile:" in shown
    assert r"\x1b[31mP1\x07" in shown
    assert "[b]" in shown
    assert "\x1b[31m" not in shown
    assert ("\x1b[1m" in shown) == terminal  # rich's own style stays


def test_other_consoles_would_let_them_through() -> None:
    file = io.StringIO()
    Console(file=file).print("\x1b[31mP1")
    assert "\x1b[31m" in file.getvalue()


@pytest.mark.parametrize("module", [["-m", "sslwear"], ["-c", "from sslwear.cli.app import main; main()"]])
def test_an_encoding_that_lacks_a_character_is_no_error(tmp_path: Path, module: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *module, "schema", "--out", str(tmp_path / "gehen 🚶" / "x.json")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        check=False,
    )
    assert done.returncode == 1
    assert rb"gehen \U0001f6b6" in done.stderr
    assert b"Traceback" not in done.stderr
