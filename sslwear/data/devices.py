"""Device files as recordings: Axivity, ActiGraph and GENEActiv through actipy, and CSV."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.sources.base import NO_LABEL, Recording, Source
from sslwear.data.sources.raw import natural
from sslwear.errors import DataError

DEVICE_ENDINGS = (".cwa.gz", ".cwa", ".gt3x.gz", ".gt3x", ".bin.gz", ".bin")
CSV_ENDINGS = (".csv.gz", ".csv")
LOWPASS_HZ = 20
"""As the recordings were treated that the published models are from."""
COLUMNS = ["participant", "start", "end", "label"]


class DeviceFiles(Source):
    """One participant a file, called like the file without its ending.

    Gravity is calibrated where there are enough still moments, what is above 20 Hz is filtered out, and time not worn
    (90 minutes without movement) is marked.

    Args:
        files: ``.cwa``, ``.gt3x``, ``.bin`` or ``.csv`` (columns time, x, y, z in g), each also with ``.gz``.
        labels: a CSV file with the columns participant, start, end, label, in the device's local time; or None.

    Raises:
        DataError: when two files have the same name, an ending is unknown, or the labels cannot be used.
    """

    name = "devices"
    title = "Recordings of one's own devices"
    licence = "one's own"
    citation = "the devices' manufacturers; read by actipy, https://github.com/OxWearables/actipy"
    homepage = "https://github.com/OxWearables/actipy"
    step_s = 10.0

    def __init__(self, files: Sequence[Path], labels: Path | None = None) -> None:
        self._files: dict[str, Path] = {}
        for file in sorted(files, key=lambda path: natural(path.name)):
            if not file.is_file():
                raise DataError(f"there is no file {file}; give the paths of device files")
            name = _name(file)
            if name in self._files:
                raise DataError(
                    f"{self._files[name]} and {file} are both called {name!r}, which names the participant; rename one"
                )
            self._files[name] = file
        self._labels_file = labels
        self._labels = None if labels is None else read_labels(labels, self._files)

    def identity(self) -> dict[str, Any]:
        """The files by path, size and time of change, and the labels by content."""
        stats = {str(path.resolve()): path.stat() for path in self._files.values()}
        content = None if self._labels_file is None else self._labels_file.read_bytes()
        return {
            "source": self.name,
            "files": {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()},
            "labels": None if content is None else hashlib.sha256(content).hexdigest(),
        }

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels, sorted."""
        return tuple(sorted({interval.label for interval in self._labels or ()}))

    def participants(self) -> Sequence[str]:
        """The files' names without endings."""
        return list(self._files)

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a participant's file."""
        file = self._files[str(participant)]
        data, worn, rate_hz, note = _read(file)
        when = data.index.to_numpy("datetime64[ns]")
        yield Recording(
            participant,
            data[["x", "y", "z"]].to_numpy(np.float32),
            rate_hz,
            self._label(str(participant), when),
            (when - when[0]).astype(np.int64) / 1e9,
            when[0],
            worn,
            note,
        )

    def _label(self, participant: str, when: NDArray[np.datetime64]) -> pd.Categorical[Any] | None:
        if self._labels is None:
            return None
        names = self.class_names
        codes = np.full(len(when), NO_LABEL, np.int64)
        for interval in self._labels:
            if interval.participant == participant:
                first, last = np.searchsorted(when, np.array([interval.start, interval.end]))
                codes[first:last] = names.index(interval.label)
        labels: pd.Categorical[Any] = pd.Categorical.from_codes(codes, pd.Index(list(names)))
        return labels


@dataclass(frozen=True)
class Interval:
    """A stretch of time with a label: participant, start and end in local time, label, and the line it is from."""

    participant: str
    start: np.datetime64
    end: np.datetime64
    label: str
    line: int


def read_labels(path: Path, participants: Collection[str]) -> list[Interval]:
    """Read a table of labelled intervals, of which no two of a participant overlap.

    Args:
        path: a CSV file with the columns participant, start, end, label.
        participants: who there may be.

    Returns:
        The intervals, sorted by participant and start.

    Raises:
        DataError: naming the line and the mend.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}); save it as CSV, in UTF-8") from error
    if missing := [name for name in COLUMNS if not rows or name not in rows[0]]:
        raise DataError(f"{path} has no column {missing[0]!r}; its first line must be {','.join(COLUMNS)}")
    intervals = sorted(
        (_interval(path, line, row, participants) for line, row in enumerate(rows, 2)),
        key=lambda interval: (interval.participant, interval.start),
    )
    for one, other in pairwise(intervals):
        if one.participant == other.participant and one.end > other.start:
            raise DataError(f"{path}, lines {one.line} and {other.line}: they overlap; end one before the other starts")
    return intervals


def _interval(path: Path, line: int, row: Mapping[str, str | None], participants: Collection[str]) -> Interval:
    where = f"{path}, line {line}"
    participant, label = ((row[name] or "").strip() for name in ("participant", "label"))
    if participant not in participants:
        raise DataError(
            f"{where}: no file is called {participant!r}; participants are files' names without their endings, here "
            f"{', '.join(list(participants)[:5])}"
        )
    if not label:
        raise DataError(f"{where}: the label is empty; write one, or leave the line out")
    start, end = (_time(where, name, row[name] or "") for name in ("start", "end"))
    if end <= start:
        raise DataError(f"{where}: the end {end} is not after the start {start}; put it right")
    return Interval(participant, start, end, label, line)


def _time(where: str, column: str, text: str) -> np.datetime64:
    try:
        time = pd.Timestamp(text)
    except ValueError:
        time = pd.Timestamp("NaT")
    if pd.isna(time):
        raise DataError(f"{where}: {column} is {text!r}; write a time such as 2024-04-30 14:53:00")
    if time.tzinfo is not None:
        raise DataError(f"{where}: {column} is {text!r}; leave the time zone out, as the device does")
    return time.to_datetime64()


def _name(file: Path) -> str:
    for ending in (*DEVICE_ENDINGS, *CSV_ENDINGS):
        if file.name.lower().endswith(ending) and len(file.name) > len(ending):
            return file.name[: -len(ending)]
    known = ", ".join(ending for ending in (*DEVICE_ENDINGS, *CSV_ENDINGS) if not ending.endswith(".gz"))
    raise DataError(f"{file} has no known ending; give files that end in {known}, or these with .gz")


def _read(file: Path) -> tuple[pd.DataFrame, NDArray[np.bool_], float, str]:
    """Samples in g by time, whether worn at each, samples per second, and a line about the device."""
    try:
        from actipy import processing
    except ImportError as error:
        raise DataError(f"{file} needs the package actipy; install it with: pip install 'sslwear[devices]'") from error
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty; copy it from the device again")
    is_csv = file.name.lower().endswith(CSV_ENDINGS)
    if not is_csv and shutil.which("java") is None:
        raise DataError(f"{file} needs Java, and there is no command 'java'; install Java 8 or newer")
    data, info = _without_noise(lambda: _csv(file) if is_csv else _device(file), file)
    if len(data) == 0:
        raise DataError(f"{file} holds no samples; copy it from the device again")
    if info.get("ReadErrors"):
        raise DataError(
            f"{file} is damaged or cut short: {info['ReadErrors']} of its blocks cannot be read; copy it from the "
            "device again"
        )
    worn = np.ones(len(data), bool)
    for start, length in processing.find_nonwear_segments(data).items():
        worn[data.index.slice_indexer(start, start + length)] = False
    calibrated = "gravity calibrated" if info.get("CalibOK") else "gravity not calibrated, too few still moments"
    return data, worn, float(info["SampleRate"]), f"{info['Device']}, {info['SampleRate']:g} Hz, {calibrated}"


def _device(file: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    import actipy

    data, info = actipy.read_device(
        str(file), LOWPASS_HZ, calibrate_gravity=True, detect_nonwear=False, resample_hz=None, verbose=False
    )
    return data, info


def _csv(file: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    import actipy

    columns = ["time", "x", "y", "z"]
    data = pd.read_csv(file, usecols=columns, dtype=dict.fromkeys("xyz", np.float32), parse_dates=["time"])
    if not pd.api.types.is_datetime64_dtype(data["time"]):
        raise ValueError("the column time does not hold dates and times without time zone")
    data = data.dropna(subset=["time"]).sort_values("time", kind="stable").drop_duplicates("time").set_index("time")
    steps = np.diff(data.index.to_numpy("datetime64[ns]")).astype(np.int64)
    rate_hz = 1e9 / float(np.median(steps)) if len(steps) else 1.0
    data, info = actipy.process(
        data, rate_hz, LOWPASS_HZ, calibrate_gravity=True, detect_nonwear=False, resample_hz=None, verbose=False
    )
    return data, {**info, "SampleRate": round(rate_hz, 3), "Device": "CSV"}


def _without_noise(
    read: Callable[[], tuple[pd.DataFrame, dict[str, Any]]], file: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Call a reader; what it, or the Java program that it starts, prints is kept from the terminal.

    Raises:
        DataError: whatever the reader raises, with the last that was said.
    """
    with tempfile.TemporaryFile() as said, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        terminal = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            return read()
        except Exception as error:  # a damaged file makes the readers raise nearly anything
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            reason = lines[0] if lines else " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(f"{file} cannot be read ({reason}); copy it from the device again") from error
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
