"""A real `sslwear serve` process."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.throwaway import free_port
from tests.commands import Command

START_S = 120


@contextmanager
def running_server(model: str, home: Path) -> Iterator[int]:
    """Serve a model of a store until the block ends, then press Ctrl-C; gives the port."""
    port = free_port()
    server = Command("serve", model, "--port", str(port), variables={"SSLWEAR_HOME": str(home)})
    try:
        deadline = time.monotonic() + START_S
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start: {server.written()}")
            time.sleep(0.3)
        yield port
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
        assert "Traceback" not in "".join(server.written())
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
    except OSError:
        return False
    return True
