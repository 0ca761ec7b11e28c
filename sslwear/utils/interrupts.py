"""Termination signals, and a block during which they are deferred."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TERMINATION_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


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
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in unignored_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:  # also after an error in the block, which would hide it
            raise KeyboardInterrupt
