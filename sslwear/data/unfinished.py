"""The temporary folder of a data set that is being prepared: its lock, its removal, and workers that still write."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sslwear.errors import DataError

WORKERS_END_S = 20.0
"""Seconds to wait for the workers of a run that was killed."""


@contextmanager
def locked(partial: Path, folder: Path, wait_s: float) -> Iterator[None]:
    """Lock against other processes that write the same directory."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{partial}.lock", timeout=wait_s)
        lock.acquire()
    except Timeout as error:
        raise DataError(f"{folder} is being written by another process; wait for it or stop it") from error
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; give an unused directory") from error
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; make room, then repeat the command") from error
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def remove(partial: Path) -> None:
    """Remove a temporary folder; under another name first, so that no worker that is still ending writes into it."""
    with suppress(OSError):
        removed = Path(tempfile.mkdtemp(dir=partial.parent, prefix=f"{partial.name}-"))
        partial.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def wait_for_workers(shards: Path, folder: Path) -> None:
    """Wait until the workers of a killed run have ended, which takes them a moment."""
    try:
        for file in shards.glob("*.lock"):
            with FileLock(file, timeout=WORKERS_END_S):
                pass
    except Timeout as error:
        raise DataError(f"{folder} is being written by another process; wait for it or stop it") from error
