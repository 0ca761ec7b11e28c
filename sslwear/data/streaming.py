"""Recordings of any length, read in bounded memory: the same calibration, filter, non-wear and windows as `devices`.

A file's samples go to disk as its reader gives them, are filtered there piece by piece, and are calibrated when they
are read again.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from isal import igzip
from numpy.typing import NDArray

from sslwear.data.buffer import AXES, TEMPERATURE, TIME, Spool
from sslwear.data.calibration import UNCALIBRATED, Calibration, check_unit_of, treat
from sslwear.data.checks import check_range
from sslwear.data.device_files import (
    CsvTable,
    check_readable,
    check_span,
    is_csv,
    remark,
    span,
    without_noise,
)
from sslwear.data.windower import Cutter, Windows
from sslwear.errors import DataError

PIECE_SAMPLES = 250_000
READERS = {".cwa": "AxivityReader", ".gt3x": "ActigraphReader", ".bin": "GENEActivReader"}
"""actipy's Java programs by a file's ending."""
JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC")
STREAM_HEAD = b"ACTIPY01"
STREAM_COLUMNS = {
    1: AXES,
    2: (*AXES, TEMPERATURE),
    3: (*AXES, TEMPERATURE, "light"),
    6: (*AXES, "gyro_x", "gyro_y", "gyro_z", TEMPERATURE, "light"),
}
"""What those programs write after time, by the number that they say first."""
STEP_BITS = 20


@dataclass(frozen=True)
class Streamed:
    """A recording that has been read: filtered samples on disk, and how to calibrate them.

    Attributes:
        file: where it is from.
        rate_hz: samples per second, nominally.
        note: a line for the reader about how it was read.
        start: the date and time of second 0, in the device's local time.
        end: the date and time of the last sample.
        nonwear: starts and ends, both included, of time not worn, in nanoseconds since 1970 (n, 2).
    """

    file: Path
    rate_hz: float
    note: str
    start: np.datetime64
    end: np.datetime64
    nonwear: NDArray[np.int64]
    _spool: Spool
    _calibration: Calibration

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return float((self.end - self.start) / np.timedelta64(1, "ns")) / 1e9

    def windows(self, rate_hz: float, window_samples: int, piece: int = PIECE_SAMPLES) -> Iterator[Windows]:
        """Cut it into windows side by side, some at a time.

        Args:
            rate_hz: samples per second of the windows.
            window_samples: their length.
            piece: samples of the recording to take at a time.

        Raises:
            DataError: when there is a sample that no accelerometer measures.
        """
        cutter, origin = Cutter(self.rate_hz, rate_hz, window_samples), self.start.astype(np.int64)
        for first, last in self._spool.ranges(piece):
            when = self._spool.time(first, last)
            samples = self._calibration(self._spool.values(first, last, self._spool.columns))
            check_range(self.file, samples, first)
            worn = np.ones(len(when), bool)
            for begin, end in self.nonwear:
                worn[np.searchsorted(when, begin) : np.searchsorted(when, end, side="right")] = False
            yield cutter.add((when - origin) / 1e9, samples, worn)
        yield cutter.finish()


@contextmanager
def stream(file: Path, folder: Path) -> Iterator[Streamed]:
    """Read a device's file or a CSV file whose lines are in order of time.

    Args:
        file: as `DeviceFiles` takes them.
        folder: on whose disk its samples lie meanwhile, 20 to 24 bytes each: 1.5 GB for a week at 100 Hz.

    Raises:
        DataError: when it cannot be read, see `DeviceFiles`.
    """
    check_readable(file)
    spools: list[Spool] = []

    def read() -> tuple[Calibration, dict[str, Any]]:
        info = _csv(file, folder, spools) if is_csv(file) else _device(file, folder, spools)
        return treat(file, spools[0], info)

    try:
        calibration, info, said = without_noise(read, file)
        spool = spools[0]
        note = remark(file, len(spool), info, said)
        ends = [spool.time(i, i + 1).view("datetime64[ns]")[0] for i in (0, len(spool) - 1)]
        note += f", {span(ends[0], ends[1])}"
        yield Streamed(file, float(info["SampleRate"]), note, ends[0], ends[1], info["nonwear"], spool, calibration)
    finally:
        for spool in spools:
            spool.__exit__(None, None, None)


def _device(file: Path, folder: Path, spools: list[Spool]) -> dict[str, Any]:
    """Let actipy's reader write a file's samples to disk, and return what it says of the device."""
    from actipy import matrix_reader, reader

    with tempfile.TemporaryDirectory(dir=folder) as name:
        place, plain = Path(name), file
        if file.name.lower().endswith(".gz"):
            plain = place / file.name[: -len(".gz")]
            with igzip.open(file) as packed, plain.open("wb") as unpacked:  # type: ignore[no-untyped-call]
                shutil.copyfileobj(packed, unpacked, 2**20)
        if matrix_reader.is_matrix_bin_file(str(plain)):
            return _matrix(plain, folder, spools)
        info = reader.get_device_info(str(plain)) | _java(plain, place, spools)
    spool, rate_hz = spools[0], float(info["SampleRate"])
    info["ReadErrors"] = int(info["ReadErrors"]) + int(np.ceil(spool.unordered / rate_hz))
    return {**info, "SampleRate": rate_hz, "Filtered": rate_hz}


def _java(file: Path, folder: Path, spools: list[Spool]) -> dict[str, Any]:
    """Run one of actipy's Java programs; it ends with this process, because nobody reads what it writes then.

    Raises:
        CalledProcessError: when it fails.
        ValueError: when it writes something else than this version of actipy's.
    """
    import actipy

    home = str(Path(actipy.__file__).parent)
    kind = READERS[file.suffix.lower()]
    command = [*JAVA, "-cp", home, kind, "-i", str(file), "-o", str(folder), "--stream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=2**20) as process:
        assert process.stdout is not None
        try:
            _take(process.stdout, folder, spools)
        except EOFError:
            pass  # it has failed, as its exit code says
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return dict(line.split(":", 1) for line in (folder / "info.txt").read_text().splitlines())


def _take(stream: IO[bytes], folder: Path, spools: list[Spool]) -> None:
    """Put what a Java program writes into a spool: rows at a time, column by column."""
    head = _exactly(stream, len(STREAM_HEAD) + 1)
    if head[:-1] != STREAM_HEAD or head[-1] not in STREAM_COLUMNS:
        raise ValueError("this version of actipy gives samples in another form; install actipy 3.8")
    columns = STREAM_COLUMNS[head[-1]]
    kept = tuple(name for name in columns if name in (*AXES, TEMPERATURE))
    spool = Spool(folder, kept)
    spools.append(spool)
    while rows := struct.unpack("<I", _exactly(stream, 4))[0]:
        time = np.frombuffer(_exactly(stream, 8 * rows), np.int64)
        values = {name: np.frombuffer(_exactly(stream, 4 * rows), np.float32) for name in columns}
        spool.append(time, {name: values[name] for name in kept})


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError("the reader stopped")
    return found


def _matrix(file: Path, folder: Path, spools: list[Spool]) -> dict[str, Any]:
    """Matrix devices' files, which actipy reads as a whole."""
    import actipy

    data, info = actipy.read_device(
        str(file), lowpass_hz=None, calibrate_gravity=False, detect_nonwear=False, resample_hz=None, verbose=False
    )
    spools.append(Spool(folder))
    values = {name: data[name].to_numpy(np.float32) for name in AXES}
    spools[0].append(data.index.to_numpy("datetime64[ns]").view(np.int64), values)
    return {**info, "Filtered": info["SampleRate"]}


def _csv(file: Path, folder: Path, spools: list[Spool]) -> dict[str, Any]:
    """Put a CSV file's samples on disk; what is not in order of time is refused, because sorting needs all at once.

    Raises:
        DataError: when it is not in order of time, not in g, or years long.
    """
    table, spool = CsvTable(file), Spool(folder)
    spools.append(spool)
    for piece in table.pieces(PIECE_SAMPLES):
        kept = piece[piece["time"].notna()]
        time = kept[TIME].to_numpy("datetime64[ns]").view(np.int64)
        spool.append(time, {name: kept[name].to_numpy(np.float32) for name in AXES})
        if spool.backwards is not None:
            raise DataError(
                f"{file} goes back in time after {spool.backwards} samples; sort its lines by the column time, or "
                "put the device's clock right in them"
            )
    if len(spool) == 0:
        return {}
    first, last = (pd.Timestamp(int(spool.time(i, i + 1)[0])) for i in (0, len(spool) - 1))
    check_span(file, first, last)
    check_unit_of(file, spool, UNCALIBRATED)
    for i, j in spool.ranges(PIECE_SAMPLES):
        check_range(file, spool.values(i, j), i)  # the filter would spread such a sample
    rate_hz = 1e9 / _median_step(spool) if len(spool) > 1 else 1.0
    return {"Device": "CSV", "SampleRate": round(rate_hz, 3), "Filtered": rate_hz, "Unfinished": table.unfinished}


def _median_step(spool: Spool) -> float:
    """The median of the nanoseconds between samples, by counting twice: all roughly, and those near it exactly.

    Steps of a minute and more are taken for a minute: nothing is recorded so slowly.
    """
    count = len(spool) - 1
    ranks = ((count - 1) // 2, count // 2)
    coarse = np.zeros(2 ** (36 - STEP_BITS), np.int64)
    for steps in _steps(spool):
        coarse += np.bincount(np.minimum(steps >> STEP_BITS, len(coarse) - 1), minlength=len(coarse))
    until = np.cumsum(coarse)
    found = []
    for rank in ranks:
        near = int(np.searchsorted(until, rank, side="right"))
        fine = np.zeros(2**STEP_BITS, np.int64)
        for steps in _steps(spool):
            inside = steps[np.minimum(steps >> STEP_BITS, len(coarse) - 1) == near] & (2**STEP_BITS - 1)
            fine += np.bincount(inside, minlength=len(fine))
        before = int(until[near] - coarse[near])
        found.append((near << STEP_BITS) + int(np.searchsorted(np.cumsum(fine), rank - before, side="right")))
    return sum(found) / 2


def _steps(spool: Spool) -> Iterator[NDArray[np.int64]]:
    for first, last in spool.ranges(PIECE_SAMPLES):
        yield np.diff(spool.time(max(0, first - 1), last))
