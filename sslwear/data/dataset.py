"""Data set directories: opening and checking ``X.npy Y.npy pid.npy T.npy worn.npy dataset.json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sslwear.data.arrays import WORN, Description, Fingerprint, Stamp, chunks, describe, release, stamp
from sslwear.data.checks import (
    ARRAYS,
    DESCRIPTION,
    check_finite,
    check_large,
    check_shapes,
    check_units,
    first_large,
    labels_of,
    participants_of,
    starts_of,
    worn_of,
)
from sslwear.data.facts import Facts, dataset_facts
from sslwear.errors import DataError
from sslwear.transforms import resize


@dataclass(frozen=True)
class Dataset:
    """Labelled windows of several participants, checked.

    Attributes:
        folder: the directory.
        windows: (N, samples, 3) in g, memory-mapped.
        labels: class indices (N,).
        pid: participants (N,), strings or integers.
        start: window starts (N,): date-times, or seconds from the recording's start.
        worn: whether the device was worn (N,).
        class_names: names of the classes, in the order of their indices.
        description: content of ``dataset.json``, or only a name where there is none.
        fingerprint: SHA-256 of the arrays.
        stamp: size and time of change of ``X.npy`` when it was opened; None for windows in memory.
    """

    folder: Path
    windows: NDArray[np.floating]
    labels: NDArray[np.int64]
    pid: NDArray[Any]
    start: NDArray[Any]
    worn: NDArray[np.bool_]
    class_names: tuple[str, ...]
    description: Description
    fingerprint: str
    stamp: Stamp | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def participants(self) -> list[Any]:
        """The participants, sorted."""
        return [pid.item() for pid in np.unique(self.pid)]

    def unchanged(self) -> bool:
        """Whether the file of the windows is unchanged since it was opened, so that the fingerprint is still valid."""
        return self.stamp is None or self.stamp == stamp(self.folder / "X.npy")

    def describe(self) -> Facts:
        """Windows, label counts, participants and origin, as a table that a notebook shows."""
        return dataset_facts(self)

    def gather(self, indices: NDArray[np.integer], samples: int) -> torch.Tensor:
        """Read some windows as a tensor (B, 3, samples) in g, see `gather`."""
        return gather(self.windows, indices, samples)


def gather(windows: NDArray[np.floating], indices: NDArray[np.integer], samples: int) -> torch.Tensor:
    """Read some windows as a tensor (B, 3, samples) in g, resampled linearly when they have another length.

    The memory of pages that were read is released, so that memory does not grow with the data set.

    Args:
        windows: (N, length, 3), memory-mapped.
        indices: indices of the windows to read (B,).
        samples: length of the windows in the result.
    """
    batch = torch.from_numpy(np.ascontiguousarray(windows[indices], dtype=np.float32))
    release(windows)
    return resize(batch.transpose(1, 2).contiguous(), samples)


def open_dataset(folder: Path) -> Dataset:
    """Open a data set directory and check every value in it.

    Args:
        folder: has ``X.npy`` (N, samples, 3) in g, ``Y.npy`` (N,) labels, ``pid.npy`` (N,) participants and ``T.npy``
            (N,) start times, and may have ``worn.npy`` (N,) booleans and ``dataset.json``.

    Raises:
        DataError: when a file is missing or its content is wrong; the message names the file.
    """
    if not folder.is_dir():
        raise DataError(f"there is no directory {folder}; give one that has X.npy, Y.npy, pid.npy and T.npy")
    arrays = {name: load_array(folder / f"{name}.npy") for name in ARRAYS}
    if (folder / f"{WORN}.npy").is_file():
        arrays[WORN] = load_array(folder / f"{WORN}.npy")
    description = describe(folder)
    windows, state = arrays["X"], stamp(folder / "X.npy")
    check_shapes(folder, arrays)
    fingerprint = _check_windows(folder / "X.npy", windows, arrays)
    if description.fingerprint is not None and description.fingerprint != fingerprint:
        raise DataError(
            f"{folder / DESCRIPTION}: its fingerprint is not that of the arrays beside it, so these were changed "
            "later; prepare the data set again, or delete the file if the change was intended"
        )
    labels, class_names = labels_of(folder / "Y.npy", arrays["Y"], description.class_names)
    return Dataset(
        folder=folder,
        windows=windows,
        labels=labels,
        pid=participants_of(folder / "pid.npy", arrays["pid"]),
        start=starts_of(folder / "T.npy", arrays["T"]),
        worn=worn_of(folder / f"{WORN}.npy", arrays.get(WORN, np.ones(len(windows), bool))),
        class_names=class_names,
        description=description,
        fingerprint=fingerprint,
        stamp=state,
    )


def load_array(path: Path) -> NDArray[Any]:
    """Read an ``.npy`` file; the one called ``X.npy`` memory-mapped.

    Raises:
        DataError: when it is missing, damaged, or holds Python objects.
    """
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


def _check_windows(path: Path, windows: NDArray[np.floating], arrays: dict[str, NDArray[Any]]) -> str:
    """Refuse samples that are not finite or not in g; returns the fingerprint of the arrays."""
    fingerprint = Fingerprint(windows.shape, windows.dtype)
    medians, people = [], []
    large: int | None = None
    for first, chunk in chunks(windows):
        check_finite(path, first, chunk)
        fingerprint.add(chunk)
        step = max(1, len(chunk) // 500)
        large = first_large(first, chunk) if large is None else large
        with np.errstate(over="ignore"):
            medians.append(np.median(np.linalg.norm(chunk[::step], axis=2), axis=1))
        people.append(arrays["pid"][first : first + len(chunk) : step])
    check_units(path, np.concatenate(medians), np.concatenate(people))
    check_large(path, large)
    return fingerprint.finish(arrays)
