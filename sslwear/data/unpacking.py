"""Bounds on what a compressed file unpacks to: a few megabytes could fill the memory and the disk of a machine."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO, Any

from isal import igzip

from sslwear.errors import DataError

MAX_RATIO = 200
"""Unpacked bytes per packed byte; recordings and tables have 2 to 30."""
ALWAYS_ALLOWED = 2**28
"""Number of unpacked bytes that any file may have."""
BUFFER_BYTES = 2**20


def limit(packed_bytes: int) -> int:
    """Number of bytes that a compressed file may unpack to."""
    return max(ALWAYS_ALLOWED, MAX_RATIO * packed_bytes)


def too_large(name: str, packed_bytes: int) -> DataError:
    """Error about a file that unpacks to more than `limit`."""
    return DataError(
        f"{name} unpacks to more than {limit(packed_bytes) / 1e9:.1f} GB, though it has {packed_bytes / 1e6:.1f} MB. "
        "It may be damaged or harmful; download it again, or give it unpacked"
    )


def open_gzip(file: Path | IO[bytes], name: str, packed_bytes: int | None = None) -> IO[bytes]:
    """Open a ``.gz`` file for reading with a bound on its content.

    Args:
        file: the file.
        name: name of the file, for messages.
        packed_bytes: size of the compressed file; by default that of the file on disk.

    Raises:
        DataError: while it is read, when it unpacks to too much.
    """
    packed = Path(file).stat().st_size if packed_bytes is None else packed_bytes  # type: ignore[arg-type]
    bounded = _Bounded(igzip.open(file), name, packed)  # type: ignore[no-untyped-call]
    return io.BufferedReader(bounded, BUFFER_BYTES)


def check_member(info: zipfile.ZipInfo, name: str, archive_bytes: int) -> None:
    """Check the declared size of a file in a zip file; `zipfile` reads no more than that.

    Args:
        info: the file.
        name: its name, for messages.
        archive_bytes: size of the zip file on disk.

    Raises:
        DataError: when it unpacks to too much.
    """
    for packed in (info.compress_size, archive_bytes):
        if info.file_size > limit(packed):
            raise too_large(name, packed)


def check_zip(file: Path) -> None:
    """Check the declared sizes of all files in a zip file, such as a ``.gt3x`` recording.

    Raises:
        DataError: when they unpack to too much.
        zipfile.BadZipFile: when it is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        packed = file.stat().st_size
        if sum(info.file_size for info in archive.infolist()) > limit(packed):
            raise too_large(str(file), packed)


class _Bounded(io.RawIOBase):
    """A file that raises an error after too many bytes."""

    def __init__(self, file: Any, name: str, packed_bytes: int) -> None:
        self._file = file
        self._name = name
        self._packed_bytes = packed_bytes
        self._left = limit(packed_bytes)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._file.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise too_large(self._name, self._packed_bytes)
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
