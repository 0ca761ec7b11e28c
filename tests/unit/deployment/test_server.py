"""Where servers may listen, and how they end."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from sslwear.deployment.server import check_address
from sslwear.errors import SslwearError
from tests.conftest import heed_signals


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_this_machine_needs_no_leave(host: str) -> None:
    assert check_address(host, free_port(), False, "read it") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listening_wider_needs_leave_and_is_told(host: str) -> None:
    with pytest.raises(
        SslwearError, match=f"--host {host} lets everybody .* read it, without a password; add --expose"
    ):
        check_address(host, free_port(), False, "read it")
    if host == "0.0.0.0":
        warning = check_address(host, free_port(), True, "read it")
        assert warning is not None
        assert "can read it, without a password" in warning


def test_a_port_in_use_and_an_address_that_is_not_there_are_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SslwearError, match=f"127.0.0.1:{port} cannot be listened on .* --port {port + 1}"):
            check_address("127.0.0.1", port, False, "")
    with pytest.raises(SslwearError, match=r"there is no such address|cannot be listened on"):
        check_address("no.such.host.invalid", 5000, True, "read it")


ENDLESS = """
import sys, threading
from sslwear.deployment import server

def application(environ, start_response):
    print("asked", flush=True)
    threading.Event().wait()

server.serve(application, int(sys.argv[1]))
"""

PATIENT = """
import sys, threading
from sslwear.deployment import server

def application(environ, start_response):
    if environ["PATH_INFO"] == "/second":
        second.set()
    second.wait()
    start_response("200 OK", [])
    return [b"answered"]

second = threading.Event()
server.serve(application, int(sys.argv[1]))
"""


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that serves the application of the test's parameter, and its port."""
    port = free_port()
    command = [sys.executable, "-c", request.param, str(port)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, preexec_fn=heed_signals, **pipes) as process:
        yield process, port
        process.kill()


def ask(path: str, port: int) -> socket.socket:
    """A connection over which a page was asked for, as soon as somebody listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return connection


@pytest.mark.parametrize("served", [ENDLESS], indirect=True)
def test_a_user_who_ends_the_server_while_it_answers_ends_it(served: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = served
    with ask("/", port):
        assert process.stdout is not None
        assert process.stdout.readline() == b"asked\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == b""


@pytest.mark.parametrize("served", [PATIENT], indirect=True)
def test_a_page_is_answered_while_another_takes_long(served: tuple[subprocess.Popen[bytes], int]) -> None:
    _, port = served
    with ask("/first", port) as first, ask("/second", port) as second:
        for connection in (second, first):
            assert connection.makefile("rb").read().endswith(b"answered")
