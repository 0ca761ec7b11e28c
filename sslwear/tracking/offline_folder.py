"""Folder of the records that processes keep while a server is away.

Each process has a folder of its own name with one folder for each record, numbered in their order. A record is written
under a temporary name, synchronised to the disk and renamed. What cannot be read or sent is set aside.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslwear.tracking.records import Record
from sslwear.utils.files import synchronise

CONTENT, FILES, ASIDE = "record.json", "files", "aside-"
FAILING = "failing"
"""Empty file of a record, as old as the first failure of a server to take it."""


@dataclass(frozen=True)
class Kept:
    """A record on disk.

    Attributes:
        folder: its folder.
        server: address of the server that it is for, without user and password.
        record: the record.
    """

    folder: Path
    server: str
    record: Record

    def delete(self) -> None:
        """Delete it; a process that is killed meanwhile leaves nothing that is sent again."""
        done = self.folder.with_name(f".{self.folder.name}")
        self.folder.rename(done)
        shutil.rmtree(done, ignore_errors=True)

    def failing_s(self) -> float:
        """Seconds since the first call of this method for the record, also by another process."""
        mark = self.folder / FAILING
        if not mark.exists():
            mark.touch(mode=0o600)
        return time.time() - mark.stat().st_mtime

    def put_aside(self) -> Path:
        """Rename it, so that it is no longer sent; returns its new folder."""
        return self.folder.rename(self.folder.with_name(f"{ASIDE}{self.folder.name}"))


def keep(place: Path, server: str, record: Record) -> None:
    """Write a record behind the others of a process.

    Args:
        place: folder of the process.
        server: address of the server, without user and password.
        record: the record.

    Raises:
        OSError: when it cannot be written.
    """
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    numbers = (path.name.removeprefix(ASIDE) for path in place.iterdir())
    name = f"{max((int(number) for number in numbers if number.isdecimal()), default=0) + 1:08d}"
    making = place / f".{name}"
    shutil.rmtree(making, ignore_errors=True)  # a process that failed to write it
    try:
        making.mkdir(mode=0o700)
        sizes = {}
        if record.files is not None:
            (making / FILES).mkdir(mode=0o700)
            for path in sorted(record.files.iterdir()):
                sizes[path.name] = _write(making / FILES / path.name, path.read_bytes())
            synchronise(making / FILES)
        content = {"server": server, "run": record.run, "kind": record.kind, "content": record.content, "files": sizes}
        text = json.dumps({**content, "has_files": record.files is not None}).encode()
        _write(making / CONTENT, b"%08x\n%s\n" % (zlib.crc32(text), text))
        synchronise(making)
        making.rename(place / name)
        synchronise(place)
    except OSError:
        shutil.rmtree(making, ignore_errors=True)
        raise


def records_of(place: Path) -> Iterator[Kept | Path]:
    """Records of a process in their order; of damaged ones the folder.

    Args:
        place: folder of the process.
    """
    names = sorted(path.name for path in place.iterdir() if path.name.isdecimal()) if place.is_dir() else []
    for name in names:
        yield _read(place / name) or place / name


def set_aside(folder: Path) -> list[Path]:
    """Records of all processes that could not be read or sent."""
    return sorted(folder.glob(f"*/{ASIDE}*"))


def clear(place: Path) -> None:
    """Delete what a process left unfinished, and its folder if nothing else is in it."""
    for path in place.glob(".*"):
        shutil.rmtree(path, ignore_errors=True)
    if not any(place.iterdir()):
        place.rmdir()


def _read(folder: Path) -> Kept | None:
    """A record; None if it is damaged."""
    try:
        checksum, _, text = (folder / CONTENT).read_bytes().partition(b"\n")
        text = text.removesuffix(b"\n")
        if checksum != b"%08x" % zlib.crc32(text):
            return None
        found: dict[str, Any] = json.loads(text)
        files = folder / FILES if found["has_files"] else None
        for name, size in found["files"].items():
            if (folder / FILES / name).stat().st_size != size:
                return None
    except (OSError, ValueError, KeyError):
        return None
    return Kept(folder, found["server"], Record(found["run"], found["kind"], found["content"], files))


def _write(path: Path, content: bytes) -> int:
    """Write a file for this user only; returns its size."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # otherwise a power failure could leave a named file without its content
    return len(content)
