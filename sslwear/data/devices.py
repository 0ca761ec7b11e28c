"""Data source of a user's own device files and CSV recordings."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.arrays import Stamp, stamp
from sslwear.data.files.clock import Clock
from sslwear.data.files.device_checks import name_of
from sslwear.data.files.device_reader import DeviceRecording, open_recording
from sslwear.data.files.recording_format import Reading
from sslwear.data.recording import NO_LABEL, Recording, RecordingInfo
from sslwear.data.sources.base import Source
from sslwear.data.sources.raw import natural
from sslwear.data.tables.recording_tables import read_tables
from sslwear.data.windowing import Windows
from sslwear.errors import DataError


def recordings_by_name(files: Sequence[Path]) -> dict[str, Path]:
    """Files by their names without endings, in natural order.

    Raises:
        DataError: when two files have the same name, or an ending is unknown.
    """
    found: dict[str, Path] = {}
    for file in sorted(files, key=lambda path: natural(path.name)):
        name = name_of(file)
        if name in found:
            raise DataError(f"{found[name]} and {file} would both be the recording {name!r}; rename one of them")
        found[name] = file
    return found


class DeviceFiles(Source):
    """Recordings of Axivity, ActiGraph and GENEActiv devices, or from CSV files.

    A recording is named like the file without its endings. Its participant is the declared one, or else has the
    recording's name, without endings such as ``_visit2`` if there are several. Frequencies above 20 Hz are filtered
    out. Gravity is calibrated where the device was still in enough positions. Non-wear, 90 minutes without movement, is
    marked.

    Args:
        files: ``.cwa``, ``.gt3x``, ``.bin`` or ``.csv`` (columns time, x, y, z; time as 2024-04-30 14:53:00.02, in the
            device's local time; x, y, z in g), each also with ``.gz``; ``.npy`` or ``.parquet``.
        labels: a CSV file with the columns participant, start, end, label, in the device's local time, and recording
            if a participant has several; or None.
        participants: a CSV file with the columns recording, participant; or None.
        reading: format of tables, and when a device counts as not worn; None for the defaults.
        name: name of the data set that is made of them.

    Attributes:
        warnings: what may be wrong with the participants and the labels, one sentence each.

    Raises:
        DataError: when two files have the same name, an ending is unknown, or a table cannot be used. A missing or
            damaged file is noticed when it is read.
    """

    title = "Recordings of one's own devices"
    licence = "one's own"
    citation = "the devices' manufacturers; read by actipy, https://github.com/OxWearables/actipy"
    homepage = "https://github.com/OxWearables/actipy"
    step_s = 10.0

    def __init__(
        self,
        files: Sequence[Path],
        labels: Path | None = None,
        participants: Path | None = None,
        reading: Reading | None = None,
        name: str = "devices",
    ) -> None:
        self.name = name
        self._files = recordings_by_name(files)
        self._labels_file = labels
        self._reading = reading
        tables = read_tables(self._files, labels, participants)
        self._participants, self._labels = tables.participants, tables.labels
        self.warnings = tables.warnings

    def identity(self) -> dict[str, Any]:
        """The files by path, their participants, and the labels by content."""
        content = None if self._labels_file is None else self._labels_file.read_bytes()
        return {
            "source": "devices",  # and not the name, so that imports of before have the same identity
            "files": [os.path.realpath(path) for path in self._files.values()],
            "participants": list(self._participants.values()),
            "labels": None if content is None else hashlib.sha256(content).hexdigest(),
            **({} if self._reading is None else {"reading": self._reading.identity()}),
        }

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels, sorted."""
        return tuple(sorted({interval.label for mine in (self._labels or {}).values() for interval in mine}))

    def participants(self) -> Sequence[str]:
        """The participants, in the order of their files."""
        return list(dict.fromkeys(self._participants.values()))

    def files(self, participant: int | str) -> Sequence[str]:
        """The files of a participant."""
        return [str(file) for file in self._recordings(participant).values()]

    def _recordings(self, participant: int | str) -> dict[str, Path]:
        """Files of a participant by name."""
        return {name: file for name, file in self._files.items() if self._participants[name] == participant}

    def stamp(self, participant: int | str) -> dict[str, Stamp]:
        """Size and time of change of a participant's file."""
        return {os.path.realpath(file): stamp(Path(file)) for file in self.files(participant)}

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a participant's files into memory; see `windows` for less memory."""
        for name, file in self._recordings(participant).items():
            with tempfile.TemporaryDirectory() as folder, open_recording(file, Path(folder), self._reading) as found:
                pieces = list(found.pieces())
            time = np.concatenate([piece.time for piece in pieces])
            codes = _codes(self._spans(name, found.clock), time)
            label = None if codes is None else pd.Categorical.from_codes(codes, pd.Index(list(self.class_names)))
            yield Recording(
                participant,
                np.concatenate([piece.samples for piece in pieces]),
                found.rate_hz,
                label,
                (time - found.start.astype(np.int64)) / 1e9,
                found.start,
                np.concatenate([piece.worn for piece in pieces]),
                found.note,
            )

    def windows(
        self, participant: int | str, rate_hz: float, window_s: float, step_s: float, folder: Path
    ) -> Iterator[tuple[RecordingInfo, Windows]]:
        """Read and cut a participant's files piece by piece, so that memory does not grow with their length."""
        names = self.class_names
        for name, file in self._recordings(participant).items():
            with open_recording(file, folder, self._reading) as found:
                spans = self._spans(name, found.clock)
                note = "; ".join(filter(None, [found.note, self._about_labels(name, spans, found)]))
                info = RecordingInfo(names, found.start, note, found.axis.cuts)
                codes = partial(_codes, spans)
                for windows in found.windows(rate_hz, window_s, step_s, len(names), codes):
                    yield info, windows

    def _spans(self, recording: str, clock: Clock) -> NDArray[np.int64] | None:
        """Begin, end and index of the label (n, 3) of each interval of a recording; None without a file of labels.

        Begin and end are times of the recording. The file has what the clock on the device showed.
        """
        if self._labels is None:
            return None
        names, mine = self.class_names, self._labels[recording]
        shown = np.array([time for one in mine for time in (one.start, one.end)], "datetime64[ns]").view(np.int64)
        times = (clock.instants_on_device(shown) + clock.shift_ns).reshape(-1, 2)
        return np.column_stack([times, np.array([names.index(one.label) for one in mine], np.int64)])

    def _about_labels(self, recording: str, spans: NDArray[np.int64] | None, found: DeviceRecording) -> str:
        """Note of a recording whose labels are all of other times; otherwise empty."""
        if self._labels is None or spans is None or not len(spans):
            return ""
        start, end = np.array([found.start, found.end], "datetime64[ns]").view(np.int64)
        if ((spans[:, 0] <= end) & (spans[:, 1] > start)).any():
            return ""
        mine = self._labels[recording]
        ends = min(one.start for one in mine), max(one.end for one in mine)
        first, last = (str(time.astype("datetime64[s]")).replace("T", " ") for time in ends)
        return f"all labels are of other times, {first} to {last}"


def _codes(spans: NDArray[np.int64] | None, time: NDArray[np.int64]) -> NDArray[np.int16] | None:
    """Index of the label at each of some times of a recording (n,), or NO_LABEL, see `DeviceFiles._spans`."""
    if spans is None:
        return None
    codes = np.full(len(time), NO_LABEL, np.int16)
    for (first, last), code in zip(np.searchsorted(time, spans[:, :2]), spans[:, 2], strict=True):
        codes[first:last] = code
    return codes
