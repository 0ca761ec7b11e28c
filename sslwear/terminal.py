"""How the command talks: one sentence for a mistake, no traceback, and interruption by any signal to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from sslwear.errors import SslwearError


@contextmanager
def friendly(after_interrupt: str = "nothing was changed") -> Iterator[None]:
    """Turn what a user can mend into one sentence without a traceback, and being told to end into an
    interruption.
    """

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # nohup has SIGHUP ignored, and other systems do not have it
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    except SslwearError as error:
        print(f"sslwear: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        print(f"sslwear: interrupted; {after_interrupt}", file=sys.stderr)
        raise typer.Exit(130) from error


def standard_output() -> Console:
    """Standard output; wide enough for a table where it goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def say(console: Console, text: str) -> None:
    """Print a line as it is, however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
