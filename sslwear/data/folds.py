"""Folds: one participant-disjoint split for each group of test participants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from sslwear.data.splits import Split, draw, hold_out
from sslwear.errors import DataError

REDRAWS = 100
"""Number of draws of validation participants for a fold, until every class is among the training participants."""


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

    ``hold_out`` is the one split of `hold_out`. With ``k_fold`` and ``leave_one_out`` each participant is a test
    participant in one fold, in one of `count` random groups or alone. Validation participants are drawn from the
    others. They are drawn again, with the next seed, when the training participants lack a class that the training and
    validation participants together have. A class that only test participants have cannot be learnt in that fold; see
    `missing_classes`.

    Args:
        pid: participants of the windows (N,).
        labels: classes of the windows (N,).
        protocol: ``hold_out``, ``k_fold`` or ``leave_one_out``.
        count: number of groups of ``k_fold``.
        test: share of test participants, of ``hold_out`` only.
        test_seed: seed of the draw of test participants, or of the groups.
        validation: share of validation participants among a fold's other participants.
        validation_seed: seed of their draw.

    Raises:
        DataError: when there are too few participants, or the training participants of a fold always lack a class.
    """
    if protocol == "hold_out":
        return [hold_out(pid, test, test_seed, validation, validation_seed)]
    participants = np.unique(pid)
    groups = len(participants) if protocol == "leave_one_out" else count
    largest = -(-len(participants) // max(groups, 1))
    if groups > len(participants) or len(participants) - largest < 2:
        name = f"{protocol} with {groups} folds" if protocol == "k_fold" else protocol
        raise DataError(
            f"{name} needs at least 1 test participant in each fold and 2 others to train and to validate on, but "
            f"there are {len(participants)}; add participants, or choose fewer folds"
        )
    if protocol == "leave_one_out":
        test_groups = [participants[i : i + 1] for i in range(groups)]
    else:
        splitter = KFold(groups, shuffle=True, random_state=test_seed)
        test_groups = [participants[chosen] for _, chosen in splitter.split(participants)]
    classes = {participant: frozenset(labels[pid == participant].tolist()) for participant in participants.tolist()}
    return [_fold(participants, group, classes, validation, validation_seed) for group in test_groups]


def _fold(
    participants: NDArray[Any],
    test: NDArray[Any],
    classes: Mapping[Any, frozenset[Any]],
    validation: float,
    validation_seed: int,
) -> Split:
    """The split of one fold, from the classes of each participant."""
    rest = participants[~np.isin(participants, test)]
    wanted = frozenset[Any]().union(*(classes[participant] for participant in rest.tolist()))
    lacking: frozenset[Any] = frozenset()
    for seed in range(validation_seed, validation_seed + REDRAWS):
        try:
            train, selection = draw(rest, validation, seed)
        except ValueError as error:
            raise DataError(
                f"{len(rest)} participants cannot be split with validation {validation:g}; choose a share that leaves "
                "at least one participant on each side"
            ) from error
        lacking = wanted.difference(*(classes[participant] for participant in train.tolist()))
        if not lacking:
            return Split(tuple(train.tolist()), tuple(selection.tolist()), tuple(test.tolist()))
    raise DataError(
        f"the class {sorted(lacking)[0]!r} is always missing in training when the test participants are "
        f"{', '.join(map(str, test.tolist()))}, because too few others have it; choose a smaller split.validation, or "
        "remove the class from Y.npy and class_names"
    )
