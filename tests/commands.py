"""Processes forked from a server that has imported the package, such as the ``sslwear`` command.

Starting Python and importing the package takes seconds of processor time, which a forked process saves.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.throwaway import free_port
from sslwear.utils import interrupts
from tests.sketches import leave_out_pictures

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "benchmarks.stub_worker",
        "sslwear.studies.search.optimise",
        "sslwear.data.loading",
        "sslwear.deployment.prediction.batch_prediction",
        "sslwear.deployment.registry",
        "mlflow.store.tracking.sqlalchemy_store",
        "torch._dynamo",  # which every optimizer imports when it is first used
    ]
)


def heed_signals(ignoring: signal.Signals | None = None) -> None:
    """Let a new process heed signals as in a terminal, although these tests may run in the background."""
    for number in interrupts.TERMINATION_SIGNALS:
        signal.signal(number, signal.SIG_IGN if number == ignoring else signal.SIG_DFL)
    if ignoring != signal.SIGINT:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Forked:
    """A process forked from the server, in a session of its own, used like `subprocess.Popen`.

    It has the environment and the folder of its caller.

    Args:
        function: what it calls; its module must be one that the process can import.
        arguments: arguments of the function.
        ignoring: a signal that the caller ignores, as nohup does.
        variables: environment variables beside those of the caller.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *arguments: str,
        ignoring: signal.Signals | None = None,
        variables: dict[str, str] | None = None,
    ) -> None:
        self._outputs = tempfile.TemporaryDirectory()
        self._out, self._err = (Path(self._outputs.name) / name for name in ("out", "err"))
        environment = {**os.environ, **(variables or {})}
        given = (function, arguments, environment, str(Path.cwd()), self._outputs.name, ignoring)
        self._process = CONTEXT.Process(target=_run, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it if it still runs."""
        self._process.kill()

    def wait(self, timeout: float) -> int:
        """Wait until it ends; returns its exit code.

        Raises:
            subprocess.TimeoutExpired: when it still runs after so many seconds.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("sslwear", timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it ends; returns what it wrote to standard output and to standard error."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("sslwear", timeout or 0)
        return self.written()

    def written(self) -> tuple[str, str]:
        """What it wrote so far to standard output and to standard error."""
        return tuple(path.read_text() if path.exists() else "" for path in (self._out, self._err))  # type: ignore[return-value]


class Command(Forked):
    """A running command, which draws no pictures.

    Args:
        arguments: arguments of ``sslwear``.
        ignoring: a signal that the caller ignores, as nohup does.
        variables: environment variables beside those of the caller.
    """

    def __init__(
        self, *arguments: str, ignoring: signal.Signals | None = None, variables: dict[str, str] | None = None
    ) -> None:
        super().__init__(sslwear, *arguments, ignoring=ignoring, variables=variables)


def together(
    count: int, function: Callable[..., object], *arguments: str, variables: dict[str, str] | None = None
) -> list[Forked]:
    """Processes that call the same function, with the environment variables that torchrun sets."""
    given = {**(variables or {}), "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    given |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    ranks = map(str, range(count))
    return [Forked(function, *arguments, variables={**given, "RANK": rank, "LOCAL_RANK": rank}) for rank in ranks]


def _run(
    function: Callable[..., object],
    arguments: tuple[str, ...],
    variables: dict[str, str],
    folder: str,
    outputs: str,
    ignoring: signal.Signals | None,
) -> None:
    """Call the function in this process."""
    os.setsid()
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(Path(outputs) / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, number)
    heed_signals(ignoring)
    function(*arguments)


def sslwear(*arguments: str) -> None:
    """Run the command in this process, without pictures."""
    from sslwear.cli.app import main

    leave_out_pictures(pytest.MonkeyPatch())
    sys.argv = ["sslwear", *arguments]
    main()
