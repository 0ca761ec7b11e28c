"""Reading of device files with actipy's Java programs, in pieces."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from sslwear.data.files.buffer import AXES, TEMPERATURE, SampleBuffer
from sslwear.data.unpacking import check_zip, open_gzip

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


def read_device(file: Path, folder: Path) -> tuple[SampleBuffer, dict[str, Any]]:
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
        with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=2**20, env=_environment()) as process:
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
        info = (place / "info.txt").read_text(encoding="utf-8")
        return buffer, dict(line.split(":", 1) for line in info.splitlines())
    except BaseException:
        if buffer is not None:
            buffer.close()
        raise


def _environment() -> dict[str, str]:
    """The environment of this process, in a language in which Java finds files whose names are not in ASCII."""
    plain = os.environ.get("LC_ALL") in ("C", "POSIX")  # as in many batch jobs
    return {**os.environ, **({"LC_ALL": "C.UTF-8"} if plain else {})}


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
