"""A throwaway PostgreSQL on a loopback port, run by an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

USER = "sslwear"


def programs() -> Path | None:
    """Folder of PostgreSQL's programs, those of Debian's package included; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    place = found[-1] if found else shutil.which("initdb")
    return Path(place).resolve().parent if place else None


class Postgres:
    """A cluster in a temporary folder. Tables are not synchronised to the disk, because nobody needs them later."""

    def __init__(self) -> None:
        bin_ = programs()
        if bin_ is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        pytest.importorskip("psycopg", reason="the extra postgres is not installed")
        self._bin, self._folder = bin_, Path(tempfile.mkdtemp(prefix="sslwear-postgres-"))
        self._as: list[str] = []
        if os.getuid() == 0:  # initdb refuses root
            user = next((name for name in ("postgres", "nobody") if _exists(name)), None)
            if user is None or shutil.which("runuser") is None:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres or no runuser")
            shutil.chown(self._folder, user)
            self._as = ["runuser", "-u", user, "--"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._call("initdb", "-D", str(self._folder / "data"), "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start the server."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self._call("pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``immediate`` is like a crash."""
        self._call("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", mode, "stop")

    def database(self, name: str) -> str:
        """Address of a new database."""
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name)
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """Stop the server and delete the folder."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [*self._as, str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._folder)
        assert done.returncode == 0, done.stderr + done.stdout


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
