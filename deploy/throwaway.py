"""A throwaway PostgreSQL and MLflow server on this machine, for demonstrations and tests.

Both listen on a loopback port, run without root, and are deleted at the end.

Example:
    python deploy/throwaway.py sslwear study run experiments/quickstart.yaml --workers 2
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Self

USER = "sslwear"
STARTING_S = 120.0
"""Seconds that MLflow's server may take to answer."""


class MissingError(Exception):
    """Something that is needed is not installed."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def postgres_programs() -> Path:
    """Folder of PostgreSQL's programs, those of Debian's package included.

    Raises:
        MissingError: when it is not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    place = found[-1] if found else shutil.which("initdb")
    if place is None:
        raise MissingError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    if find_spec("psycopg") is None:
        raise MissingError("the extra postgres is not installed (pip install 'sslwear[postgres]')")
    return Path(place).resolve().parent


class Postgres:
    """A PostgreSQL cluster in a temporary folder, which is not synchronised to the disk.

    Raises:
        MissingError: when it is not installed, or there is no user that it can run as.
    """

    def __init__(self) -> None:
        self._bin, self._as = postgres_programs(), _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="sslwear-postgres-"))
        if self._as:
            shutil.chown(self._folder, self._as[2])
        self.port = free_port()
        self._call("initdb", "-D", str(self._folder / "data"), "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync")
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self._call("pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; with ``immediate`` as in a crash."""
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
        command = [*self._as, str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._folder, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr}{done.stdout}")


def _unprivileged() -> list[str]:
    """Start of a command that runs as another user than root; empty for another user."""
    if os.getuid() != 0:
        return []
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in known), None)
    if user is None or shutil.which("runuser") is None:
        raise MissingError("PostgreSQL does not run as root, and there is no user postgres or no program runuser")
    return ["runuser", "-u", user, "--"]


class MlflowServer:
    """An MLflow server that keeps runs in a database and serves artifacts from a folder.

    Args:
        database: address of an empty database.
        folder: receives the artifacts and the server's log.

    Raises:
        RuntimeError: when it does not answer.
    """

    def __init__(self, database: str, folder: Path) -> None:
        self._database, self._folder, self._port = database, folder, free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = self._launch()
        deadline = time.monotonic() + STARTING_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):  # noqa: S310 - an own address
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"MLflow's server does not answer: {(self._folder / 'mlflow.log').read_text()}")

    def _launch(self) -> subprocess.Popen[bytes]:
        places = ["--backend-store-uri", self._database, "--artifacts-destination", str(self._folder / "artifacts")]
        listening = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1", "--serve-artifacts"]
        with (self._folder / "mlflow.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *places, *listening],
                stdout=log,
                stderr=log,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                process_group=0,
            )

    def stop(self) -> None:
        """Stop the server."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
            self._process.wait(30)


def main() -> int:
    """Run a command with the addresses of both servers in its environment; returns its exit status."""
    try:
        postgres = Postgres()
    except MissingError as error:
        print(error, file=sys.stderr)
        return 2
    with (
        postgres,
        tempfile.TemporaryDirectory(prefix="sslwear-") as folder,
        MlflowServer(postgres.database("mlflow"), Path(folder)) as mlflow,
    ):
        places = {"SSLWEAR_STORAGE": postgres.database("optuna"), "MLFLOW_TRACKING_URI": mlflow.address}
        print(f"PostgreSQL on port {postgres.port}, MLflow on {mlflow.address}", flush=True)
        environment = {**os.environ, "SSLWEAR_HOME": str(Path(folder) / "home"), **places}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
