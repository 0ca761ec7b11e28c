"""What a good answer to a bad input is: one clear sentence, without a traceback."""

from __future__ import annotations

import re

from click.testing import Result
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.errors import SslwearError

MOST_LINES, MOST_CHARACTERS = 3, 700
USAGE = 2
"""Exit code for an option or argument that the command does not have, or of the wrong type."""


def call(*arguments: object) -> Result:
    """Result of a command that ends by itself, without a traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "1000"})
    if not isinstance(result.exception, SystemExit | None):
        raise AssertionError(f"{arguments} ended with a traceback") from result.exception
    assert "Traceback" not in result.output
    assert "\x1b" not in result.output
    return result


def refusal(*arguments: object) -> str:
    """The short message with which a command refuses its input."""
    result = call(*arguments)
    if result.exit_code == USAGE:
        lines = [line.strip("│ ") for line in result.stderr.splitlines() if line.startswith("│")]
        message = " ".join(lines)
        assert message
    else:
        assert result.exit_code == 1, result.output
        assert result.stderr.startswith("sslwear: "), result.output
        lines = result.stderr.splitlines()
        message = result.stderr.removeprefix("sslwear: ").strip()
    assert len(lines) <= MOST_LINES, message
    assert len(message) <= MOST_CHARACTERS, message
    assert not re.search(r"<class '|<\w+ object at 0x|pydantic|errno", message, re.IGNORECASE), message
    return message


def check_sentence(error: SslwearError, said: str = "") -> None:
    """Check that the message of an error is short, on one line, and says something."""
    message = str(error)
    assert said in message
    assert "\n" not in message
    assert 10 < len(message) < MOST_CHARACTERS


def short(value: object) -> str:
    """Name of a case in the output of pytest, by its input; empty for a function."""
    text = "" if callable(value) else str(value)
    return text[:60].encode("unicode_escape").decode()
