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

from isal import igzip, isal_zlib

from sslwear.data.arrays import Stamp, stamp
from sslwear.errors import DataError

UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    isal_zlib.IsalError,
)  # type: ignore[assignment]
"""What reading a damaged or encrypted file raises."""
MAX_DEPTH = 3
"""Zip files in zip files in zip files are looked into, and none in these."""
MAX_ARCHIVES = 50
"""More zip files side by side are a data set's own files, of which a source opens those that it wants."""


class Raw:
    """Files in a folder or in a zip file.

    Args:
        path: the folder or the zip file.

    Raises:
        DataError: when it is neither.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise DataError(f"there is no {path}; give the published archive or its unpacked folder with --raw PATH")
        if path.is_file() and not zipfile.is_zipfile(path):
            raise DataError(f"{path} is not a zip file, or only part of one; download it again, or give its folder")

    def __getstate__(self) -> dict[str, Any]:
        """Only the path goes to another process; archives are opened there anew."""
        return {"path": self.path}

    def find(self, pattern: str, outside_only: bool = False) -> list[tuple[str, re.Match[str]]]:
        """Files whose name ends in `pattern`, a regular expression that starts at a folder's or a file's name.

        Zip files within are looked into where nothing is found outside of them, and those within them in turn, because
        some publishers pack twice, and a downloaded archive lies in a folder; with `outside_only` they are not.
        Hidden files, and what macOS adds to archives, are left out.

        Returns:
            Names, for `open`, with the match; in natural order (9 stands before 10).
        """
        expression = re.compile(rf"(?:^|/){pattern}$")
        for level in [self._outer] if outside_only else self._levels():
            if found := [(name, match) for name in level if (match := expression.search(name))]:
                return sorted(found, key=lambda pair: natural(pair[0]))
        return []

    def stamp(self, name: str) -> Stamp:
        """State of the file on the disk that is, or holds, what `find` named."""
        return stamp(self._place(name).disk)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open one of the files that `find` named; what ends in ``.gz`` is unpacked while it is read.

        Raises:
            DataError: when it cannot be read.
        """
        place = self._place(name)
        try:
            with place.disk.open("rb") if place.archive is None else place.archive.open(place.member) as file:
                if name.endswith(".gz"):
                    with igzip.open(file) as unpacked:  # type: ignore[no-untyped-call]
                        yield unpacked
                else:
                    yield file
        except UNREADABLE as error:
            raise DataError(f"{self.path}: {name} cannot be read ({error}); download it again") from error

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
            raise DataError(f"{self.path}: {name} is not text ({error}); download it again") from error

    @contextmanager
    def inside(self, name: str) -> Iterator[Raw]:
        """The files of a zip file within.

        Raises:
            DataError: when it cannot be read.
        """
        with tempfile.NamedTemporaryFile(suffix=".zip") as unpacked:
            with self.open(name) as packed:
                shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            try:
                raw = Raw(Path(unpacked.name))
            except DataError as error:
                raise DataError(f"{self.path}: {name} is not a zip file; download it again") from error
            yield raw

    def _place(self, name: str) -> _Place:
        return next(level[name] for level in self._levels() if name in level)

    @cached_property
    def _outer(self) -> dict[str, _Place]:
        """Files that are in no zip file within, by name."""
        if self.path.is_dir():
            files = {file.relative_to(self.path).as_posix(): file for file in self.path.rglob("*") if file.is_file()}
            return {name: _Place(file) for name, file in files.items() if _is_wanted(name)}
        return self._listing(self.path, self.path, "")

    @cached_property
    def _deeper(self) -> list[dict[str, _Place]]:
        return []

    def _levels(self) -> Iterator[dict[str, _Place]]:
        """Files by name: those outside, those in zip files, those in zip files in them; each level made when wanted."""
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
        """What is in the zip files among some files; those that are in a zip file themselves are unpacked for that."""
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
    """Where a file is: on the disk, or in a zip file there, or in one within that, and how it is called in it."""

    disk: Path
    archive: zipfile.ZipFile | None = None
    member: str = ""


def _is_wanted(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which 9 stands before 10."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", name)]
