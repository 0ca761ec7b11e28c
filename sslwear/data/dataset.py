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

from sslwear.errors import DataError
from sslwear.transforms import resize

ARRAYS = ("X", "Y", "pid", "T")
DESCRIPTION = "dataset.json"
CHUNK_BYTES = 32 * 2**20
GRAVITY_G = (0.5, 2.0)
"""A wrist's median acceleration is close to 1 g whatever its wearer does; outside of this range it is not in g."""


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
    _check_shapes(folder, arrays)
    fingerprint = _check_windows(folder / "X.npy", windows, arrays)
    if description.fingerprint is not None and description.fingerprint != fingerprint:
        raise DataError(
            f"{folder / DESCRIPTION}: its fingerprint is not that of the arrays beside it, so they were changed after "
            "they were written; prepare the data set again, or delete the file if the change was meant"
        )
    labels, class_names = _labels(folder / "Y.npy", arrays["Y"], description.class_names)
    return Dataset(
        folder=folder,
        windows=windows,
        labels=labels,
        pid=_participants(folder / "pid.npy", arrays["pid"]),
        start=_starts(folder / "T.npy", arrays["T"]),
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


def _check_shapes(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    windows = arrays["X"]
    if windows.ndim != 3 or windows.shape[2] != 3:
        hint = "; move the axes last, X.transpose(0, 2, 1)" if windows.ndim == 3 and windows.shape[1] == 3 else ""
        raise DataError(
            f"{folder / 'X.npy'} has shape {windows.shape}; it must be (windows, samples, 3), with the axes x, y, z"
            + hint
        )
    if windows.dtype.kind != "f":
        raise DataError(
            f"{folder / 'X.npy'} holds {windows.dtype} values, which look like raw counts; "
            "convert them to g, as float32"
        )
    lengths = {name: array.shape for name, array in arrays.items()}
    for name in ARRAYS[1:]:
        if arrays[name].ndim != 1 or len(arrays[name]) != len(windows):
            raise DataError(
                f"{folder / f'{name}.npy'} has shape {lengths[name]} where X.npy has {len(windows)} windows; "
                "it must have one entry a window"
            )
    if windows.shape[0] == 0 or windows.shape[1] < 2:
        raise DataError(f"{folder / 'X.npy'} has shape {windows.shape}; there is nothing to learn from in it")


def _check_windows(path: Path, windows: NDArray[np.floating], arrays: dict[str, NDArray[Any]]) -> str:
    """Refuse samples that are not finite or not in g, and return the arrays' fingerprint, in one pass over the file."""
    digest = hashlib.sha256()
    medians = []
    for first, chunk in _chunks(windows):
        bad = ~np.isfinite(chunk).all(axis=(1, 2))
        if bad.any():
            raise DataError(
                f"{path} has NaN or infinite samples, first in window {first + int(bad.argmax())}; "
                "drop such windows or fill them before saving"
            )
        _update(digest, "X", chunk, windows if first == 0 else None)
        medians.append(np.median(np.linalg.norm(chunk[:: max(1, len(chunk) // 500)], axis=2), axis=1))
    _check_unit(path, float(np.median(np.concatenate(medians))))
    return _finish(digest, arrays)


def _check_unit(path: Path, median: float) -> None:
    low, high = GRAVITY_G
    if low <= median <= high:
        return
    if 7 <= median <= 13:
        guess = "looks like m/s^2: divide by 9.80665"
    elif median > high:
        guess = "looks like raw counts: convert them with the device's scale"
    else:
        guess = "looks as if gravity had been removed, or another unit: keep gravity in, in g"
    raise DataError(f"{path} cannot be in g: the median length of its acceleration is {median:.4g}, which {guess}")


def _labels(
    path: Path, labels: NDArray[Any], class_names: tuple[str, ...] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return class indices and names; integers index `class_names` where those are given."""
    if labels.dtype.kind in "iu":
        if class_names is None:
            values, indices = np.unique(labels, return_inverse=True)
            return indices.astype(np.int64), tuple(str(value) for value in values)
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise DataError(
                f"{path} has labels from {labels.min()} to {labels.max()} where {DESCRIPTION} names "
                f"{len(class_names)} classes; they must be 0 to {len(class_names) - 1}"
            )
        return labels.astype(np.int64), class_names
    if labels.dtype.kind not in "US":
        raise DataError(f"{path} holds {labels.dtype} labels; save them as strings or integers")
    text = _text(path, labels)
    if (empty := _is_missing(text)).any():
        first = int(empty.argmax())
        raise DataError(
            f"{path} has the empty label {text[first]!r}, first at window {first}; label or drop such windows"
        )
    names = class_names if class_names is not None else tuple(str(name) for name in np.unique(text))
    unknown = sorted(set(text.tolist()) - set(names))
    if unknown:
        raise DataError(f"{path} has the label {unknown[0]!r}, which is not among {DESCRIPTION}'s class_names")
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[label] for label in text.tolist()], np.int64), names


def _participants(path: Path, pid: NDArray[Any]) -> NDArray[Any]:
    if pid.dtype.kind == "f":
        missing = ~np.isfinite(pid)
    elif pid.dtype.kind in "US":
        pid = _text(path, pid)
        missing = _is_missing(pid) | (np.char.lower(np.char.strip(pid)) == "none")
    elif pid.dtype.kind in "iu":
        return pid
    else:
        raise DataError(f"{path} holds {pid.dtype} participants; save them as strings or integers")
    if missing.any():
        raise DataError(
            f"{path} has no participant for {int(missing.sum())} windows, first for window {int(missing.argmax())}; "
            "name the participant or drop such windows"
        )
    return pid


def _starts(path: Path, start: NDArray[Any]) -> NDArray[Any]:
    if start.dtype.kind in "US":
        start = _text(path, start)
        missing = _is_missing(start) | (np.char.lower(np.char.strip(start)) == "nat")
    elif start.dtype.kind == "M":
        missing = np.isnat(start)
    elif start.dtype.kind in "iuf":
        missing = ~np.isfinite(start)
    else:
        raise DataError(f"{path} holds {start.dtype} start times; save them as datetime64 or as seconds")
    if missing.any():
        raise DataError(f"{path} has no start time for window {int(missing.argmax())}; fill it in or drop such windows")
    return start


def _text(path: Path, values: NDArray[Any]) -> NDArray[np.str_]:
    """Strings as they are, and bytes as UTF-8."""
    if values.dtype.kind == "U":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} holds bytes that are not UTF-8 text; save them as strings") from error


def _is_missing(text: NDArray[np.str_]) -> NDArray[np.bool_]:
    """What is left of a missing value when it is made a string."""
    return np.isin(np.char.lower(np.char.strip(text)), ["", "nan", "<na>"])


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
