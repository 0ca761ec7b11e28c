"""What every way of reading a device's file or a CSV file shares: what is refused, and what is said."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import pandas as pd
from isal import igzip

from sslwear.errors import DataError

Result = TypeVar("Result")
DEVICE_ENDINGS = (".cwa.gz", ".cwa", ".gt3x.gz", ".gt3x", ".bin.gz", ".bin")
CSV_ENDINGS = (".csv.gz", ".csv")
LOWPASS_HZ = 20
"""As the recordings were treated that the published models are from."""
UNIT_SAMPLES = 100_000
"""So many samples tell the unit."""
MAX_LOST = 0.01
"""So many damaged blocks a second of recording are left out; they hold about a second each. More, and it is refused."""
CUT_SHORT = "truncated|page count differs"
"""What actipy's readers say of a file that ends too early, in Axivity's and in GENEActiv's format."""
MAX_DAYS = 366
"""A CSV recording is no longer than that: filtering wants samples at all times, those of a gap of years too."""


def name_of(file: Path) -> str:
    """A file's name without its endings.

    Raises:
        DataError: when it is no file that can be read.
    """
    for ending in (*DEVICE_ENDINGS, *CSV_ENDINGS):
        if file.name.lower().endswith(ending) and len(file.name) > len(ending):
            return file.name[: -len(ending)]
    known = ", ".join(ending for ending in (*DEVICE_ENDINGS, *CSV_ENDINGS) if not ending.endswith(".gz"))
    raise DataError(f"{file} has no known ending; give files that end in {known}, or these with .gz")


def is_csv(file: Path) -> bool:
    """Whether it is a CSV file."""
    return file.name.lower().endswith(CSV_ENDINGS)


def check_readable(file: Path) -> None:
    """Refuse what cannot be read, as far as that can be seen without reading it.

    Raises:
        DataError: when the file is not there or empty, or what reads it is not installed.
    """
    try:
        import actipy  # noqa: F401
    except ImportError as error:
        raise DataError(f"{file} needs the package actipy; install it with: pip install 'sslwear[devices]'") from error
    if not file.is_file():
        raise DataError(f"there is no file {file}; give the paths of device files")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty; {mend(file)}")
    if not is_csv(file):
        _check_java(file)


def remark(file: Path, samples: int, info: Mapping[str, Any], said: str) -> str:
    """A line about how a file was read.

    Args:
        file: the file.
        samples: how many samples it gave.
        info: what actipy says of it.
        said: what its reader printed.

    Raises:
        DataError: when there are no samples, the file is cut short, or so much is lost that the copy is bad.
    """
    if samples == 0:
        raise DataError(f"{file} holds no samples; {mend(file)}")
    lost = _lost_blocks(file, samples, info, said)
    cut = ", a last line without an end left out" if info.get("Unfinished") else ""
    calibrated = "gravity calibrated" if info.get("CalibOK") else "gravity not calibrated, too few still positions"
    return f"{info['Device']}, {info['SampleRate']:g} Hz, {calibrated}{lost}{cut}"


def _lost_blocks(file: Path, samples: int, info: Mapping[str, Any], said: str) -> str:
    """A remark about blocks that the device itself spoiled, of which a week may hold a few.

    Raises:
        DataError: when the file is cut short, or so much is lost that the copy is bad.
    """
    lost = int(info.get("ReadErrors") or 0)
    if re.search(CUT_SHORT, said) or lost > MAX_LOST * samples / info["SampleRate"]:
        raise DataError(f"{file} is damaged or cut short: {lost} of its blocks cannot be read; {mend(file)}")
    return f", {lost} damaged block{'s' * (lost > 1)} left out" if lost else ""


def _check_java(file: Path) -> None:
    java = shutil.which("java")
    if java is None:
        raise DataError(f"{file} needs Java, and there is no command 'java'; install Java 8 or newer")
    if not _runs(java):
        raise DataError(f"{file} needs Java, and {java} does not run; install Java 8 or newer")


@cache
def _runs(java: str) -> bool:
    """Whether there is Java behind the command; some systems have one that only says where to get it."""
    try:
        return subprocess.run([java, "-version"], capture_output=True, check=False).returncode == 0
    except OSError:  # a program for another kind of machine
        return False


def check_span(file: Path, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Refuse a recording that is longer than any.

    Raises:
        DataError: saying from when to when it is.
    """
    if (last - first) / pd.Timedelta(days=1) > MAX_DAYS:
        raise DataError(
            f"{file} is from {first:%Y-%m-%d} to {last:%Y-%m-%d}, more than {MAX_DAYS} days, as "
            "when the device's clock was reset; put the wrong times right, or leave those samples out"
        )


class CsvTable:
    """The columns time, x, y, z of a CSV file, as they are there.

    Args:
        file: ``.csv`` or ``.csv.gz``.

    Attributes:
        unfinished: whether a last line without an end was left out, when all has been read.
    """

    columns = ("time", "x", "y", "z")

    def __init__(self, file: Path) -> None:
        self._file = file
        self.unfinished = False

    def pieces(self, size: int | None = None) -> Iterator[pd.DataFrame]:
        """Read so many lines at a time, or with None all at once.

        Raises:
            ValueError: when it is no such table.
        """
        with _open(self._file) as content:
            watched = _Watched(content)
            text = io.BufferedReader(watched)
            header = [name.strip(' "\r') for name in text.peek().split(b"\n")[0].decode(errors="replace").split(",")]
            if twice := [name for name in self.columns if header.count(name) > 1]:
                raise ValueError(f"it has the column {twice[0]} more than once")
            table = pd.read_csv(
                text,
                usecols=list(self.columns),
                dtype=dict.fromkeys("xyz", np.float32),
                parse_dates=["time"],
                date_format="ISO8601",
                chunksize=size,
            )
            held: pd.DataFrame | None = None
            for piece in [table] if isinstance(table, pd.DataFrame) else table:
                if held is not None:
                    yield self._checked(held)
                held = piece
            self.unfinished = watched.last != b"\n"
            if held is not None:  # of a line without an end it cannot be seen whether its last number is whole
                yield self._checked(held.iloc[:-1] if self.unfinished else held)

    @staticmethod
    def _checked(data: pd.DataFrame) -> pd.DataFrame:
        if len(data) and not pd.api.types.is_datetime64_dtype(data["time"]):
            raise ValueError("the column time does not hold dates and times without time zone")
        return data


def _open(file: Path) -> IO[bytes]:
    if file.name.lower().endswith(".gz"):
        return igzip.open(file)  # type: ignore[no-untyped-call, no-any-return]
    return file.open("rb")


class _Watched(io.RawIOBase):
    """A file of which the last byte is known when it has been read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.last = b""

    def readable(self) -> bool:
        """Yes, it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as fits."""
        piece = self._content.read(len(buffer))
        buffer[: len(piece)] = piece
        self.last = piece[-1:] or self.last
        return len(piece)


def span(first: np.datetime64, last: np.datetime64) -> str:
    """From when to when, and how long, for the reader."""
    minutes = round((last - first) / np.timedelta64(1, "m"))
    seconds = (last - first) / np.timedelta64(1, "s")
    length = (
        f"{minutes // 1440} d {minutes // 60 % 24} h {minutes % 60} min"
        if minutes >= 1440
        else (f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{seconds:.0f} s")
    )
    texts = [str(time.astype("datetime64[s]")).replace("T", " ") for time in (first, last)]
    return f"{texts[0]} to {texts[1]} ({length})"


def without_noise(read: Callable[[], tuple[Result, dict[str, Any]]], file: Path) -> tuple[Result, dict[str, Any], str]:
    """Call a reader; what it, or the Java program that it starts, prints is kept from the terminal and returned.

    Raises:
        DataError: whatever the reader raises, with the first that was said.
    """
    with tempfile.TemporaryFile() as said, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        terminal = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            data, info = read()
            said.seek(0)
            return data, info, said.read().decode(errors="replace")
        except DataError:
            raise
        except Exception as error:  # a damaged file makes the readers raise nearly anything
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            reason = lines[0] if lines else " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(f"{file} cannot be read ({reason}); {mend(file)}") from error
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def mend(file: Path) -> str:
    """What to do when a file cannot be read."""
    if is_csv(file):
        return "copy it again if it was cut short; its columns must be time, such as 2024-04-30 14:53:00.02, x, y and z"
    return "copy it from the device again"
