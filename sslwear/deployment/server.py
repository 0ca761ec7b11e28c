"""Starts web servers: on this machine only, unless the user asks for more and is told what that exposes."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sslwear.errors import SslwearError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

LOOPBACK = "127.0.0.1"
MODEL_VARIABLE = "SSLWEAR_SERVED_MODEL"
"""Tells `sslwear.deployment.scoring` what to serve."""
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def check_address(host: str, port: int, expose: bool, exposed: str) -> str | None:
    """Refuse to listen to other machines unless that was asked for, and a port that is in use.

    Args:
        host: address to listen on.
        port: to listen on.
        expose: whether the user said that others may reach it.
        exposed: what those who reach it can do.

    Returns:
        A warning that says what is exposed, or None when only this machine can reach it.

    Raises:
        SslwearError: when it would listen wider than was asked for, there is no such address, or the port is taken.
    """
    if not host.strip():
        raise SslwearError("--host: give an address, or leave it out for this machine only")
    wide = not _is_loopback(host)
    if wide and not expose:
        raise SslwearError(
            f"--host {host} lets everybody who can reach this machine {exposed}, without a password; add --expose if "
            "that is meant, or leave --host out"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except socket.gaierror as error:
        raise SslwearError(f"--host {host}: there is no such address; leave it out for this machine only") from error
    except OSError as error:
        raise SslwearError(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another with --port {port % 65535 + 1}"
        ) from error
    return f"everybody who can reach {host}:{port} can {exposed}, without a password" if wide else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a server until it ends or the user ends it, with all the processes that it starts.

    Args:
        command: a module of this Python with its arguments.
        environment: variables that it gets beside this process's; secrets go here, because everybody on the machine
            can read a command line.

    Returns:
        Its exit code; 0 when the user ended it.
    """
    binaries = str(Path(sys.executable).parent)  # MLflow starts the first uvicorn on the path
    path = os.pathsep.join([binaries, os.environ.get("PATH", "")])
    server = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**QUIET, **os.environ, **environment, "PATH": path},
        start_new_session=True,
    )
    try:
        return server.wait()
    except KeyboardInterrupt:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        return 0


def serve(application: WSGIApplication, port: int) -> None:
    """Answer browsers on this machine, from this process, until the user ends it.

    Every request has a thread of its own: `wsgiref` takes whatever interrupts an answer for that answer's failure, so
    that Ctrl-C during one would be lost where the main thread gives it.

    Args:
        application: what answers.
        port: to listen on.
    """
    with make_server(LOOPBACK, port, application, _Threads, _Silent) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # an answer that takes long does not keep the user waiting


class _Silent(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write no line for every request: they would hide what the command said."""
