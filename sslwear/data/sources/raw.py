"""Raw files as they were published: in a zip file, in zip files within it, or unpacked in a folder."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from isal import igzip, isal_zlib

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

        Zip files within are looked into where nothing is found outside of them, because some publishers pack twice;
        with `outside_only` they are not.
        Hidden files, and what macOS adds to archives, are left out.

        Returns:
            Names, for `open`, with the match; in natural order (9 stands before 10).
        """
        expression = re.compile(rf"(?:^|/){pattern}$")
        found = [(name, match) for name in self._outer if (match := expression.search(name))]
        if not found and not outside_only:
            found = [(name, match) for name in self._inner if (match := expression.search(name))]
        return sorted(found, key=lambda pair: natural(pair[0]))

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open one of the files that `find` named; what ends in ``.gz`` is unpacked while it is read.

        Raises:
            DataError: when it cannot be read.
        """
        archive, member = self._outer.get(name) or self._inner[name]
        try:
            with (self.path / member).open("rb") if archive is None else archive.open(member) as file:
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

    @cached_property
    def _outer(self) -> dict[str, tuple[zipfile.ZipFile | None, str]]:
        """Zip file, or None in a folder, and name within it, by name."""
        if self.path.is_dir():
            files = (file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if file.is_file())
            return {name: (None, name) for name in files if _is_wanted(name)}
        return self._listing(self.path, "")

    @cached_property
    def _inner(self) -> dict[str, tuple[zipfile.ZipFile | None, str]]:
        """The same for what is in zip files within; those that are in a zip file are unpacked for that."""
        members: dict[str, tuple[zipfile.ZipFile | None, str]] = {}
        for name in self._outer:
            if not name.endswith(".zip"):
                continue
            if self.path.is_dir():
                if zipfile.is_zipfile(self.path / name):
                    members.update(self._listing(self.path / name, f"{name}/"))
            else:
                unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
                with self.open(name) as packed:
                    shutil.copyfileobj(packed, unpacked)
                if zipfile.is_zipfile(unpacked):
                    members.update(self._listing(unpacked, f"{name}/"))
        return members

    def _listing(self, file: Path | IO[bytes], prefix: str) -> dict[str, tuple[zipfile.ZipFile | None, str]]:
        try:
            archive = zipfile.ZipFile(file)
        except UNREADABLE as error:
            raise DataError(f"{self.path}{prefix and ': '}{prefix} is damaged ({error}); download it again") from error
        return {
            prefix + info.filename: (archive, info.filename)
            for info in archive.infolist()
            if not info.is_dir() and _is_wanted(info.filename)
        }


def _is_wanted(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which 9 stands before 10."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", name)]
