"""Data set directories: opening and checking ``X.npy Y.npy pid.npy T.npy worn.npy dataset.json``."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sslwear.data.arrays import WORN, Description, Fingerprint, chunks, describe, release
from sslwear.data.changes import FileStates, check_unchanged, file_states
from sslwear.data.checks import (
    ARRAYS,
    DESCRIPTION,
    check_finite,
    check_large,
    check_shapes,
    first_large,
    labels_of,
    participants_of,
    starts_of,
    worn_of,
)
from sslwear.data.facts import Facts, dataset_facts
from sslwear.data.gravity import check_gravity, check_idle, first_idle, gravity_problem, rest_statistics
from sslwear.data.identity import similar, with_one_name_each
from sslwear.data.window_length import described_length_s, length_from_starts_s
from sslwear.errors import DataError
from sslwear.transforms import resize

JUDGED_WINDOWS = 100
"""Approximate number of windows of a participant, of those read at a time, by which the unit is judged."""
LONGER = 1.02
"""Ratio of the described length of windows to that by their start times from which on there is a warning."""


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
        files: states of the arrays' files when they were opened; empty for windows in memory.
        window_s: length of the windows in seconds; None where neither ``dataset.json`` nor the start times tell.
        warnings: what was assumed about the arrays and may be wrong, one sentence each.
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
    files: FileStates = field(default_factory=dict)
    window_s: float | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def participants(self) -> list[Any]:
        """The participants, sorted."""
        return [pid.item() for pid in np.unique(self.pid)]

    @property
    def samples(self) -> int:
        """Length of the windows in samples."""
        return int(self.windows.shape[1])

    def unchanged(self) -> bool:
        """Whether the files are unchanged since they were opened, so that the fingerprint is still valid."""
        return not self.files or self.files == file_states(self.folder)

    def check_unchanged(self) -> None:
        """Check that the arrays' files have the same content as when they were opened.

        Raises:
            DataChangedError: when they do not.
        """
        check_unchanged(self.folder, self.files, self.fingerprint, load_arrays)

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
    files = file_states(folder)
    arrays = load_arrays(folder)
    description = describe(folder)
    windows = arrays["X"]
    check_shapes(folder, arrays)
    pid, joined = with_one_name_each(participants_of(folder / "pid.npy", arrays["pid"]))
    worn = worn_of(folder / f"{WORN}.npy", arrays.get(WORN, np.ones(len(windows), bool)))
    fingerprint = _check_windows(folder / "X.npy", windows, arrays, pid, worn)
    if description.fingerprint is not None and description.fingerprint != fingerprint:
        raise DataError(
            f"{folder / DESCRIPTION}: its fingerprint is not that of the arrays beside it, so these were changed "
            "later; prepare the data set again, or delete the file if the change was intended"
        )
    labels, class_names = labels_of(folder / "Y.npy", arrays["Y"], description.class_names)
    start = starts_of(folder / "T.npy", arrays["T"])
    described_s = described_length_s(folder, description, windows.shape[1])
    prepared = description.plan is not None
    guessed_s = None if prepared and described_s is not None else length_from_starts_s(windows, pid, start)
    return Dataset(
        folder=folder,
        windows=windows,
        labels=labels,
        pid=pid,
        start=start,
        worn=worn,
        class_names=class_names,
        description=description,
        fingerprint=fingerprint,
        files=files,
        window_s=guessed_s if described_s is None else described_s,
        warnings=(
            *_about_names(folder, pid, joined),
            *_about_classes(folder, class_names),
            *_about_length(folder, windows.shape[1], described_s, guessed_s),
        ),
    )


def _about_names(folder: Path, pid: NDArray[Any], joined: Sequence[Sequence[str]]) -> list[str]:
    """Warnings about names of participants: those that were joined, and those that may be of one person."""
    found = []
    if joined:
        others = f", and so on for {len(joined) - 1} more" if len(joined) > 1 else ""
        names = ", ".join(map(repr, joined[0]))
        found.append(f"{folder / 'pid.npy'}: {names} are taken as one participant{others}")
    if alike := similar(np.unique(pid).tolist()):
        found.append(
            f"{folder / 'pid.npy'}: {', '.join(alike)} may be recordings of one person, who would be on several sides "
            "of a split. If so, give them one name"
        )
    return found


def _about_classes(folder: Path, names: Sequence[str]) -> list[str]:
    """Warning about classes whose names differ only by case, blanks or how letters are encoded."""
    spellings: dict[str, list[str]] = {}
    for name in names:
        spelling = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        spellings.setdefault(spelling, []).append(name)
    alike = [found for found in spellings.values() if len(found) > 1]
    if not alike:
        return []
    return [
        f"{folder / 'Y.npy'}: {', '.join(map(repr, alike[0]))} are different classes, although their names differ only "
        "by case, blanks or how letters are encoded. If they are one class, give it one name"
    ]


def _about_length(folder: Path, samples: int, described_s: float | None, guessed_s: float | None) -> list[str]:
    """Warning about a length of windows that was taken from their start times, or is longer than these allow."""
    if guessed_s is None or (described_s is not None and described_s < LONGER * guessed_s):
        return []
    by_starts = f"{guessed_s:g} s at {samples / guessed_s:g} Hz by their start times"
    if described_s is None:
        return [f"{folder} has windows of {by_starts}. If that is wrong, write window_s into {DESCRIPTION}"]
    return [
        f"{folder / DESCRIPTION} has windows of {described_s:g} s, but they are of {by_starts}. Correct one of the two"
    ]


def load_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a data set by name, see `load_array`.

    Raises:
        DataError: when one is missing or damaged.
    """
    names = [*ARRAYS, *([WORN] if (folder / f"{WORN}.npy").is_file() else [])]
    return {name: load_array(folder / f"{name}.npy") for name in names}


def load_array(path: Path) -> NDArray[Any]:
    """Read an ``.npy`` file; the one called ``X.npy`` memory-mapped.

    Raises:
        DataError: when it is missing, damaged, or holds Python objects.
    """
    if not path.is_file():
        advice = ""
        if path.name == "Y.npy":
            advice = ". Windows without labels can be used for pre-training, as sslwear data import writes them"
        raise DataError(f"{path} is missing; a data set directory has X.npy, Y.npy, pid.npy and T.npy{advice}")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if path.name == "X.npy" else None, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise TypeError("it is an archive of several arrays")
    except Exception as error:  # a damaged header makes numpy raise nearly anything
        if "Object arrays" in str(error) or "Python objects" in str(error):
            raise DataError(
                f"{path} holds Python objects, which are not read for safety; drop the windows with a missing value "
                "(None or NaN) from all arrays, then save it as numbers, strings or datetime64"
            ) from error
        # numpy takes any other format for a pickled object, and advises to load it unsafely
        reason = "it has another format" if "pickle" in str(error) else " ".join(str(error).split())
        raise DataError(f"{path} is not a readable .npy file ({reason}); save it again with numpy.save") from error
    return array


def _check_windows(
    path: Path,
    windows: NDArray[np.floating],
    arrays: dict[str, NDArray[Any]],
    pid: NDArray[Any],
    worn: NDArray[np.bool_],
) -> str:
    """Refuse samples that are not finite or not in g; returns the fingerprint of the arrays.

    Each participant is judged, because one may have another unit than the others. Windows that were not worn are not.
    """
    fingerprint = Fingerprint(windows.shape, windows.dtype)
    statistics: dict[Any, list[NDArray[np.float64]]] = {}
    large: int | None = None
    idle: int | None = None
    for first, chunk in chunks(windows):
        check_finite(path, first, chunk)
        fingerprint.add(chunk)
        large = first_large(first, chunk) if large is None else large
        rows = np.flatnonzero(worn[first : first + len(chunk)])
        if idle is None and (found := first_idle(chunk[rows])) is not None:
            idle = first + int(rows[found])
        people = pid[first : first + len(chunk)][rows]
        for participant in np.unique(people).tolist():
            mine = rows[people == participant]
            some = mine[:: 1 + len(mine) // JUDGED_WINDOWS]
            statistics.setdefault(participant, []).append(rest_statistics(chunk[some]))
    judged = {participant: np.concatenate(parts) for participant, parts in statistics.items()}
    wrong = [participant for participant, found_here in judged.items() if gravity_problem(found_here) is not None]
    if wrong:
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        owner = "" if len(wrong) == len(judged) else f" of participant {wrong[0]}{others}"
        check_gravity(path, judged[wrong[0]], owner)
    check_large(path, large)
    check_idle(path, idle)
    return fingerprint.finish(arrays)
