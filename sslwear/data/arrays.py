"""The files of a data set directory: describe, write, join, fingerprint. Without PyTorch: workers start faster."""

from __future__ import annotations

import hashlib
import mmap
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from sslwear.data.checks import ARRAYS, DESCRIPTION
from sslwear.errors import DataError

CHUNK_BYTES = 32 * 2**20
WORN = "worn"
"""Optional fifth array: whether the device was worn, at each window."""
Stamp = tuple[int, int]
"""A file's size in bytes, and when it was changed, in nanoseconds."""


class Description(BaseModel):
    """What ``dataset.json`` says of the arrays beside it."""

    model_config = ConfigDict(extra="ignore")

    name: str
    rate_hz: float | None = None
    window_s: float | None = None
    step_s: float | None = None
    class_names: tuple[str, ...] | None = None
    source: str | None = None
    licence: str | None = None
    citation: str | None = None
    fingerprint: str | None = None
    plan: dict[str, Any] | None = None
    """How it was prepared."""
    participants: tuple[dict[str, Any], ...] | None = None
    """What became of each participant when it was prepared."""

    @field_validator("class_names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for i, name in enumerate(names or ()):
            if name in (names or ())[:i]:
                raise ValueError(f"the class {name!r} is given twice")
        return names

    def save(self, folder: Path) -> None:
        """Write ``dataset.json``, without what is not known."""
        (folder / DESCRIPTION).write_text(self.model_dump_json(indent=2, exclude_none=True) + "\n")


def describe(folder: Path) -> Description:
    """Read ``dataset.json``; a directory without one has only a name.

    Raises:
        DataError: when it cannot be read.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return Description(name=folder.resolve().name)
    try:
        return Description.model_validate_json(path.read_text())
    except (ValidationError, UnicodeDecodeError) as error:
        reason = _reason(error) if isinstance(error, ValidationError) else "it is not text"
        raise DataError(f"{path} does not describe a data set ({reason}); prepare the data set again") from error


def _reason(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def write_dataset(
    folder: Path,
    windows: NDArray[np.float32],
    labels: NDArray[Any],
    pid: NDArray[Any],
    start: NDArray[Any],
    description: Description,
) -> None:
    """Write a data set directory from arrays in memory, all of it or nothing.

    The files are made in a folder beside `folder` that takes its name when it is whole. A directory that is already
    there is left as it is.

    Raises:
        DataError: when there is no window, or `folder` is there and is no data set.
    """
    if len(windows) == 0:
        raise DataError(f"no window is left to write to {folder}; check the window length against the recordings'")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; give an unused directory") from error
    try:
        arrays = {"X": windows, "Y": labels, "pid": pid, "T": start}
        for name, array in arrays.items():
            np.save(making / f"{name}.npy", array, allow_pickle=False)
        fingerprint = Fingerprint(windows.shape, windows.dtype)
        for _, chunk in chunks(windows):
            fingerprint.add(chunk)
        description.model_copy(update={"fingerprint": fingerprint.finish(arrays)}).save(making)
        if not take_name(making, folder):
            raise DataError(f"cannot write {folder}: it is there already; give an unused directory")
    finally:
        shutil.rmtree(making, ignore_errors=True)


def take_name(making: Path, folder: Path) -> bool:
    """Give a folder that is whole its name, in one step; whether there is a data set of that name now, ours or not."""
    making.chmod(0o755)
    try:
        making.rename(folder)
    except OSError:
        return (folder / DESCRIPTION).is_file()  # somebody else finished the same data set meanwhile
    return True


def join(parts: Sequence[Path], folder: Path, description: Description, class_names: Sequence[str]) -> None:
    """Write the windows of several folders as one data set, in pieces of bounded size.

    Args:
        parts: folders with ``X.npy Y.npy pid.npy T.npy worn.npy``.
        folder: an empty folder to write into.
        description: what is known of the data set; class names and fingerprint are added.
        class_names: classes in order; those that no window has are left out.
    """
    arrays = {name: np.concatenate([np.load(part / f"{name}.npy") for part in parts]) for name in (*ARRAYS[1:], WORN)}
    if arrays[WORN].all():
        del arrays[WORN]
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    pieces = [np.load(part / "X.npy", mmap_mode="r") for part in parts]
    shape = (sum(map(len, pieces)), *pieces[0].shape[1:])
    fingerprint = Fingerprint(shape, pieces[0].dtype)
    with (folder / "X.npy").open("wb") as file:
        _write_header(file, shape, pieces[0].dtype)
        for piece in pieces:
            for _, chunk in chunks(piece):
                fingerprint.add(chunk)
                file.write(chunk.tobytes())
    present = set(np.unique(arrays["Y"]).tolist())
    names = tuple(name for name in class_names if name in present)
    update = {"fingerprint": fingerprint.finish(arrays), "class_names": names}
    description.model_copy(update=update).save(folder)


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


class Fingerprint:
    """SHA-256 of a data set's arrays, with the windows given piece by piece.

    Args:
        shape: of all windows.
        dtype: of the windows.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._digest = hashlib.sha256(f"X {dtype.str} {shape} ".encode())

    def add(self, windows: NDArray[Any]) -> None:
        """Go on with the next windows."""
        self._digest.update(np.ascontiguousarray(windows).data)

    def finish(self, arrays: Mapping[str, NDArray[Any]]) -> str:
        """Add the other arrays, and return it as text."""
        for name in (*ARRAYS[1:], WORN):
            if name in arrays:
                self._digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape} ".encode())
                self._digest.update(np.ascontiguousarray(arrays[name]).tobytes())
        return self._digest.hexdigest()


def chunks(windows: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Go through windows in pieces of bounded size, giving memory-mapped pages back: (first index, piece)."""
    rows = max(1, CHUNK_BYTES // max(1, windows[:1].nbytes))
    for first in range(0, len(windows), rows):
        yield first, np.array(windows[first : first + rows])
        release(windows)


def stamp(path: Path) -> Stamp:
    """State of a file: another one means that it was changed or replaced; zeros where it is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def release(windows: NDArray[Any]) -> None:
    """Give the pages of a memory-mapped array back to the system."""
    mapped = getattr(windows, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def motion(windows: NDArray[np.floating]) -> NDArray[np.float32]:
    """How much the wrist moved: the mean over the axes of the standard deviation over the window, in g, (N,)."""
    return np.concatenate([chunk.std(axis=1).mean(axis=1) for _, chunk in chunks(windows)]).astype(np.float32)
