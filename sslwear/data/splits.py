"""Participant-disjoint splits into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.arrays import WORN
from sslwear.data.dataset import Dataset
from sslwear.data.identity import participant_key
from sslwear.errors import DataError, LeakageError


@dataclass(frozen=True)
class Split:
    """Training, validation and test participants.

    Attributes:
        train: participants to train on.
        validation: participants for early stopping and for selection.
        test: held-out participants for the test evaluation at the end.

    Raises:
        LeakageError: when a participant is on two sides, in the same or in another spelling.
    """

    train: tuple[Any, ...]
    validation: tuple[Any, ...]
    test: tuple[Any, ...]

    def __post_init__(self) -> None:
        seen: dict[str, tuple[Any, str]] = {}
        for side in ("train", "validation", "test"):
            for name in sorted(getattr(self, side), key=str):
                before, other = seen.setdefault(participant_key(name), (name, side))
                if other != side:
                    spelling = "" if before == name else f" (as {before!r} and {name!r})"
                    raise LeakageError(f"participant {name} is on both sides of a split: {other} and {side}{spelling}")


def hold_out(
    pid: NDArray[Any],
    test: float = 0.2,
    test_seed: int = 42,
    validation: float = 0.125,
    validation_seed: int = 41,
) -> Split:
    """Draw test participants from all at random, then validation participants from the others.

    Args:
        pid: participants of the windows (N,).
        test: share of test participants.
        test_seed: seed of the first draw.
        validation: share of validation participants among the others.
        validation_seed: seed of the second draw.

    Raises:
        DataError: when there are fewer than three participants, or a side would be empty.
    """
    participants = np.unique(pid)
    rest, held_out = draw_test(participants, test, test_seed)
    try:
        train, selection = draw(rest, validation, validation_seed)
    except ValueError as error:
        raise DataError(
            f"{len(participants)} participants cannot be split with test {test:g} and validation {validation:g}; "
            "choose shares that leave at least one participant on each side"
        ) from error
    return Split(tuple(train.tolist()), tuple(selection.tolist()), tuple(held_out.tolist()))


def draw_test(participants: NDArray[Any], share: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw test participants at random; returns the others and the drawn ones.

    Raises:
        DataError: when there are fewer than three participants, or a side would be empty.
    """
    if len(participants) < 3:
        raise DataError(
            f"a split into training, validation and test needs at least 3 participants, but there are "
            f"{len(participants)}; add recordings of other participants"
        )
    try:
        return draw(participants, share, seed)
    except ValueError as error:
        raise DataError(
            f"{len(participants)} participants cannot be split with test {share:g}; choose a share that leaves at "
            "least one participant on each side"
        ) from error


def draw(participants: NDArray[Any], share: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw a share of participants at random; returns the others and the drawn ones.

    Raises:
        ValueError: when one of the two would be empty.
    """
    from sklearn.model_selection import GroupShuffleSplit  # here, because it takes long to import

    splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    kept, taken = next(splitter.split(participants, groups=participants))
    return participants[kept], participants[taken]


def rows(dataset: Dataset, participants: tuple[Any, ...]) -> NDArray[np.int64]:
    """Indices of the windows of some participants in which the device was worn, in increasing order.

    Raises:
        DataError: when a participant has no window.
    """
    present = dataset.pid[dataset.worn]
    absent = [pid for pid in participants if not (present == pid).any()]
    if absent:
        raise DataError(f"participant {absent[0]} has no window in {dataset.folder}; check pid.npy and the split")
    indices: NDArray[np.int64] = np.flatnonzero(np.isin(dataset.pid, participants) & dataset.worn)
    return indices


def check_several_classes(dataset: Dataset) -> None:
    """Refuse a data set whose windows all have one class, or of which none was worn.

    Raises:
        DataError: naming the class.
    """
    classes = np.unique(dataset.labels[dataset.worn])
    if len(classes) == 0:
        raise DataError(
            f"{dataset.folder} has no window in which the device was worn; correct {WORN}.npy, or set include_nonwear: "
            "true"
        )
    if len(classes) < 2:
        worn = "" if dataset.worn.all() else " in which the device was worn"
        raise DataError(
            f"{dataset.folder}: all windows{worn} have the class {dataset.class_names[classes[0]]!r}, so there is "
            "nothing to tell apart; add recordings of other activities"
        )


def check_classes(dataset: Dataset, split: Split) -> None:
    """Refuse a split in which a class has no training window.

    Raises:
        DataError: naming the class.
    """
    for name in missing_classes(dataset, split):
        of_class = dataset.labels == dataset.class_names.index(name)
        if not (of_class & dataset.worn).any():  # in no split
            worn = " in which the device was worn" if of_class.any() else ""
            raise DataError(
                f"{dataset.folder}: the class {name!r} has no window{worn}; remove it from "
                f"{'Y.npy and ' if of_class.any() else ''}class_names"
            )
        raise DataError(
            f"{dataset.folder}: the class {name!r} has no window among the training participants "
            f"{', '.join(map(str, split.train))}; choose another split seed, or remove the class from Y.npy "
            "and class_names"
        )


def missing_classes(dataset: Dataset, split: Split) -> list[str]:
    """Names of the classes without a window of a training participant; a model cannot learn them."""
    counts = np.bincount(dataset.labels[rows(dataset, split.train)], minlength=len(dataset.class_names))
    return [name for name, count in zip(dataset.class_names, counts, strict=True) if count == 0]
