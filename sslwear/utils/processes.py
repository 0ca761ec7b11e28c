"""Work in several processes: as many as fit, which end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

CONTEXT: SpawnContext = multiprocessing.get_context("spawn")
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
LOOK_S = 0.2
"""So often what workers say meanwhile is looked at."""


def jobs_that_fit(gigabytes: float) -> int:
    """As many jobs of that size as there are cores and memory for, of which a container may have fewer than the
    machine.
    """
    import joblib

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in MEMORY_LIMITS:
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            memory = min(memory, int(text))
    cores: int = joblib.cpu_count()
    return max(1, min(cores, int(memory / (gigabytes * 1e9))))


def run(
    function: Callable[..., Result],
    tasks: Sequence[tuple[Any, ...]],
    jobs: int,
    begin: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Call a function with each task's arguments in processes of their own, and yield results as they come.

    Args:
        function: what to call, which other processes can import.
        tasks: arguments of each call.
        jobs: processes.
        begin: called once in each process before the first task.
        arguments: of `begin`.
        meanwhile: called a few times a second in this process.

    Raises:
        BrokenProcessPool: when a process was ended by another than us.
    """
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(
        min(jobs, len(tasks)), mp_context=CONTEXT, initializer=_begin, initargs=(begin, arguments)
    )
    try:
        with _deaf_children():
            waiting = {executor.submit(function, *task) for task in tasks}
        while waiting:
            done, waiting = wait(waiting, LOOK_S, FIRST_COMPLETED)
            if meanwhile is not None:
                meanwhile()
            for future in done:
                yield future.result()
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:  # one that just starts would miss us aloud
            process.kill()
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Let processes that are started in the block not hear Ctrl-C, which a terminal sends to all: we end them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    _leave_with_parent()
    if begin is not None:
        begin(*arguments)


def _leave_with_parent() -> None:
    """Let a worker end when the process that started it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
