"""Termination signals, and a block during which they are deferred."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Batch systems send SIGTERM or SIGUSR1 before they end a job."""
TERMINATION_SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
_deferred: list[int] = []


def unignored_signals() -> list[int]:
    """Termination signals that this process does not ignore; nohup, for example, makes it ignore SIGHUP."""
    return [number for number in TERMINATION_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def raise_keyboard_interrupt(*_: Any) -> None:
    """Signal handler that does what Ctrl-C does.

    Raises:
        KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer termination signals until the end of the block, which must be short.

    Outside of the main thread it does nothing, because only the main thread handles signals.

    Raises:
        KeyboardInterrupt: at the end of the block, if a signal arrived during it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    start = len(_deferred)
    before = {
        number: signal.signal(number, lambda number, _: _deferred.append(number)) for number in unignored_signals()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        arrived = len(_deferred) > start
        del _deferred[start:]
        if arrived:  # also after an error in the block, which would hide it
            raise KeyboardInterrupt


def is_deferred() -> bool:
    """Whether a termination signal arrived in a block that defers them, so that nothing in it should wait long."""
    return bool(_deferred)
