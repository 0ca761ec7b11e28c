"""Runs that a killed process left open.

Each process that writes runs holds a lock on a file of its own in the store. A tag of its runs has the name of the
file. The system releases the lock when the process ends, however it ends. The next process that opens the store ends
the runs of every file that is not locked.

A name contains the host and an id of the folder, because containers with folders of their own may share a host name.
"""

from __future__ import annotations

import atexit
import platform
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from uuid import uuid4

from filelock import FileLock

from sslwear.utils.locks import acquire, file_lock

START, END = "process-", ".lock"
ID = "folder.id"
"""File with the id of a folder of locks."""
_own: dict[Path, FileLock] = {}
_guard = Lock()


def own_name(folder: Path) -> str:
    """Name of this process in a store; its lock is held until the process ends.

    Args:
        folder: folder of the store's locks.

    Raises:
        StudyError: when nothing can be written to the folder.
    """
    with _guard:
        if folder in _own and not Path(_own[folder].lock_file).exists():  # the folder was deleted or moved
            _own.pop(folder).release()
        if folder not in _own:
            path = folder / f"{START}{platform.node()}-{_folder_id(folder)}-{uuid4().hex[:12]}{END}"
            lock = FileLock(path, thread_local=False)
            acquire(lock)
            _own[folder] = lock
            atexit.register(_release, folder, lock)
        return _name(Path(_own[folder].lock_file))


def _folder_id(folder: Path) -> str:
    """Id of a folder of locks; the caller holds the store's lock.

    Raises:
        StudyError: when nothing can be written to the folder.
    """
    path = folder / ID
    if not path.exists():
        with file_lock(path.with_suffix(".lock")):  # makes the folder, or says why it cannot be used
            path.write_text(uuid4().hex[:8], encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _release(folder: Path, lock: FileLock) -> None:
    """Delete the lock file of this process, which ends as it should."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
    _own.pop(folder, None)


def _name(path: Path) -> str:
    return path.name.removeprefix(START).removesuffix(END)


def is_dead(folder: Path, name: str) -> bool | None:
    """Whether a process has ended; None for a process of another machine or store, which cannot be asked.

    Args:
        folder: folder of the store's locks.
        name: name of the process, see `own_name`.
    """
    if not _is_here(folder, name):
        return None
    path = folder / f"{START}{name}{END}"
    if path in [Path(lock.lock_file) for lock in _own.values()]:
        return False
    return not path.exists() or _try(path, lambda _: None)


def others_alive(folder: Path) -> bool:
    """Whether another process on this machine writes runs to the store."""
    return any(not _try(path, lambda _: None) for path in _files(folder))


def end_abandoned(folder: Path, end: Callable[[str], None]) -> None:
    """End the runs of processes on this machine that were killed.

    Args:
        folder: folder of the store's locks.
        end: ends the open runs of a process, given its name.
    """

    def clear(path: Path) -> None:
        end(_name(path))
        path.unlink(missing_ok=True)

    for path in _files(folder):
        _try(path, clear)


def _files(folder: Path) -> list[Path]:
    """Lock files of other processes on this machine."""
    own = {Path(lock.lock_file) for lock in _own.values()}
    return [path for path in folder.glob(f"{START}*{END}") if path not in own and _is_here(folder, _name(path))]


def _is_here(folder: Path, name: str) -> bool:
    """Whether a process is of this machine and store; the name of another host may begin with that of this one."""
    here, given = f"{platform.node()}-", folder / ID
    if not name.startswith(here):
        return False
    id_, separator, _ = name.removeprefix(here).rpartition("-")
    # names of version 0.1 have no id
    return not separator or (given.exists() and given.read_text(encoding="utf-8") == id_)


def _try(path: Path, action: Callable[[Path], None]) -> bool:
    """Do something with the lock file of a process that has ended; returns whether it has ended."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except OSError:  # another process holds it, or another user owns the file
        return False
    try:
        action(path)
    finally:
        lock.release()
    return True
