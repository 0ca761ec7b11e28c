"""Device files as recordings: Axivity, ActiGraph and GENEActiv through actipy, and CSV."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.annotations import read_labels
from sslwear.data.arrays import Stamp, stamp
from sslwear.data.checks import check_range, check_unit
from sslwear.data.device_files import (
    LOWPASS_HZ,
    UNIT_SAMPLES,
    CsvTable,
    check_readable,
    check_span,
    is_csv,
    name_of,
    remark,
    span,
    without_noise,
)
from sslwear.data.sources.base import NO_LABEL, Recording, Source
from sslwear.data.sources.raw import natural
from sslwear.errors import DataError


class DeviceFiles(Source):
    """One participant a file, called like the file without its ending.

    Gravity is calibrated where there are enough still moments, what is above 20 Hz is filtered out, and time not worn
    (90 minutes without movement) is marked.

    Args:
        files: ``.cwa``, ``.gt3x``, ``.bin`` or ``.csv`` (columns time, x, y, z; time as 2024-04-30 14:53:00.02, in the
            device's local time; x, y, z in g), each also with ``.gz``.
        labels: a CSV file with the columns participant, start, end, label, in the device's local time; or None.

    Raises:
        DataError: when two files have the same name, an ending is unknown, or the labels cannot be used; a file that
            is not there is noticed when it is read, as a damaged one is.
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
            name = name_of(file)
            if name in self._files:
                raise DataError(
                    f"{self._files[name]} and {file} are both called {name!r}, which names the participant; rename one"
                )
            self._files[name] = file
        self._labels_file = labels
        self._labels = None if labels is None else read_labels(labels, self._files)

    def identity(self) -> dict[str, Any]:
        """The files by path, and the labels by content."""
        content = None if self._labels_file is None else self._labels_file.read_bytes()
        return {
            "source": self.name,
            "files": [str(path.resolve()) for path in self._files.values()],
            "labels": None if content is None else hashlib.sha256(content).hexdigest(),
        }

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels, sorted."""
        return tuple(sorted({interval.label for interval in self._labels or ()}))

    def participants(self) -> Sequence[str]:
        """The files' names without endings."""
        return list(self._files)

    def files(self, participant: int | str) -> Sequence[str]:
        """A participant's file."""
        return [str(self._files[str(participant)])]

    def stamp(self, participant: int | str) -> dict[str, Stamp]:
        """State of a participant's file."""
        return {file: stamp(Path(file)) for file in self.files(participant)}

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a participant's file."""
        file = self._files[str(participant)]
        data, worn, rate_hz, note = _read(file)
        when = data.index.to_numpy("datetime64[ns]")
        samples = np.empty((len(data), 3), np.float32)
        for i, axis in enumerate("xyz"):
            samples[:, i] = data.pop(axis)
        label = self._label(str(participant), when)
        start, time = when[0], np.empty(len(when))
        np.divide(when.view(np.int64) - start.astype(np.int64), 1e9, out=time)
        note += f", {span(when[0], when[-1])}"
        del data, when  # a week of them is gigabytes, and windows are cut while this function waits
        yield Recording(participant, samples, rate_hz, label, time, start, worn, note)

    def _label(self, participant: str, when: NDArray[np.datetime64]) -> pd.Categorical[Any] | None:
        if self._labels is None:
            return None
        names = self.class_names
        codes = np.full(len(when), NO_LABEL, np.int16)
        for interval in self._labels:
            if interval.participant == participant:
                first, last = np.searchsorted(when, np.array([interval.start, interval.end]))
                codes[first:last] = names.index(interval.label)
        labels: pd.Categorical[Any] = pd.Categorical.from_codes(codes, pd.Index(list(names)))
        return labels


def _read(file: Path) -> tuple[pd.DataFrame, NDArray[np.bool_], float, str]:
    """Samples in g by time, whether worn at each, samples per second, and a line about the device."""
    check_readable(file)
    from actipy import processing

    data, info, said = without_noise(lambda: _csv(file) if is_csv(file) else _device(file), file)
    note = remark(file, len(data), info, said)
    data = data[["x", "y", "z"]]
    worn = np.ones(len(data), bool)
    for start, length in processing.find_nonwear_segments(data).items():
        worn[data.index.slice_indexer(start, start + length)] = False
    return data, worn, float(info["SampleRate"]), note


def _device(file: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    import actipy

    data, info = actipy.read_device(
        str(file), LOWPASS_HZ, calibrate_gravity=True, detect_nonwear=False, resample_hz=None, verbose=False
    )
    if len(data):
        _check_unit(file, data)
    return data, info


def _check_unit(file: Path, data: pd.DataFrame) -> None:
    some = data[["x", "y", "z"]].iloc[:: 1 + len(data) // UNIT_SAMPLES].to_numpy()
    check_unit(file, float(np.nanmedian(np.linalg.norm(some, axis=1))))


def _csv(file: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    import actipy

    table = CsvTable(file)
    (data,) = table.pieces()
    # lost samples would ring in the filter, and an infinite one spread through it
    data = data[np.isfinite(data[["x", "y", "z"]].to_numpy()).all(axis=1) & data["time"].notna().to_numpy()]
    data = data.sort_values("time", kind="stable").drop_duplicates("time").set_index("time")
    if len(data) == 0:
        return data, {}
    check_span(file, data.index[0], data.index[-1])
    _check_unit(file, data)
    check_range(file, data[["x", "y", "z"]].to_numpy())  # the filter would spread such a sample
    steps = np.diff(data.index.to_numpy("datetime64[ns]")).astype(np.int64)
    rate_hz = 1e9 / float(np.median(steps)) if len(steps) else 1.0
    data, info = actipy.process(
        data, rate_hz, LOWPASS_HZ, calibrate_gravity=True, detect_nonwear=False, resample_hz=None, verbose=False
    )
    return data, {**info, "SampleRate": round(rate_hz, 3), "Device": "CSV", "Unfinished": table.unfinished}
