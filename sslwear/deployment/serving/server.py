"""Start of web servers, by default reachable from this machine only."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping

from sslwear.errors import SslwearError

LOOPBACK = "127.0.0.1"
MODEL_VARIABLE = "SSLWEAR_SERVED_MODEL"
"""Environment variable with the model that `sslwear.deployment.serving.scoring` serves."""
HOST_VARIABLE = "SSLWEAR_SERVED_HOST"
"""Environment variable with the address that a server listens on."""
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def check_address(host: str, port: int, expose: bool, exposed: str) -> str | None:
    """Check the address of a server before it starts.

    Args:
        host: address to listen on.
        port: port to listen on.
        expose: whether the user allowed access from other machines.
        exposed: what everybody with access can do.

    Returns:
        A warning that says what is exposed; None if only this machine has access.

    Raises:
        SslwearError: when other machines would have access without permission, there is no such address, or the port
            is in use.
    """
    if not host.strip():
        raise SslwearError("--host is empty. Give an address, or remove --host for this machine only")
    wide = not _is_loopback(host)
    if wide and not expose:
        raise SslwearError(
            f"--host {host} lets everybody with access to this machine {exposed}, without a password. Add --expose to "
            "allow this, or remove --host"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (socket.gaierror, UnicodeError) as error:
        raise SslwearError(f"--host {host}: there is no such address. Remove --host for this machine only") from error
    except OSError as error:
        raise SslwearError(
            f"{host}:{port} is not available ({error.strerror}). Choose another port with --port {port % 65535 + 1}"
        ) from error
    return f"everybody with access to {host}:{port} can {exposed}, without a password" if wide else None


def url_host(host: str) -> str:
    """Host in the address of a page: brackets around IPv6, and this machine for a server at all addresses."""
    if host.strip("0.:") == "":
        return LOOPBACK
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run(app: str, host: str, port: int, environment: Mapping[str, str]) -> int:
    """Run a web application until it ends or the user ends it; only warnings and errors are printed.

    Args:
        app: the application, such as ``sslwear.deployment.serving.scoring:app``.
        host: address to listen on.
        port: port to listen on.
        environment: further environment variables. Secrets belong here, because all users of the machine can read a
            command line.

    Returns:
        Exit code of the server; 0 if the user ended it.
    """
    command = [sys.executable, "-m", "uvicorn", app, "--host", host, "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(
        command,
        env={**QUIET, **os.environ, **environment, HOST_VARIABLE: host},
        start_new_session=True,
    )
    try:
        return server.wait()
    except KeyboardInterrupt:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        return 0
