"""Checks and notes of device files: endings, missing files, Java, damage and time span."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sslwear.data.cuts import duration
from sslwear.data.files.clock import Clock, texts
from sslwear.data.files.recording_format import TableError
from sslwear.errors import DataError
from sslwear.utils.paths import is_file, is_folder
from sslwear.utils.words import count

Result = TypeVar("Result")
DEVICE_ENDINGS = (".cwa.gz", ".cwa", ".gt3x.gz", ".gt3x", ".bin.gz", ".bin")
CSV_ENDINGS = (".csv.gz", ".csv")
TABLE_ENDINGS = (*CSV_ENDINGS, ".npy", ".parquet")
"""Recordings that need no Java."""
MAX_LOST = 0.01
"""Damaged blocks per second of recording that are left out; a block holds about a second. With more, it is refused."""
CUT_SHORT = "truncated|page count differs"
"""What actipy's readers print about a truncated file, for Axivity and for GENEActiv."""


def name_of(file: Path) -> str:
    """Name of a recording's file without its endings.

    Raises:
        DataError: when the ending is unknown, or there is no file with it.
    """
    for ending in (*DEVICE_ENDINGS, *TABLE_ENDINGS):
        if file.name.lower().endswith(ending) and len(file.name) > len(ending):
            return file.name[: -len(ending)]
    if is_folder(file):
        raise DataError(f"{file} is a folder. Give its files, such as {file / '*.csv'}")
    if not is_file(file):
        raise DataError(f"there is no file {file}; give the path of a recording")
    known = ", ".join(ending for ending in (*DEVICE_ENDINGS, *TABLE_ENDINGS) if not ending.endswith(".gz"))
    raise DataError(f"{file} has an unknown ending. Give files that end in {known}, or in the first four with .gz.")


def is_table(file: Path) -> bool:
    """Whether a file is a CSV, NumPy or Parquet recording, by its ending."""
    return file.name.lower().endswith(TABLE_ENDINGS)


def check_readable(file: Path) -> None:
    """Refuse a file that cannot be read, before reading it.

    Raises:
        DataError: when the file is missing or empty, or when a device's file needs Java and there is none.
    """
    try:
        found = file.stat()
    except OSError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise DataError(f"there is no file {file}; give the path of a recording", reason="missing")
    if found.st_size == 0:
        raise DataError(f"{file} is empty; {advice(file)}", reason="empty")
    if not is_table(file):
        _check_java(file)


def reading_note(file: Path, samples: int, info: Mapping[str, Any], printed: str) -> str:
    """One line about how a file was read.

    Args:
        file: the file.
        samples: number of samples.
        info: facts about the recording, from actipy.
        printed: output of actipy's reader.

    Raises:
        DataError: when there are no samples, the file is truncated, or too many of its blocks are damaged.
    """
    if samples == 0:
        raise DataError(f"{file} holds no samples, or none but 0, 0, 0; {advice(file)}", reason="no samples")
    lost = _damaged_blocks(file, samples, info, printed)
    cut = ", a last line without a line end left out" if info.get("Unfinished") else ""
    calibrated = "gravity calibrated" if info.get("CalibOK") else "gravity not calibrated"
    found = "".join(f", {note}" for note in info.get("Format", ()) if note)
    return f"{info['Device']}, {info['SampleRate']:g} Hz{found}, {calibrated}{lost}{cut}"


def _damaged_blocks(file: Path, samples: int, info: Mapping[str, Any], printed: str) -> str:
    """Note about damaged blocks; a device itself may write a few in a week."""
    lost = int(info.get("ReadErrors") or 0)
    if re.search(CUT_SHORT, printed) or lost > MAX_LOST * samples / info["SampleRate"]:
        message = f"{file} is damaged or truncated: {lost} of its blocks cannot be read; {advice(file)}"
        raise DataError(message, reason="damaged or truncated")
    return f", {count(lost, 'damaged block')} left out" if lost else ""


def _check_java(file: Path) -> None:
    java = shutil.which("java")
    if java is None or not _runs(java):
        raise DataError(f"{file} needs Java, which is not installed; install Java 8 or newer", reason="needs Java")


@cache
def _runs(java: str) -> bool:
    """Whether a command starts Java; some systems have a `java` that only prints where to get it."""
    try:
        return subprocess.run([java, "-version"], capture_output=True, check=False).returncode == 0
    except OSError:  # a program for another kind of machine
        return False


def span(first: np.datetime64, last: np.datetime64) -> str:
    """Dates and times of the first and the last sample, and the duration."""
    length = duration(float((last - first) / np.timedelta64(1, "s")))
    texts = [str(time.astype("datetime64[s]")).replace("T", " ") for time in (first, last)]
    return f"{texts[0]} to {texts[1]} ({length})"


def local_span(first: np.datetime64, last: np.datetime64, clock: Clock) -> str:
    """Local dates and times of the first and the last sample with their offsets, and the duration."""
    times = np.array([first, last]).astype("datetime64[ns]").view(np.int64)
    begin, end = texts(clock.instants(times), clock.zone, "s")
    return f"{begin} to {end} ({duration(float((last - first) / np.timedelta64(1, 's')))}, {clock.zone})"


def capture_output(read: Callable[[], Result], file: Path) -> tuple[Result, str]:
    """Call a reader, and return its result and what it, or the Java program that it starts, prints.

    Raises:
        DataError: when the reader fails, with the first line that it printed.
    """
    with tempfile.TemporaryFile() as output, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        terminal = os.dup(2)
        os.dup2(output.fileno(), 2)
        try:
            result = read()
            output.seek(0)
            return result, output.read().decode(errors="replace")
        except DataError:
            raise
        except Exception as error:  # a damaged file makes the readers raise nearly anything
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise DataError(
                    f"{file} cannot be read: there is no space left on the disk for its samples; make room, then "
                    "repeat the command",
                    reason="no space on the disk",
                ) from error
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
            reason = lines[0] if lines else " ".join(str(error).split())[:200] or type(error).__name__
            what_to_do = error.advice if isinstance(error, TableError) else advice(file)
            raise DataError(f"{file} cannot be read ({reason}); {what_to_do}") from error
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def advice(file: Path) -> str:
    """What to do about a file that cannot be read."""
    if is_table(file):
        return "check that it is complete, with columns time (such as 2024-04-30 14:53:00.02), x, y and z"
    return "copy it from the device again"
