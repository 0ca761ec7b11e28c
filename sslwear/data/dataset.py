"""The data set directory: ``X.npy Y.npy pid.npy T.npy dataset.json``; write, open memory-mapped, check, fingerprint."""

from __future__ import annotations

import hashlib
import mmap
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from sslwear.data.checks import (
    ARRAYS,
    DESCRIPTION,
    check_finite,
    check_shapes,
    check_unit,
    labels_of,
    participants_of,
    starts_of,
)
from sslwear.errors import DataError
from sslwear.transforms import resize

CHUNK_BYTES = 32 * 2**20


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

    @field_validator("class_names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for i, name in enumerate(names or ()):
            if name in (names or ())[:i]:
                raise ValueError(f"the class {name!r} is given twice")
        return names


@dataclass(frozen=True)
class Dataset:
    """Labelled windows of several participants, checked.

    Attributes:
        folder: the directory.
        windows: (N, samples, 3) in g, memory-mapped.
        labels: class indices (N,).
        pid: participants (N,), strings or integers.
        start: window starts (N,): date-times, or seconds from the recording's start.
        class_names: names of the classes, in the order of their indices.
        description: what ``dataset.json`` says, or a bare name where there is none.
        fingerprint: SHA-256 of the four arrays.
    """

    folder: Path
    windows: NDArray[np.floating]
    labels: NDArray[np.int64]
    pid: NDArray[Any]
    start: NDArray[Any]
    class_names: tuple[str, ...]
    description: Description
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def participants(self) -> list[Any]:
        """The participants, sorted."""
        return [pid.item() for pid in np.unique(self.pid)]

    def gather(self, indices: NDArray[np.integer], samples: int) -> torch.Tensor:
        """Read some windows as a tensor (B, 3, samples) in g, resampled linearly when they have another length.

        Pages that were read are given back to the system, so that memory does not grow with the data set.
        """
        batch = torch.from_numpy(np.ascontiguousarray(self.windows[indices], dtype=np.float32))
        _release(self.windows)
        return resize(batch.transpose(1, 2).contiguous(), samples)


def open_dataset(folder: Path) -> Dataset:
    """Open a data set directory and check every value in it.

    Args:
        folder: has ``X.npy`` (N, samples, 3) in g, ``Y.npy`` (N,) labels, ``pid.npy`` (N,) participants and ``T.npy``
            (N,) start times, and may have ``dataset.json``.

    Raises:
        DataError: when something is wrong; the message names the file and the mend.
    """
    if not folder.is_dir():
        raise DataError(f"there is no directory {folder}; give one that has X.npy, Y.npy, pid.npy and T.npy")
    arrays = {name: _load(folder / f"{name}.npy") for name in ARRAYS}
    description = _describe(folder)
    windows = arrays["X"]
    check_shapes(folder, arrays)
    fingerprint = _check_windows(folder / "X.npy", windows, arrays)
    if description.fingerprint is not None and description.fingerprint != fingerprint:
        raise DataError(
            f"{folder / DESCRIPTION}: its fingerprint is not that of the arrays beside it, so they were changed after "
            "they were written; prepare the data set again, or delete the file if the change was meant"
        )
    labels, class_names = labels_of(folder / "Y.npy", arrays["Y"], description.class_names)
    return Dataset(
        folder=folder,
        windows=windows,
        labels=labels,
        pid=participants_of(folder / "pid.npy", arrays["pid"]),
        start=starts_of(folder / "T.npy", arrays["T"]),
        class_names=class_names,
        description=description,
        fingerprint=fingerprint,
    )


def write_dataset(
    folder: Path,
    windows: NDArray[np.float32],
    labels: NDArray[Any],
    pid: NDArray[Any],
    start: NDArray[Any],
    description: Description,
) -> None:
    """Write a data set directory, all of it or nothing.

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
        complete = description.model_copy(update={"fingerprint": _fingerprint(arrays)})
        (making / DESCRIPTION).write_text(complete.model_dump_json(indent=2) + "\n")
        try:
            making.chmod(0o755)
            making.rename(folder)
        except OSError as error:
            if not (folder / DESCRIPTION).is_file():  # nobody else finished the same data set meanwhile
                raise DataError(f"cannot write {folder}: {error.strerror}; give an unused directory") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _load(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise DataError(f"{path} is missing; a data set directory has X.npy, Y.npy, pid.npy and T.npy")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if path.name == "X.npy" else None, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise TypeError("it is an archive of several arrays")
    except Exception as error:  # a damaged header makes numpy raise nearly anything
        if "Object arrays" in str(error) or "Python objects" in str(error):
            raise DataError(
                f"{path} holds Python objects, which are not read for safety; save it again as plain numbers, strings "
                "or datetime64, for example numpy.save(path, array.astype(str))"
            ) from error
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not a readable .npy file ({reason}); save it again with numpy.save") from error
    return array


def _describe(folder: Path) -> Description:
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


def _check_windows(path: Path, windows: NDArray[np.floating], arrays: dict[str, NDArray[Any]]) -> str:
    """Refuse samples that are not finite or not in g, and return the arrays' fingerprint, in one pass over the file."""
    digest = hashlib.sha256()
    medians = []
    for first, chunk in _chunks(windows):
        check_finite(path, first, chunk)
        _update(digest, "X", chunk, windows if first == 0 else None)
        medians.append(np.median(np.linalg.norm(chunk[:: max(1, len(chunk) // 500)], axis=2), axis=1))
    check_unit(path, float(np.median(np.concatenate(medians))))
    return _finish(digest, arrays)


def _chunks(windows: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Go through windows in pieces of bounded size, giving memory-mapped pages back: (first index, piece)."""
    rows = max(1, CHUNK_BYTES // max(1, windows[:1].nbytes))
    for first in range(0, len(windows), rows):
        yield first, np.array(windows[first : first + rows])
        _release(windows)


def _release(windows: NDArray[Any]) -> None:
    mapped = getattr(windows, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _update(digest: Any, name: str, values: NDArray[Any], whole: NDArray[Any] | None) -> None:
    if whole is not None:
        digest.update(f"{name} {whole.dtype.str} {whole.shape} ".encode())
    digest.update(np.ascontiguousarray(values).tobytes())


def _finish(digest: Any, arrays: dict[str, NDArray[Any]]) -> str:
    for name in ARRAYS[1:]:
        _update(digest, name, arrays[name], arrays[name])
    text: str = digest.hexdigest()
    return text


def _fingerprint(arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for first, chunk in _chunks(arrays["X"]):
        _update(digest, "X", chunk, arrays["X"] if first == 0 else None)
    return _finish(digest, arrays)
