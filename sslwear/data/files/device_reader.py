"""The reader of device files and of recordings in tables, in bounded memory.

The samples of a file are written to disk as actipy's Java program for the device gives them, filtered there piece by
piece, and calibrated when they are read back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.checks import check_range
from sslwear.data.cuts import check_rate, check_used
from sslwear.data.files.buffer import SampleBuffer
from sslwear.data.files.calibration import Calibration, filter_and_calibrate
from sslwear.data.files.clock import Clock
from sslwear.data.files.device_checks import capture_output, check_readable, is_table, local_span, reading_note, span
from sslwear.data.files.java_reader import read_device
from sslwear.data.files.nonwear import worn_at
from sslwear.data.files.quality import Quality, error_mg
from sslwear.data.files.recording_format import Reading, moment
from sslwear.data.files.table_recordings import read_table_recording
from sslwear.data.time_axis import TimeAxis
from sslwear.data.windowing import Windower, Windows
from sslwear.errors import DataError

PIECE_SAMPLES = 250_000
MAX_DRIFT = 0.05
"""Difference between the rate by the header and by the times, as a share, above which the summary gives both."""


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
        nominal_hz: samples per second by the file's header; for a table as stated, or by its times.
        note: one line about how the file was read.
        start: date and time of the first sample that is used, by the clock of the recording.
        end: date and time of the last sample that is used.
        nonwear: starts and ends (n, 2) of non-wear, both included, in nanoseconds since 1970.
        buffer: the samples.
        calibration: gravity calibration of the samples.
        quality: numbers about the recording.
        clock: what its times are.
        part: index of the first sample that is used, and of the one after the last.
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
    quality: Quality
    clock: Clock
    part: tuple[int, int]

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
        begin, end = self.part
        for first in range(begin, end, size):
            last = min(first + size, end)
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
        if len(self.buffer) > 1:  # one sample shows no rate
            check_rate(self.file, self.rate_hz, needed_hz or rate_hz)
        resolution_s, origin = self.axis.resolution_s, self.start.astype(np.int64)
        windower = Windower(self.rate_hz, rate_hz, window_s, step_s, label_count, resolution_s=resolution_s)
        for piece in self.pieces(size):
            yield windower.add((piece.time - origin) / 1e9, piece.samples, piece.worn, codes(piece.time))
        yield windower.finish()


@contextmanager
def open_recording(file: Path, folder: Path, reading: Reading | None = None) -> Iterator[DeviceRecording]:
    """Read a device's file or a recording in a table.

    Args:
        file: ``.cwa``, ``.gt3x``, ``.bin`` or ``.csv``, each also with ``.gz``; ``.npy`` or ``.parquet``.
        folder: folder on a disk with room for the samples, 20 to 24 bytes each: 1.5 GB for a week at 100 Hz.
        reading: how it is read, and the part to use; calibration uses the whole recording.

    Raises:
        DataError: when it cannot be read, or too much of it cannot be used.
    """
    check_readable(file)
    reading = reading or Reading()
    if reading.format.start_time is not None and not is_table(file):  # otherwise its clock would seem to be corrected
        raise DataError(f"{file} has its own times, so --start-time has no effect; give it without that option")
    buffers: list[SampleBuffer] = []

    def read() -> tuple[TimeAxis, Calibration, dict[str, Any]]:
        buffer, info = read_table_recording(file, folder, reading) if is_table(file) else read_device(file, folder)
        buffers.append(buffer)
        axis = buffer.arrange()
        check_used(file, axis.used, axis.cuts)
        nominal_hz = float(info.get("SampleRate") or axis.rate_hz or 1)
        info = {"SampleRate": round(nominal_hz, 3) or nominal_hz, "Filtered": nominal_hz, **info}
        return axis, *filter_and_calibrate(file, buffer, info, reading.nonwear)

    try:
        (axis, calibration, info), printed = capture_output(read, file)
        (buffer,) = buffers
        note = reading_note(file, len(buffer), info, printed)
        clock = _clock(buffer, info, reading)
        part = _part(file, buffer, clock, reading)
        start, end = (buffer.time(i, i + 1).view("datetime64[ns]")[0] for i in (part[0], part[1] - 1))
        if axis.rate_hz and abs(axis.rate_hz / info["SampleRate"] - 1) > MAX_DRIFT:
            note += f", {axis.rate_hz:.4g} Hz by its clock"
        note += f", {span(start, end)}" if clock.zone is None else f", {local_span(start, end, clock)}"
        quality = _quality(axis, info, part, (start, end))
        nominal_hz = info["SampleRate"]
        yield DeviceRecording(
            *(file, axis, nominal_hz, note, start, end, info["nonwear"], buffer, calibration, quality, clock, part)
        )
    finally:
        for buffer in buffers:
            buffer.close()


def _clock(buffer: SampleBuffer, info: dict[str, Any], reading: Reading) -> Clock:
    """What the times of a recording are; device clocks follow daylight saving only if that is stated."""
    if info.get("Absolute"):
        return Clock(reading.zone)
    return Clock.set_at(reading.zone, int(buffer.time(0, 1)[0]))


def _part(file: Path, buffer: SampleBuffer, clock: Clock, reading: Reading) -> tuple[int, int]:
    """Index of the first sample to use, and of the one after the last.

    Raises:
        DataError: when no sample is between the limits.
    """
    places = range(len(buffer))
    limits = [0, len(buffer)]
    for i, (name, text) in enumerate((("--start", reading.start), ("--end", reading.end))):
        if text is not None:
            time = clock.time_of(moment(name, text))
            limits[i] = bisect_left(places, time, key=lambda place: int(buffer.time(place, place + 1)[0]))
    if limits[0] >= limits[1]:
        whole = [buffer.time(i, i + 1).view("datetime64[ns]")[0] for i in (0, len(buffer) - 1)]
        raise DataError(
            f"{file} has no samples between --start and --end. It is from {span(whole[0], whole[1])}",
            reason="no samples between --start and --end",
        )
    return limits[0], limits[1]


def _quality(
    axis: TimeAxis, info: dict[str, Any], part: tuple[int, int], limits: tuple[np.datetime64, np.datetime64]
) -> Quality:
    """Numbers about a recording, of the part that is used where they belong to one."""
    begins = np.cumsum([last - first for first, last in axis.ranges])[:-1]
    begin, end = (limit.astype("datetime64[ns]").astype(np.int64) for limit in limits)
    episodes = info["nonwear"]
    return Quality(
        device=str(info["Device"]),
        rate_hz=round(axis.rate_hz or info["SampleRate"], 4),
        samples=part[1] - part[0],
        calibrated=bool(info["CalibOK"]),
        calibration_error_before_mg=error_mg(info.get("CalibErrorBefore(mg)")),
        calibration_error_after_mg=error_mg(info.get("CalibErrorAfter(mg)")),
        clipped_share=float(info.get("Clipped", 0)),
        interrupts=int(((begins > part[0]) & (begins < part[1])).sum()),
        cut_seconds=round(sum(cut.seconds for cut in axis.cuts), 3),
        damaged_blocks=int(info.get("ReadErrors") or 0),
        nonwear_episodes=int(((episodes[:, 0] <= end) & (episodes[:, 1] >= begin)).sum()),
    )
