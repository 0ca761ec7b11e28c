"""Output and error handling that all commands share."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

from sslwear.errors import SslwearError
from sslwear.utils import interrupts
from sslwear.utils.console import PlainConsole, printable
from sslwear.utils.masking import masked

ENDED_S = 5.0
"""Seconds in which torchrun ends a process after another one has ended."""
AGAIN_S = 0.1
"""Seconds after which an interruption that was lost is repeated."""


@contextmanager
def user_errors(after_interrupt: str = "nothing was changed") -> Iterator[None]:
    """Report user errors and interruptions on one line without a traceback; wraps the whole body of a command.

    Signals are ignored after the body has ended, because the interpreter would answer them with a traceback.

    Args:
        after_interrupt: what an interrupted command leaves behind.

    Raises:
        typer.Exit: with code 1 for a `SslwearError`, with code 130 for an interruption.
    """
    for number in interrupts.unignored_signals():
        signal.signal(number, interrupts.raise_keyboard_interrupt)
    sys.unraisablehook = _interrupt_again
    try:
        yield
    except SslwearError as error:
        _print_last(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        _print_last(f"interrupted; {after_interrupt}", interrupted=True)
        raise typer.Exit(130) from error
    finally:
        _stop_handling_signals()
        sys.unraisablehook = sys.__unraisablehook__


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Interrupt once more where an interruption was lost, because it arrived while Python deleted an object.

    It comes a moment later, because it would be lost here too.
    """
    numbers = interrupts.unignored_signals()
    if isinstance(unraisable.exc_value, KeyboardInterrupt) and numbers:
        timer = threading.Timer(AGAIN_S, os.kill, (os.getpid(), numbers[0]))
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(unraisable)


def first_process() -> bool:
    """Whether this is the first of the processes that torchrun has started, or the only one."""
    return os.environ.get("RANK", "0") == "0" or not several_processes()


def several_processes() -> bool:
    """Whether torchrun has started this process among others."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def end_at_once(end: SystemExit) -> NoReturn:
    """End this process without what Python does last, in which threads of PyTorch's process groups may abort it."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def _print_last(text: str, interrupted: bool = False) -> None:
    """Print why the command ends.

    Another process of torchrun than the first one says only what is not the first one's error too: torchrun ends it
    soon after the first one has ended.
    """
    _stop_handling_signals()
    if not first_process():
        if interrupted:
            return
        time.sleep(ENDED_S)
        text = f"process {os.environ['RANK']}: {text}"
    print_warning(text)


def _stop_handling_signals() -> None:
    """Ignore Ctrl-C, which comes too late now; let other signals end the process at once."""
    for number in interrupts.unignored_signals():
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)


def standard_output() -> Console:
    """Console for standard output; 120 columns wide if that is a file or pipe."""
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=120)


def print_line(console: Console, text: str) -> None:
    """Print a line without line breaks, with passwords masked."""
    console.print(masked(text), highlight=False, soft_wrap=True)


def print_warning(text: str) -> None:
    """Print a warning or error on standard error."""
    print(f"sslwear: {printable(masked(text))}", file=sys.stderr, flush=True)
