"""A command that a test starts with a new interpreter, and whose output it follows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from sslwear.tracking import Store
from tests.commands import heed_signals

PATIENCE_S = 200.0


class Started:
    """A command in a process of its own.

    Args:
        store: its store.
        arguments: arguments of the interpreter.
    """

    def __init__(self, store: Store, *arguments: str) -> None:
        self._output = store.home.parent / f"{store.home.name}-{time.monotonic_ns()}.txt"
        with self._output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, "SSLWEAR_HOME": str(store.home), "OMP_NUM_THREADS": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=heed_signals,
            )

    def out(self) -> str:
        """What it wrote so far."""
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it has written something."""
        until = time.monotonic() + PATIENCE_S
        while text not in self.out():
            assert self.process.poll() is None, self.out()
            assert time.monotonic() < until, self.out()
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Wait until it ends; returns its exit status and what it wrote."""
        return self.process.wait(PATIENCE_S), self.out()
