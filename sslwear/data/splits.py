"""Participant-disjoint splits; a participant on two sides raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, KFold

from sslwear.data.dataset import Dataset
from sslwear.errors import DataError, LeakageError

REDRAWS = 100
"""How often validation participants are drawn anew for a fold, so that there is something of each class to learn."""


@dataclass(frozen=True)
class Split:
    """Participants to train on, to validate on, and to keep locked away for one test at the end.

    Raises:
        LeakageError: when a participant is on two sides.
    """

    train: tuple[Any, ...]
    validation: tuple[Any, ...]
    test: tuple[Any, ...]

    def __post_init__(self) -> None:
        sides = {"train": set(self.train), "validation": set(self.validation), "test": set(self.test)}
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            shared = sides[one] & sides[other]
            if shared:
                raise LeakageError(f"participant {sorted(shared)[0]} is on both sides of a split: {one} and {other}")


def hold_out(
    pid: NDArray[Any],
    test: float = 0.2,
    test_seed: int = 42,
    validation: float = 0.125,
    validation_seed: int = 41,
) -> Split:
    """Split participants at random: first `test` of all, then `validation` of the rest.

    Args:
        pid: participants of the windows (N,).
        test: share of the participants to lock away.
        test_seed: seed of the first draw.
        validation: share of the remaining participants to validate on.
        validation_seed: seed of the second draw.

    Raises:
        DataError: when there are fewer than three participants, or a side would be empty.
    """
    participants = np.unique(pid)
    if len(participants) < 3:
        raise DataError(
            f"a split into training, validation and test needs at least 3 participants, and there are "
            f"{len(participants)}; add recordings of others"
        )
    try:
        rest, locked = _draw(participants, test, test_seed)
        train, held = _draw(rest, validation, validation_seed)
    except ValueError as error:
        raise DataError(
            f"{len(participants)} participants cannot be split with test {test:g} and validation {validation:g}; "
            "choose shares that leave at least one participant on each side"
        ) from error
    return Split(tuple(train.tolist()), tuple(held.tolist()), tuple(locked.tolist()))


def folds(
    pid: NDArray[Any],
    labels: NDArray[Any],
    protocol: str,
    count: int = 5,
    test: float = 0.2,
    test_seed: int = 42,
    validation: float = 0.125,
    validation_seed: int = 41,
) -> list[Split]:
    """Split participants once for each fold of a protocol.

    ``hold_out`` is the one split of `hold_out`. With ``k_fold`` and ``leave_one_out`` everybody is tested once, in
    `count` groups drawn at random or alone, and some of the others are drawn to validate on. They are drawn again, with
    the next seed, where the training participants would else lack a class that somebody shows who is not tested. A
    class that only those show who are tested cannot be learnt in that fold; see `missing_classes`.

    Args:
        pid: participants of the windows (N,).
        labels: classes of the windows (N,).
        protocol: ``hold_out``, ``k_fold`` or ``leave_one_out``.
        count: groups of ``k_fold``.
        test: share of the participants to lock away, of ``hold_out`` only.
        test_seed: seed of that draw, or of the groups.
        validation: share of a fold's remaining participants to validate on.
        validation_seed: seed of that draw.

    Raises:
        DataError: when there are too few participants, or a class cannot be kept among those to learn from.
    """
    if protocol == "hold_out":
        return [hold_out(pid, test, test_seed, validation, validation_seed)]
    participants = np.unique(pid)
    groups = len(participants) if protocol == "leave_one_out" else count
    largest = -(-len(participants) // max(groups, 1))
    if groups > len(participants) or len(participants) - largest < 2:
        name = f"{protocol} with {groups} folds" if protocol == "k_fold" else protocol
        raise DataError(
            f"{name} needs a participant or more to test in each fold and 2 others to train and to validate on, and "
            f"there are {len(participants)}; add recordings of others, or choose fewer folds"
        )
    if protocol == "leave_one_out":
        tested = [participants[i : i + 1] for i in range(groups)]
    else:
        splitter = KFold(groups, shuffle=True, random_state=test_seed)
        tested = [participants[chosen] for _, chosen in splitter.split(participants)]
    shown = {participant: frozenset(labels[pid == participant].tolist()) for participant in participants.tolist()}
    return [_fold(participants, one, shown, validation, validation_seed) for one in tested]


def _fold(
    participants: NDArray[Any],
    tested: NDArray[Any],
    shown: Mapping[Any, frozenset[Any]],
    validation: float,
    validation_seed: int,
) -> Split:
    rest = participants[~np.isin(participants, tested)]
    wanted = frozenset[Any]().union(*(shown[participant] for participant in rest.tolist()))
    lacking: frozenset[Any] = frozenset()
    for seed in range(validation_seed, validation_seed + REDRAWS):
        try:
            train, held = _draw(rest, validation, seed)
        except ValueError as error:
            raise DataError(
                f"{len(rest)} participants cannot be split with validation {validation:g}; choose a share that leaves "
                "at least one participant on each side"
            ) from error
        lacking = wanted.difference(*(shown[participant] for participant in train.tolist()))
        if not lacking:
            return Split(tuple(train.tolist()), tuple(held.tolist()), tuple(tested.tolist()))
    raise DataError(
        f"the class {sorted(lacking)[0]!r} cannot be kept among the training participants when "
        f"{', '.join(map(str, tested.tolist()))} are tested, because too few others show it; choose a smaller "
        "split.validation, or leave the class out of Y.npy and class_names"
    )


def _draw(participants: NDArray[Any], share: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    kept, taken = next(splitter.split(participants, groups=participants))
    return participants[kept], participants[taken]


def rows(dataset: Dataset, participants: tuple[Any, ...]) -> NDArray[np.int64]:
    """Indices of the windows of some participants in which the device was worn, in the data set's order.

    Raises:
        DataError: when one of them has no window.
    """
    present = dataset.pid[dataset.worn]
    absent = [pid for pid in participants if not (present == pid).any()]
    if absent:
        raise DataError(f"participant {absent[0]} has no window in {dataset.folder}; check pid.npy and the split")
    indices: NDArray[np.int64] = np.flatnonzero(np.isin(dataset.pid, participants) & dataset.worn)
    return indices


def check_classes(dataset: Dataset, split: Split) -> None:
    """Refuse a split in which a class has no window to learn from.

    Raises:
        DataError: naming the class and what to do.
    """
    for name in missing_classes(dataset, split):
        raise DataError(
            f"{dataset.folder}: the class {name!r} has no window among the training participants "
            f"{', '.join(map(str, split.train))}; choose another split seed, or leave the class out of Y.npy "
            "and class_names"
        )


def missing_classes(dataset: Dataset, split: Split) -> list[str]:
    """Classes of which no training participant has a window, so that their windows can only be missed."""
    counts = np.bincount(dataset.labels[rows(dataset, split.train)], minlength=len(dataset.class_names))
    return [name for name, count in zip(dataset.class_names, counts, strict=True) if count == 0]
