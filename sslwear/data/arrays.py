"""Files of a data set directory: description, writing, joining, fingerprint.

This module does not import PyTorch, so that worker processes start quickly.
"""

from __future__ import annotations

import hashlib
import mmap
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sslwear.data.checks import ARRAYS, DESCRIPTION
from sslwear.errors import DataError
from sslwear.utils.files import synchronise

CHUNK_BYTES = 32 * 2**20
WORN = "worn"
"""Name of the optional fifth array: whether the device was worn, for each window."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Stamp = tuple[int, int]
"""Size of a file in bytes, and its time of change in nanoseconds."""


class Description(BaseModel):
    """Content of ``dataset.json``: facts about the arrays beside it."""

    model_config = ConfigDict(extra="ignore")

    name: str
    rate_hz: Positive | None = None
    window_s: Positive | None = None
    step_s: Positive | None = None
    class_names: tuple[str, ...] | None = None
    source: str | None = None
    licence: str | None = None
    citation: str | None = None
    fingerprint: str | None = None
    plan: dict[str, Any] | None = None
    """Settings of the preparation."""
    participants: tuple[dict[str, Any], ...] | None = None
    """Result of the preparation of each participant."""

    @field_validator("class_names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for i, name in enumerate(names or ()):
            if name in (names or ())[:i]:
                raise ValueError(f"the class {name!r} is listed twice")
        return names

    def save(self, folder: Path) -> None:
        """Write ``dataset.json``, without unknown facts."""
        text = self.model_dump_json(indent=2, exclude_none=True)
        (folder / DESCRIPTION).write_text(f"{text}\n", encoding="utf-8")


def describe(folder: Path) -> Description:
    """Read ``dataset.json``; a directory without one has only a name.

    Raises:
        DataError: when it cannot be read.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return Description(name=folder.resolve().name)
    try:
        return Description.model_validate_json(path.read_text(encoding="utf-8-sig"))  # some editors write a mark
    except (ValidationError, UnicodeDecodeError) as error:
        reason = _reason(error) if isinstance(error, ValidationError) else "it is not text"
        raise DataError(
            f"{path} does not describe a data set ({reason}); correct it, or prepare the data set again"
        ) from error


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
    """Write a data set directory from arrays in memory, completely or not at all.

    The files are written to a temporary folder beside `folder`, which is renamed at the end. An existing directory is
    not changed.

    Raises:
        DataError: when there is no window, or `folder` exists.
    """
    if len(windows) == 0:
        raise DataError(f"there is no window to write to {folder}; check the window length against the recordings'")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; give an unused directory") from error
    try:
        arrays = {"X": windows, "Y": labels, "pid": pid, "T": start}
        for name, array in arrays.items():
            np.save(making / f"{name}.npy", array, allow_pickle=False)
        description.model_copy(update={"fingerprint": fingerprint_of(arrays)}).save(making)
        if not take_name(making, folder):
            raise DataError(f"cannot write {folder}: it exists; give an unused directory")
    finally:
        shutil.rmtree(making, ignore_errors=True)


def take_name(making: Path, folder: Path) -> bool:
    """Rename a complete folder in one step; returns whether a data set has that name now, this one or another."""
    complete(making)
    try:
        making.rename(folder)
    except OSError:
        return (folder / DESCRIPTION).is_file()  # another process has finished the same data set
    return True


def complete(making: Path) -> None:
    """Let others read a temporary folder whose files are all written, and let these outlive a power failure."""
    making.chmod(0o755)
    for path in making.rglob("*"):
        synchronise(path)  # otherwise a power failure could leave a named folder with empty files


def join(parts: Sequence[Path], folder: Path, description: Description, class_names: Sequence[str]) -> None:
    """Join the windows of several folders to one data set, in pieces of bounded size.

    Args:
        parts: folders with ``X.npy Y.npy pid.npy T.npy worn.npy``.
        folder: an empty folder to write into.
        description: facts about the data set; class names and fingerprint are added.
        class_names: classes in order; classes without a window are left out.
    """
    arrays = {name: np.concatenate([np.load(part / f"{name}.npy") for part in parts]) for name in (*ARRAYS[1:], WORN)}
    if arrays[WORN].all():
        del arrays[WORN]
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    pieces = [np.load(part / "X.npy", mmap_mode="r") for part in parts]
    shape = (sum(map(len, pieces)), *pieces[0].shape[1:])
    fingerprint = Fingerprint(shape, pieces[0].dtype)
    with ArrayFile(folder / "X.npy", shape[1:], pieces[0].dtype) as file:
        for piece in pieces:
            for _, chunk in chunks(piece):
                fingerprint.add(chunk)
                file.append(chunk)
    present = set(np.unique(arrays["Y"]).tolist())
    names = tuple(name for name in class_names if name in present)
    update = {"fingerprint": fingerprint.finish(arrays), "class_names": names}
    description.model_copy(update=update).save(folder)


class ArrayFile:
    """An ``.npy`` file that is written piece by piece; use it as a context manager.

    Args:
        path: the file.
        shape: shape of one row.
        dtype: type of the values.

    Attributes:
        count: number of rows written.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._file = path.open("wb")
        self._shape, self._dtype = shape, np.dtype(dtype)
        self.count = 0

    def __enter__(self) -> Self:
        self._write_header()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._file.seek(0)
                self._write_header()  # NumPy leaves room in the header for any number of rows
        finally:
            self._file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows (n, ...) behind the others."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self.count += len(rows)

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.count, *self._shape)}
        write: Callable[..., None] = np.lib.format.write_array_header_1_0
        write(self._file, header)


class Fingerprint:
    """SHA-256 of a data set's arrays, with the windows given piece by piece.

    Args:
        shape: shape of all windows.
        dtype: type of the windows.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._digest = hashlib.sha256(f"X {dtype.str} {shape} ".encode())

    def add(self, windows: NDArray[Any]) -> None:
        """Add the next windows."""
        self._digest.update(np.ascontiguousarray(windows).data)

    def finish(self, arrays: Mapping[str, NDArray[Any]]) -> str:
        """Add the other arrays, and return the fingerprint as text."""
        for name in (*ARRAYS[1:], WORN):
            if name in arrays:
                self._digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape} ".encode())
                self._digest.update(np.ascontiguousarray(arrays[name]).tobytes())
        return self._digest.hexdigest()


def fingerprint_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of arrays by name; ``X`` may be memory-mapped and of any size."""
    windows = arrays["X"]
    fingerprint = Fingerprint(windows.shape, windows.dtype)
    for _, chunk in chunks(windows):
        fingerprint.add(chunk)
    return fingerprint.finish(arrays)


def chunks(windows: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Pieces of windows of bounded size, as (first index, piece); pages of memory-mapped files are released."""
    rows = max(1, CHUNK_BYTES // max(1, windows[:1].nbytes))
    for first in range(0, len(windows), rows):
        yield first, np.array(windows[first : first + rows])
        release(windows)


def stamp(path: Path) -> Stamp:
    """Size and time of change of a file, which tell whether it was changed; zeros for one that cannot be found."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def release(windows: NDArray[Any]) -> None:
    """Release the memory of a memory-mapped array."""
    mapped = getattr(windows, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def motion(windows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Motion of each window in g (N,): the mean over the axes of the standard deviation over the window."""
    found: NDArray[np.floating] = np.concatenate([chunk.std(axis=1).mean(axis=1) for _, chunk in chunks(windows)])
    return found.astype(np.float32)
