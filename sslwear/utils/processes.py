"""Parallel work in several processes, which end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, TypeVar

from sslwear.utils import plugins

Result = TypeVar("Result")

CONTEXT: SpawnContext = multiprocessing.get_context("spawn")
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the memory limit of a container."""
POLL_S = 0.2
"""Seconds between two calls of `on_poll`."""
PARENT_VARIABLE = "SSLWEAR_PARENT"
"""Environment variable with the id of the process with which a command ends."""
COMMAND_VARIABLE = "SSLWEAR_COMMAND"
"""Environment variable with the user's command, in the workers that the command starts."""
THREADS_VARIABLE = "SSLWEAR_THREADS"
"""Environment variable with the largest number of threads that a worker takes by itself, in these workers."""


def max_parallel_jobs(gigabytes: float) -> int:
    """Number of jobs that the cores and the memory of this machine or container allow, at least 1.

    Args:
        gigabytes: memory of one job.
    """
    import joblib

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in MEMORY_LIMITS:
        if limit.is_file() and (text := limit.read_text(encoding="utf-8").strip()).isdigit():
            memory = min(memory, int(text))
    cores: int = joblib.cpu_count()
    return max(1, min(cores, int(memory / (gigabytes * 1e9))))


def run(
    function: Callable[..., Result],
    tasks: Sequence[tuple[Any, ...]],
    jobs: int,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
    on_poll: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Call a function with the arguments of each task in worker processes, and yield results as they finish.

    Args:
        function: called in the workers; it must be importable there.
        tasks: arguments of each call.
        jobs: number of worker processes.
        initializer: called once in each worker before its first task.
        initargs: arguments of `initializer`.
        on_poll: called a few times a second in this process while it waits.

    Raises:
        BrokenProcessPool: when a worker was killed from outside.
    """
    before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(
        min(jobs, len(tasks)),
        mp_context=CONTEXT,
        initializer=_initialize,
        initargs=(_PluginFiles(), initializer, initargs),
    )
    try:
        with _sigint_blocked():
            waiting = {executor.submit(function, *task) for task in tasks}
        while waiting:
            done, waiting = wait(waiting, POLL_S, FIRST_COMPLETED)
            if on_poll is not None:
                on_poll()
            for future in done:
                yield future.result()
    except BaseException:
        # A worker that is still starting would print a traceback when this process is gone.
        for process in set(multiprocessing.active_children()) - before:
            process.kill()
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT for processes that are started in the block.

    A terminal sends Ctrl-C to all processes; the parent ends the workers itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _PluginFiles:
    """Loads the plug-in files of the parent in a worker, when it is unpickled before what needs them."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _load_plugins, plugins.loaded_files()


def _load_plugins(*files: str) -> _PluginFiles:
    plugins.load_files(files)
    return _PluginFiles()


def _initialize(_: _PluginFiles, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    _exit_with_parent()
    if initializer is not None:
        initializer(*initargs)


def _exit_with_parent() -> None:
    """Start a thread that ends this worker when its parent process has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def exit_if_orphaned() -> None:
    """End this worker at once when its parent process has ended; other processes go on."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def end_with_parent() -> None:
    """Start a thread that asks this process to end when the process that `PARENT_VARIABLE` names has ended."""
    parent = os.environ.get(PARENT_VARIABLE, "")
    if not parent.isdigit():
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
