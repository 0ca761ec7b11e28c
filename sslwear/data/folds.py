"""Folds: participant-disjoint splits, one for each group of validation or test participants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sslwear.config import SplitSettings
from sslwear.data.dataset import Dataset
from sslwear.data.splits import Split, draw, draw_test, hold_out
from sslwear.errors import DataError

DRAWS = 200
"""Number of random cuts of a study's participants of which the one with the most even classes is taken."""
REDRAWS = 100
"""Number of draws of validation participants for a fold, until every class is among the training participants."""


def study_split(dataset: Dataset, settings: SplitSettings) -> tuple[Split, tuple[Split, ...]]:
    """The split of a study, and the splits in which its trials are judged.

    Args:
        dataset: the data set.
        settings: settings with either folds or validation.

    Returns:
        The test participants with all others as training participants, and the folds; or a hold-out, twice.

    Raises:
        DataError: when there are too few participants.
    """
    pid, labels = dataset.pid[dataset.worn], dataset.labels[dataset.worn]
    test, seed = (settings.test, settings.test_seed), settings.validation_seed
    if settings.folds is None:
        split = hold_out(pid, *test, settings.validation_share, seed)
        return split, (split,)
    folds = study_folds(pid, labels, settings.folds, settings.repeats, *test, seed)
    return Split((*folds[0].train, *folds[0].validation), (), folds[0].test), tuple(folds)


def study_folds(
    pid: NDArray[Any],
    labels: NDArray[Any],
    folds: int | Literal["participants"],
    repeats: int = 1,
    test: float = 0.2,
    test_seed: int = 42,
    seed: int = 41,
) -> list[Split]:
    """Draw test participants, and cut the others into folds in which each of them is a validation participant once.

    The groups differ in size by one participant at most. Of `DRAWS` random cuts, the one is taken in which the fewest
    classes are missing in training, and then the one in which the classes are spread most evenly over the groups.

    Args:
        pid: participants of the windows (N,).
        labels: classes of the windows (N,).
        folds: number of folds, at most the number of participants; ``participants`` for one fold a participant.
        repeats: number of cuts, each of which judges every participant once.
        test: share of test participants.
        test_seed: seed of their draw.
        seed: seed of the cuts.

    Returns:
        The folds of the first cut, then those of the next one. No two cuts have the same groups.

    Raises:
        DataError: when there are fewer than three participants, a side would be empty, or there are too few cuts.
    """
    rest, tested = draw_test(np.unique(pid), test, test_seed)
    return _cut_rest(pid, labels, rest, tested, folds, repeats, seed)


def inner_folds(dataset: Dataset, split: Split, settings: SplitSettings) -> tuple[Split, ...]:
    """The splits in which a search inside of a fold judges its trials.

    Args:
        dataset: the data set.
        split: a fold; its test participants stay test participants, and the others are cut into inner folds.
        settings: folds, or validation for the fold's own validation participants.

    Raises:
        DataError: when there are too few participants.
    """
    rest = np.array([*split.train, *split.validation])
    settings = settings.for_study(len(rest))
    if settings.folds is None:
        return (split,)
    pid, labels = dataset.pid[dataset.worn], dataset.labels[dataset.worn]
    folds, repeats, seed = settings.folds, settings.repeats, settings.validation_seed
    return tuple(_cut_rest(pid, labels, np.sort(rest), np.array(split.test), folds, repeats, seed))


def _cut_rest(
    pid: NDArray[Any],
    labels: NDArray[Any],
    rest: NDArray[Any],
    tested: NDArray[Any],
    folds: int | Literal["participants"],
    repeats: int,
    seed: int,
) -> list[Split]:
    """Folds of the participants that are not tested, see `study_folds`."""
    if len(rest) < 2:
        raise DataError(
            f"folds need at least 2 participants who are not test participants, but there is {len(rest)}; choose a "
            "smaller split.test"
        )
    classes, place = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(rest), len(classes)))
    for row, participant in enumerate(rest):
        counts[row] = np.bincount(place[pid == participant], minlength=len(classes))
    cuts: list[list[NDArray[Any]]] = []
    for repeat in range(repeats):
        cuts.append(_even_cut(rest, counts, folds, seed + repeat * DRAWS, cuts))
    return [
        Split(tuple(rest[~np.isin(rest, group)].tolist()), tuple(group.tolist()), tuple(tested.tolist()))
        for groups in cuts
        for group in groups
    ]


def _even_cut(
    participants: NDArray[Any],
    counts: NDArray[np.float64],
    folds: int | str,
    seed: int,
    earlier: Sequence[list[NDArray[Any]]],
) -> list[NDArray[Any]]:
    """The most even of `DRAWS` cuts, see `study_folds`; `counts` has windows by participant and class.

    Raises:
        DataError: when all of them are among the earlier ones.
    """
    known = {_groups(one) for one in earlier}
    drawn = _draws(participants, folds, seed)
    others = [one for one in drawn if _groups(one) not in known] if known else drawn
    if not others:
        raise DataError(
            f"{len(participants)} participants cannot be cut into {folds} folds in another way again; choose a smaller "
            "split.repeats"
        )

    def unevenness(groups: list[NDArray[Any]]) -> tuple[int, float]:
        inside = np.stack([counts[np.isin(participants, group)].sum(axis=0) for group in groups])
        shares = inside / np.maximum(counts.sum(axis=0), 1)
        return int((shares == 1).sum()), float(((shares - 1 / len(groups)) ** 2).sum())

    return min(others, key=unevenness)


def _groups(cut: list[NDArray[Any]]) -> frozenset[frozenset[Any]]:
    """The groups of a cut without their order."""
    return frozenset(frozenset(group.tolist()) for group in cut)


def _draws(participants: NDArray[Any], folds: int | str, seed: int) -> list[list[NDArray[Any]]]:
    """Cuts of which one is taken; a single one if each participant is a fold."""
    if folds == "participants" or int(folds) >= len(participants):
        return [[participants[i : i + 1] for i in range(len(participants))]]
    return [cut(participants, int(folds), one) for one in range(seed, seed + DRAWS)]


def cut(participants: NDArray[Any], folds: int, seed: int) -> list[NDArray[Any]]:
    """Cut participants at random into groups whose sizes differ by one at most."""
    from sklearn.model_selection import KFold  # here, because it takes long to import

    splitter = KFold(folds, shuffle=True, random_state=seed)
    return [participants[chosen] for _, chosen in splitter.split(participants)]


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
        test_groups = cut(participants, groups, test_seed)
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
