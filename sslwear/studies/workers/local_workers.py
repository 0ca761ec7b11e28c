"""Several workers on this machine: processes that share out the cores and the graphics cards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

import joblib

from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.tracking.provenance import user_command
from sslwear.utils.processes import COMMAND_VARIABLE, PARENT_VARIABLE, THREADS_VARIABLE

ENDING_S = 8.0
"""Seconds that all workers together have to end when they are asked to; then those that still run are killed.

The command is to end within 10 s. What a killed worker has in hand is given to others, as they miss its heartbeat.
"""
MOST_AUTOMATIC = 8
"""Largest number of workers without graphics cards that `automatic_workers` gives, because all write to one store."""
CARDS_VARIABLE = "CUDA_VISIBLE_DEVICES"


def automatic_workers(settings: Settings) -> int:
    """Number of workers of ``--workers auto``: one for each graphics card, or without any one for each core.

    On busy cores, workers of one thread do more training steps in all than one worker with all cores, for cnn5, cnn10
    and harnet5, see ``benchmarks/RESULTS.md``. Nothing is measured here, so that the number is the same each time.

    Args:
        settings: with the device, and with the threads of each worker where they are not ``auto``.
    """
    found = 0 if settings.device == "cpu" else len(cards())
    each = 1 if settings.threads == "auto" else settings.threads
    return found or max(1, min(MOST_AUTOMATIC, int(joblib.cpu_count()) // each))


def threads_each(workers: int) -> int:
    """Number of threads of each of some workers."""
    return max(1, int(joblib.cpu_count()) // workers)


def cards() -> list[str]:
    """Names of the graphics cards that this process may use, as CUDA takes them."""
    import torch

    count = torch.cuda.device_count()
    given = [name for name in os.environ.get(CARDS_VARIABLE, "").split(",") if name]
    return given if len(given) == count else [str(number) for number in range(count)]


def run_workers(arguments: Sequence[str], workers: int, tell: Callable[[int, str], None]) -> None:
    """Run a command of sslwear in several processes until all have ended.

    Several graphics cards are shared out, one for each worker in turn, and the cores, unless the settings have a number
    of threads. The workers end with this process.

    Args:
        arguments: of the command, without ``sslwear``.
        workers: number of processes.
        tell: receives each line that a worker writes, with the worker's number, counted from 1.

    Raises:
        StudyError: when all of them failed; workers that go on take over the trials of one that failed.
        KeyboardInterrupt: when the user interrupts; the workers have ended.
    """
    found = cards()
    shared = {
        PARENT_VARIABLE: str(os.getpid()),
        COMMAND_VARIABLE: user_command(),
        THREADS_VARIABLE: str(threads_each(workers)),
    }
    started: list[tuple[subprocess.Popen[str], threading.Thread]] = []
    try:
        for number in range(1, workers + 1):
            environment = {**os.environ, **shared}
            if len(found) > 1:
                environment[CARDS_VARIABLE] = found[(number - 1) % len(found)]
            started.append(_start([*arguments], environment, number, tell))
        for process, reader in started:
            process.wait()
            reader.join()
    except BaseException:
        _end([process for process, _ in started])
        raise
    failed = [process.returncode for process, _ in started if process.returncode != 0]
    if len(failed) == workers:
        raise StudyError(
            f"all {workers} workers ended with an error, see above" if workers > 1 else "the worker failed"
        )


def _start(
    arguments: list[str], environment: dict[str, str], number: int, tell: Callable[[int, str], None]
) -> tuple[subprocess.Popen[str], threading.Thread]:
    """Start a worker in a process group of its own, so that Ctrl-C reaches it through this process only."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sslwear", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",  # a line of a driver in another encoding would end the reading, and the worker would wait
        process_group=0,
    )
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, number, tell), daemon=True)
    reader.start()
    return process, reader


def _read(output: IO[str], number: int, tell: Callable[[int, str], None]) -> None:
    for line in output:
        tell(number, line.rstrip("\n"))


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Ask workers to end, and kill those that still run after `ENDING_S`."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    until = time.monotonic() + ENDING_S
    for process in running:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
    for process in running:
        process.wait()
