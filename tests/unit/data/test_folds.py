"""Folds go by participant: everybody is tested once, nobody is on two sides, and something of each class is learnt."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.folds import folds
from sslwear.data.splits import Split, hold_out, missing_classes
from sslwear.errors import DataError
from tests.unit.data.test_splits import dataset

seeds = st.integers(0, 2**31 - 1)


def everybody(participants: int, windows: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Participants with the same windows each, of one class."""
    pid = np.repeat(np.arange(participants), windows)
    return pid, np.zeros(len(pid), int)


def who_is_tested(splits: list[Split]) -> list[Any]:
    return sorted(participant for split in splits for participant in split.test)


@given(participants=st.integers(4, 40), test_seed=seeds, validation_seed=seeds, data=st.data())
def test_in_k_folds_everybody_is_tested_once_and_is_on_one_side_of_each(
    participants: int, test_seed: int, validation_seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(2, participants))
    pid, labels = everybody(participants, 2)
    splits = folds(pid, labels, "k_fold", count, test_seed=test_seed, validation_seed=validation_seed)
    assert len(splits) == count
    assert who_is_tested(splits) == list(range(participants))
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    for split in splits:
        assert sorted((*split.train, *split.validation, *split.test)) == list(range(participants))
        assert split.train
        assert split.validation
    assert splits == folds(pid, labels, "k_fold", count, test_seed=test_seed, validation_seed=validation_seed)


@given(participants=st.integers(3, 40), validation_seed=seeds)
def test_leave_one_out_tests_everybody_alone(participants: int, validation_seed: int) -> None:
    splits = folds(*everybody(participants), "leave_one_out", validation_seed=validation_seed)
    assert [split.test for split in splits] == [(i,) for i in range(participants)]
    for split in splits:
        assert sorted((*split.train, *split.validation, *split.test)) == list(range(participants))


@given(shown=st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=5, max_size=12), seed=seeds)
def test_training_has_every_class_that_somebody_shows_who_is_not_tested_or_the_protocol_is_refused(
    shown: list[set[int]], seed: int
) -> None:
    pid = np.concatenate([[i] * len(classes) for i, classes in enumerate(shown)])
    labels = np.concatenate([sorted(classes) for classes in shown])
    try:
        splits = folds(pid, labels, "leave_one_out", validation_seed=seed)
    except DataError as error:
        assert "cannot be kept among the training participants" in str(error)  # noqa: PT017 - or it is not raised
        return
    for split in splits:
        learnt = set().union(*(shown[i] for i in split.train))
        assert learnt == learnt.union(*(shown[i] for i in split.validation))


def test_validation_participants_are_drawn_again_only_where_a_class_would_be_lost() -> None:
    pid, labels = np.arange(12), np.zeros(12, int)
    plain = folds(pid, labels, "leave_one_out")
    rare = plain[0].validation[0]
    labels[rare] = 1
    again = folds(pid, labels, "leave_one_out")
    assert rare in again[0].train
    for one, other in zip(plain, again, strict=True):
        assert (one == other) is (rare not in one.validation)


def test_a_class_of_those_who_are_tested_alone_is_told_and_not_refused() -> None:
    pid, labels = np.arange(6), np.array([0, 0, 1, 0, 0, 0])
    data = dataset(pid.tolist(), labels.tolist())
    missing = {split.test: missing_classes(data, split) for split in folds(pid, labels, "leave_one_out")}
    assert missing == {(i,): ["sit"] if i == 2 else [] for i in range(6)}


def test_a_class_that_cannot_be_kept_is_named() -> None:
    labels = np.array(["walk", "sit", "lie"])
    with pytest.raises(DataError, match=r"the class '\w+' is always missing in training .* are 0, because"):
        folds(np.arange(3), labels, "leave_one_out")


def test_hold_out_is_the_split_of_studies() -> None:
    pid, labels = everybody(10)
    shares = {"test": 0.3, "test_seed": 1, "validation": 0.25, "validation_seed": 2}
    assert folds(pid, labels, "hold_out", **shares) == [hold_out(pid, **shares)]


@pytest.mark.parametrize(
    ("participants", "protocol", "count", "message"),
    [
        (2, "leave_one_out", 5, "leave_one_out needs at least 1 test participant in each fold and 2 others"),
        (0, "leave_one_out", 5, "there are 0; add participants"),
        (4, "k_fold", 5, "k_fold with 5 folds needs .* there are 4; add participants, or choose fewer folds"),
        (3, "k_fold", 2, "k_fold with 2 folds needs"),
    ],
)
def test_too_few_participants_are_one_sentence(participants: int, protocol: str, count: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        folds(*everybody(participants), protocol, count)


def test_a_share_that_leaves_nobody_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match=r"5 participants cannot be split with validation 0\.95"):
        folds(*everybody(6), "leave_one_out", validation=0.95)


@given(one=seeds, other=seeds)
def test_the_groups_depend_on_the_tests_seed_alone(one: int, other: int) -> None:
    pid, labels = everybody(9)
    first, second = (folds(pid, labels, "k_fold", 3, test_seed=one, validation_seed=seed) for seed in (1, 2))
    assert [split.test for split in first] == [split.test for split in second]
    third = folds(pid, labels, "k_fold", 3, test_seed=other)
    assert who_is_tested(third) == who_is_tested(first)
