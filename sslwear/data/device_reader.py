"""The reader of device files and CSV recordings, in bounded memory.

The samples of a file are written to disk as actipy's Java program for the device gives them, filtered there piece by
piece, and calibrated when they are read back.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.buffer import AXES, TEMPERATURE, SampleBuffer
from sslwear.data.calibration import Calibration, filter_and_calibrate
from sslwear.data.checks import check_range
from sslwear.data.csv_recordings import read_csv_recording
from sslwear.data.cuts import check_rate, check_used
from sslwear.data.device_checks import capture_output, check_readable, is_csv, reading_note, span
from sslwear.data.nonwear import worn_at
from sslwear.data.time_axis import TimeAxis
from sslwear.data.unpacking import check_zip, open_gzip
from sslwear.data.windowing import Windower, Windows

PIECE_SAMPLES = 250_000
MAX_DRIFT = 0.05
"""Difference between the rate by the header and by the times, as a share, above which the summary gives both."""
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
"""Columns that those programs write after the time, by the number in their first bytes."""


@dataclass(frozen=True)
class Piece:
    """Consecutive samples of a recording.

    Attributes:
        time: nanoseconds since 1970 (n,), increasing.
        samples: (n, 3), filtered and calibrated, in g.
        worn: whether the device was worn, at each sample (n,).
    """

    time: NDArray[np.int64]
    samples: NDArray[np.float32]
    worn: NDArray[np.bool_]


@dataclass(frozen=True)
class DeviceRecording:
    """A recording whose filtered samples are on disk.

    Attributes:
        file: the file that it is from.
        axis: its time axis, with what is cut.
        nominal_hz: samples per second by the file's header; for a CSV file by its times.
        note: one line about how the file was read.
        start: date and time of the first sample, in the device's local time.
        end: date and time of the last sample.
        nonwear: starts and ends (n, 2) of non-wear, both included, in nanoseconds since 1970.
        buffer: the samples.
        calibration: gravity calibration of the samples.
    """

    file: Path
    axis: TimeAxis
    nominal_hz: float
    note: str
    start: np.datetime64
    end: np.datetime64
    nonwear: NDArray[np.int64]
    buffer: SampleBuffer
    calibration: Calibration

    @property
    def rate_hz(self) -> float:
        """Samples per second by the times."""
        return self.axis.rate_hz or self.nominal_hz

    @property
    def seconds(self) -> float:
        """Seconds from the first sample to the last."""
        return float((self.end - self.start) / np.timedelta64(1, "ns")) / 1e9

    def pieces(self, size: int = PIECE_SAMPLES) -> Iterator[Piece]:
        """Read the recording, at most `size` samples at a time.

        Raises:
            DataError: when no accelerometer measures a sample.
        """
        for first, last in self.buffer.ranges(size):
            time = self.buffer.time(first, last)
            samples = self.calibration(self.buffer.values(first, last, self.buffer.columns))
            check_range(self.file, samples, first)
            yield Piece(time, samples, worn_at(time, self.nonwear))

    def windows(
        self,
        rate_hz: float,
        window_s: float,
        step_s: float,
        label_count: int = 0,
        codes: Callable[[NDArray[np.int64]], NDArray[np.integer] | None] = lambda time: None,
        size: int = PIECE_SAMPLES,
        needed_hz: float | None = None,
    ) -> Iterator[Windows]:
        """Cut the recording into windows, some at a time, see `Windower`.

        Args:
            rate_hz: samples per second of the windows.
            window_s: length of a window, in seconds.
            step_s: distance between the starts of windows, in seconds.
            label_count: number of different labels.
            codes: gives the index of the label at each of some times in nanoseconds since 1970, or None without labels.
            size: number of samples of the recording to read at a time.
            needed_hz: rate that the recording is compared with, where `rate_hz` is that of windows stretched in time.

        Raises:
            DataError: when no accelerometer measures a sample, or the recording's rate is too low.
        """
        check_rate(self.file, self.rate_hz, needed_hz or rate_hz)
        resolution_s, origin = self.axis.resolution_s, self.start.astype(np.int64)
        windower = Windower(self.rate_hz, rate_hz, window_s, step_s, label_count, resolution_s=resolution_s)
        for piece in self.pieces(size):
            yield windower.add((piece.time - origin) / 1e9, piece.samples, piece.worn, codes(piece.time))
        yield windower.finish()


@contextmanager
def open_recording(file: Path, folder: Path) -> Iterator[DeviceRecording]:
    """Read a device's file or a CSV recording.

    Args:
        file: ``.cwa``, ``.gt3x``, ``.bin`` or ``.csv``, each also with ``.gz``.
        folder: folder on a disk with room for the samples, 20 to 24 bytes each: 1.5 GB for a week at 100 Hz.

    Raises:
        DataError: when it cannot be read, or too much of it cannot be used.
    """
    check_readable(file)
    buffers: list[SampleBuffer] = []

    def read() -> tuple[TimeAxis, Calibration, dict[str, Any]]:
        buffer, info = (read_csv_recording if is_csv(file) else _read_device)(file, folder)
        buffers.append(buffer)
        axis = buffer.arrange()
        check_used(file, axis.used, axis.cuts)
        nominal_hz = float(info.get("SampleRate") or axis.rate_hz or 1)
        info = {"SampleRate": round(nominal_hz, 3) or nominal_hz, "Filtered": nominal_hz, **info}
        return axis, *filter_and_calibrate(file, buffer, info)

    try:
        (axis, calibration, info), printed = capture_output(read, file)
        (buffer,) = buffers
        note = reading_note(file, len(buffer), info, printed)
        start, end = (buffer.time(i, i + 1).view("datetime64[ns]")[0] for i in (0, len(buffer) - 1))
        if axis.rate_hz and abs(axis.rate_hz / info["SampleRate"] - 1) > MAX_DRIFT:
            note += f", {axis.rate_hz:.4g} Hz by its clock"
        note += f", {span(start, end)}"
        yield DeviceRecording(file, axis, info["SampleRate"], note, start, end, info["nonwear"], buffer, calibration)
    finally:
        for buffer in buffers:
            buffer.close()


def _read_device(file: Path, folder: Path) -> tuple[SampleBuffer, dict[str, Any]]:
    """Let actipy's reader write a file's samples to disk; returns them, and actipy's facts about the device."""
    from actipy import matrix_reader, reader

    with tempfile.TemporaryDirectory(dir=folder) as name:
        place, plain = Path(name), file
        if file.name.lower().endswith(".gz"):
            plain = place / file.name[: -len(".gz")]
            with open_gzip(file, str(file)) as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 2**20)
        if zipfile.is_zipfile(plain):
            check_zip(plain)
        if matrix_reader.is_matrix_bin_file(str(plain)):
            return _read_matrix(plain, folder)
        device = reader.get_device_info(str(plain))
        buffer, info = _run_java(plain, place, folder)
    return buffer, {**device, **info, "SampleRate": float(info["SampleRate"])}


def _run_java(file: Path, place: Path, folder: Path) -> tuple[SampleBuffer, dict[str, Any]]:
    """Run one of actipy's Java programs, which stops when nobody reads its output any more.

    Args:
        file: the file to read.
        place: folder for the program's facts about the device.
        folder: folder of the buffer.

    Raises:
        CalledProcessError: when it fails.
        ValueError: when it writes another format than this version of actipy does.
    """
    import actipy

    home = str(Path(actipy.__file__).parent)
    kind = READERS[file.suffix.lower()]
    command = [*JAVA, "-cp", home, kind, "-i", str(file), "-o", str(place), "--stream"]
    buffer: SampleBuffer | None = None
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=2**20) as process:
            assert process.stdout is not None
            try:
                columns = _columns(process.stdout)
                buffer = SampleBuffer(folder, tuple(name for name in columns if name in (*AXES, TEMPERATURE)))
                _copy_samples(process.stdout, columns, buffer)
            except EOFError:
                pass  # the program has failed, which its exit status shows
            except BaseException:
                process.kill()
                raise
        if process.returncode or buffer is None:
            raise subprocess.CalledProcessError(process.returncode, command)
        return buffer, dict(line.split(":", 1) for line in (place / "info.txt").read_text().splitlines())
    except BaseException:
        if buffer is not None:
            buffer.close()
        raise


def _columns(stream: IO[bytes]) -> tuple[str, ...]:
    """Names of the columns that a Java program writes."""
    head = _read_exactly(stream, len(STREAM_HEAD) + 1)
    if head[:-1] != STREAM_HEAD or head[-1] not in STREAM_COLUMNS:
        raise ValueError("this version of actipy writes another format; install actipy 3.8")
    return STREAM_COLUMNS[head[-1]]


def _copy_samples(stream: IO[bytes], columns: tuple[str, ...], buffer: SampleBuffer) -> None:
    """Copy what a Java program writes into a buffer: some rows at a time, column by column."""
    while rows := struct.unpack("<I", _read_exactly(stream, 4))[0]:
        time = np.frombuffer(_read_exactly(stream, 8 * rows), np.int64)
        values = {name: np.frombuffer(_read_exactly(stream, 4 * rows), np.float32) for name in columns}
        buffer.append(time, {name: values[name] for name in buffer.columns})


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError("the reader stopped")
    return found


def _read_matrix(file: Path, folder: Path) -> tuple[SampleBuffer, dict[str, Any]]:
    """Read a Matrix device's file, which actipy reads as a whole."""
    import actipy

    data, info = actipy.read_device(
        str(file), lowpass_hz=None, calibrate_gravity=False, detect_nonwear=False, resample_hz=None, verbose=False
    )
    buffer = SampleBuffer(folder)
    values = {name: data[name].to_numpy(np.float32) for name in AXES}
    buffer.append(data.index.to_numpy("datetime64[ns]").view(np.int64), values)
    return buffer, info
