"""Locks between processes, as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sslwear.errors import StudyError


@contextmanager
def file_lock(path: Path, timeout_s: float = -1) -> Iterator[None]:
    """Lock between processes on this machine; the system releases it when its process ends.

    Args:
        path: file of the lock; the file stays, its folder is created for this user only.
        timeout_s: seconds to wait for another process; negative for no limit.

    Raises:
        filelock.Timeout: when another process holds the lock for longer.
        StudyError: when the file cannot be used, for example because it belongs to another user.
    """
    lock = FileLock(path, timeout=timeout_s)
    acquire(lock)
    try:
        yield
    finally:
        lock.release()


def acquire(lock: FileLock) -> None:
    """Acquire a lock; its folder is created.

    Raises:
        filelock.Timeout: when another process holds the lock for longer than its timeout.
        StudyError: when its file cannot be used.
    """
    path = Path(lock.lock_file)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        raise StudyError(
            f"cannot use the lock file {path}{owned_by(path)} ({error.strerror or error}). Delete it when nobody uses "
            "the store, or set SSLWEAR_HOME to a folder of your own"
        ) from error


def owned_by(path: Path) -> str:
    """`` of the user NAME``, the owner of a file; empty if it is unknown."""
    try:
        return f" of the user {path.owner()}"
    except (OSError, KeyError):
        return ""
