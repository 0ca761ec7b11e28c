"""How the command talks: one sentence for a mistake, no traceback, and interruption by any signal to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from sslwear.errors import SslwearError
from sslwear.utils import signals
from sslwear.utils.masking import masked


@contextmanager
def friendly(after_interrupt: str = "nothing was changed") -> Iterator[None]:
    """Turn what a user can mend into one sentence without a traceback, and being told to end into an interruption.

    It is the whole of a command: a Ctrl-C after it is not handled, because it could only put a traceback after the
    sentence.
    """
    for number in signals.unignored_signals():
        signal.signal(number, signals.raise_keyboard_interrupt)
    try:
        yield
    except SslwearError as error:
        _last_words(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        _last_words(f"interrupted; {after_interrupt}")
        raise typer.Exit(130) from error
    finally:
        _end()


def _last_words(text: str) -> None:
    _end()
    print(f"sslwear: {masked(text)}", file=sys.stderr, flush=True)


def _end() -> None:
    """From here on the interpreter only goes down: Ctrl-C is too late, and other signals may end it at once."""
    for number in signals.unignored_signals():
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)


def standard_output() -> Console:
    """Standard output; wide enough for a table where it goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def say(console: Console, text: str) -> None:
    """Print a line as it is, however long."""
    console.print(masked(text), markup=False, highlight=False, soft_wrap=True)


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count} times"


def warn(text: str) -> None:
    """Print a warning, also where the output goes to a file."""
    print(f"sslwear: {masked(text)}", file=sys.stderr, flush=True)
