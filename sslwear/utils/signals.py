"""Signals that tell a process to end, and how they are kept from ending it half-way through something short."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def handled() -> list[int]:
    """Those signals that the caller has not had ignored, as nohup does with SIGHUP."""
    return [number for number in NUMBERS if signal.getsignal(number) != signal.SIG_IGN]


def interrupt(*_: Any) -> None:
    """As a signal's handler: what Ctrl-C does.

    Raises:
        KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Let Ctrl-C and other signals to end wait until the block, which must be short, has ended.

    Raises:
        KeyboardInterrupt: when the block has ended, if one came meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in handled()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt
