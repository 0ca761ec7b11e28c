"""Raw files as they were published: in a zip file, in zip files within it, or unpacked in a folder."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from isal import isal_zlib

from sslwear.data.arrays import Stamp, stamp
from sslwear.data.unpacking import check_member, open_gzip
from sslwear.errors import DataError

UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    isal_zlib.IsalError,
)  # type: ignore[assignment]
"""Errors from reading a damaged or encrypted file."""
MAX_DEPTH = 3
"""Depth of nested zip files that are searched."""
MAX_ARCHIVES = 50
"""Number of zip files in a folder that are searched; with more, a source opens those that it needs."""


class Raw:
    """Files in a folder or in a zip file.

    Args:
        path: the folder or the zip file.
        packed_bytes: size of the file on disk that contains it, where that is another one; it bounds what the files
            unpack to, see `unpacking`.

    Raises:
        DataError: when the path is missing, or a file that is not a zip file.
    """

    def __init__(self, path: Path, packed_bytes: int | None = None) -> None:
        self.path = path
        self._packed_bytes = packed_bytes
        if not path.exists():
            raise DataError(
                f"there is no file or folder {path}; give the published archive or its unpacked folder with --raw PATH"
            )
        if path.is_file() and not zipfile.is_zipfile(path):
            raise DataError(f"{path} is not a complete zip file; download it again, or give its unpacked folder")

    def __getstate__(self) -> dict[str, Any]:
        """Only the path is passed to another process, which opens the archives itself."""
        return {"path": self.path, "_packed_bytes": self._packed_bytes}

    def find(self, pattern: str, outside_only: bool = False) -> list[tuple[str, re.Match[str]]]:
        """Files whose name ends in `pattern`, a regular expression that starts at a folder's or a file's name.

        When nothing is found, zip files within are searched too, level by level, because some archives contain zip
        files; not so with `outside_only`. Hidden files, and those that macOS adds to archives, are left out.

        Returns:
            Names for `open` with their matches, in natural order (9 before 10).
        """
        expression = re.compile(rf"(?:^|/){pattern}$")
        for level in [self._outer] if outside_only else self._levels():
            if found := [(name, match) for name in level if (match := expression.search(name))]:
                return sorted(found, key=lambda pair: natural(pair[0]))
        return []

    def stamp(self, name: str) -> Stamp:
        """Size and time of change of the file on disk that is, or contains, a file that `find` returned."""
        return stamp(self._place(name).disk)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file that `find` returned; ``.gz`` files are decompressed while they are read.

        Raises:
            DataError: when it cannot be read, or unpacks to too much.
        """
        place = self._place(name)
        packed = self._packed_bytes or place.disk.stat().st_size
        if place.archive is not None:
            check_member(place.archive.getinfo(place.member), f"{self.path}: {name}", packed)
        try:
            with place.disk.open("rb") if place.archive is None else place.archive.open(place.member) as file:
                if name.endswith(".gz"):
                    with open_gzip(file, f"{self.path}: {name}", packed) as unpacked:
                        yield unpacked
                else:
                    yield file
        except UNREADABLE as error:
            raise self.damaged(name, f"cannot be read ({error})") from error

    def damaged(self, name: str, what: str) -> DataError:
        """The error about a file that is not as it was published, such as one that ``is not text``."""
        return DataError(f"{self.path}: {name} {what}; download it again")

    def read_text(self, name: str) -> str:
        """Read a text file.

        Raises:
            DataError: when it cannot be read.
        """
        with self.open(name) as file:
            content = file.read()
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.damaged(name, f"is not text ({error})") from error

    def read_numbers(self, name: str, columns: list[int], width: int) -> pd.DataFrame:
        """Read some columns, counted from 0, of a file with `width` numbers a line, which are separated by spaces.

        Raises:
            DataError: when it cannot be read, or has something else.
        """
        try:
            with self.open(name) as file:
                return pd.read_csv(file, sep=" ", header=None, usecols=columns, dtype=np.float64, engine="c")
        except pd.errors.EmptyDataError:
            return pd.DataFrame(np.empty((0, len(columns))), columns=columns)
        except (ValueError, pd.errors.ParserError) as error:
            raise self.damaged(name, f"does not hold {width} numbers a line, separated by spaces") from error

    @contextmanager
    def inside(self, name: str) -> Iterator[Raw]:
        """Open a zip file within.

        Raises:
            DataError: when it cannot be read.
        """
        with tempfile.NamedTemporaryFile(suffix=".zip") as unpacked:
            with self.open(name) as packed:
                shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            try:
                raw = Raw(Path(unpacked.name), self._packed_bytes or self._place(name).disk.stat().st_size)
            except DataError as error:
                raise self.damaged(name, "is not a zip file") from error
            yield raw

    def _place(self, name: str) -> _Place:
        return next(level[name] for level in self._levels() if name in level)

    @cached_property
    def _outer(self) -> dict[str, _Place]:
        """Files outside of zip files within, by name."""
        if self.path.is_dir():
            files = {file.relative_to(self.path).as_posix(): file for file in self.path.rglob("*") if file.is_file()}
            return {name: _Place(file) for name, file in files.items() if _is_wanted(name)}
        return self._listing(self.path, self.path, "")

    @cached_property
    def _deeper(self) -> list[dict[str, _Place]]:
        return []

    def _levels(self) -> Iterator[dict[str, _Place]]:
        """Files by name, for each level of nested zip files; a level is listed when it is needed."""
        yield self._outer
        above = self._outer
        for depth in range(MAX_DEPTH):
            if depth == len(self._deeper):
                self._deeper.append(self._inside(above))
            above = self._deeper[depth]
            if not above:
                return
            yield above

    def _inside(self, above: Mapping[str, _Place]) -> dict[str, _Place]:
        """Files in the zip files among some files; nested zip files are decompressed to temporary files."""
        members: dict[str, _Place] = {}
        archives = [name for name in above if name.lower().endswith(".zip")]
        for name in archives if len(archives) <= MAX_ARCHIVES else ():
            place = above[name]
            file: Path | IO[bytes] = place.disk
            if place.archive is not None:
                file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
                with self.open(name) as packed:
                    shutil.copyfileobj(packed, file)
            if zipfile.is_zipfile(file):
                members.update(self._listing(file, place.disk, f"{name}/"))
        return members

    def _listing(self, file: Path | IO[bytes], disk: Path, prefix: str) -> dict[str, _Place]:
        try:
            archive = zipfile.ZipFile(file)
        except UNREADABLE as error:
            raise DataError(f"{self.path}{prefix and ': '}{prefix} is damaged ({error}); download it again") from error
        return {
            prefix + info.filename: _Place(disk, archive, info.filename)
            for info in archive.infolist()
            if not info.is_dir() and _is_wanted(info.filename)
        }


@dataclass(frozen=True)
class _Place:
    """Location of a file: its file on disk, and the archive and its name there, where it is in one."""

    disk: Path
    archive: zipfile.ZipFile | None = None
    member: str = ""


def _is_wanted(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which 9 comes before 10."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name)]
