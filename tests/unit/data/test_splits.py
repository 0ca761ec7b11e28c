"""Splits go by participant: nobody is on two sides, and everybody is on one."""

import math
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.model_selection import GroupShuffleSplit

from sslwear.data.arrays import Description
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.splits import Split, check_classes, check_several_classes, hold_out, rows
from sslwear.errors import DataError, LeakageError

windows_each = st.lists(st.integers(1, 6), min_size=3, max_size=40)
seeds = st.integers(0, 2**32 - 1)


def dataset(
    pid: list[Any],
    labels: list[int] | None = None,
    class_names: tuple[str, ...] = ("walk", "sit"),
    worn: list[bool] | None = None,
) -> Dataset:
    return Dataset(
        folder=Path("somewhere"),
        windows=np.zeros((len(pid), 2, 3), np.float32),
        labels=np.array([0] * len(pid) if labels is None else labels),
        pid=np.array(pid),
        start=np.zeros(len(pid)),
        worn=np.ones(len(pid), bool) if worn is None else np.array(worn),
        class_names=class_names,
        description=Description(name="somewhere"),
        fingerprint="",
    )


@given(windows=windows_each, test_seed=seeds, validation_seed=seeds, data=st.data())
def test_sides_are_disjoint_and_cover_everybody(
    windows: list[int], test_seed: int, validation_seed: int, data: st.DataObject
) -> None:
    pid = np.array(data.draw(st.permutations(np.repeat(np.arange(len(windows)), windows).tolist())))
    split = hold_out(pid, test_seed=test_seed, validation_seed=validation_seed)
    assert sorted(split.train + split.validation + split.test) == list(range(len(windows)))
    locked = math.ceil(0.2 * len(windows))
    held = math.ceil(0.125 * (len(windows) - locked))
    assert (len(split.test), len(split.validation)) == (locked, held)


@given(windows=windows_each, test_seed=seeds, validation_seed=seeds)
def test_split_equals_that_of_scikit_learn_on_the_windows(
    windows: list[int], test_seed: int, validation_seed: int
) -> None:
    pid = np.repeat(np.arange(len(windows)), windows)
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=test_seed)
    rest, locked = next(splitter.split(pid, groups=pid))
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.125, random_state=validation_seed)
    train, held = next(splitter.split(rest, groups=pid[rest]))
    sides = (pid[rest[train]], pid[rest[held]], pid[locked])
    expected = Split(*(tuple(np.unique(side).tolist()) for side in sides))
    assert hold_out(pid, test_seed=test_seed, validation_seed=validation_seed) == expected


def test_default_split_of_the_smart_watch_participants(smartwatch_folder: Path) -> None:
    expected = Split(train=(1, 3, 4, 5, 6, 7, 10), validation=(8,), test=(2, 9))
    assert hold_out(open_dataset(smartwatch_folder).pid) == expected


def test_participants_keep_their_type_and_their_order() -> None:
    split = hold_out(np.array(list(string.ascii_lowercase[::-1] * 2)))
    for side in (split.train, split.validation, split.test):
        assert all(type(participant) is str for participant in side)
        assert list(side) == sorted(side)


@pytest.mark.parametrize("changed", ["test_seed", "validation_seed"])
def test_each_seed_decides_on_its_own_draw(changed: str) -> None:
    pid = np.arange(100)
    one = hold_out(pid, test_seed=1, validation_seed=1)
    other = hold_out(pid, **{"test_seed": 1, "validation_seed": 1, changed: 2})
    assert (one.test == other.test) is (changed == "validation_seed")
    assert one.validation != other.validation


@pytest.mark.parametrize(
    ("train", "validation", "test", "sides"),
    [
        ((1, 2), (2, 3), (4,), "participant 2 is on both sides of a split: train and validation"),
        ((1, 2), (3,), (4, 1), "participant 1 is on both sides of a split: train and test"),
        ((1, 2), (3, 4), (5, 4, 3), "participant 3 is on both sides of a split: validation and test"),
        (("a",), ("a",), (), "participant a is on both sides of a split: train and validation"),
        ((1,), ("01",), (), "participant 01 is on both sides of a split: train and validation (as 1 and '01')"),
        (("A",), ("b",), ("a ",), "participant a  is on both sides of a split: train and test (as 'A' and 'a ')"),
        (
            ("P_visit1",),
            (),
            ("P",),
            "participant P is on both sides of a split: train and test (as 'P_visit1' and 'P')",
        ),
    ],
)
def test_participant_on_two_sides_is_leakage(
    train: tuple[Any, ...], validation: tuple[Any, ...], test: tuple[Any, ...], sides: str
) -> None:
    with pytest.raises(LeakageError) as caught:
        Split(train, validation, test)
    assert str(caught.value) == sides


@pytest.mark.parametrize("pid", [[1], [1, 2], [1, 2] * 20])
def test_fewer_than_three_participants_cannot_be_split(pid: list[int]) -> None:
    with pytest.raises(DataError, match=f"at least 3 participants, but there are {len(set(pid))}; add recordings"):
        hold_out(np.array(pid))


def test_three_participants_are_enough() -> None:
    split = hold_out(np.array(["a", "b", "c"]))
    assert [len(side) for side in (split.train, split.validation, split.test)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("participants", "test", "validation"), [(4, 0.9, 0.125), (4, 0.6, 0.125), (4, 0.2, 0.9), (10, 0.95, 0.5)]
)
def test_shares_that_leave_a_side_empty_are_refused(participants: int, test: float, validation: float) -> None:
    with pytest.raises(DataError) as caught:
        hold_out(np.arange(participants), test=test, validation=validation)
    assert f"{participants} participants cannot be split with test {test:g}" in str(caught.value)
    assert "at least one participant on each side" in str(caught.value)


@pytest.mark.parametrize("name", [int, str])
@pytest.mark.parametrize(
    ("participants", "expected"), [((2,), [1, 4]), ((3, 1), [0, 2, 3]), ((1, 2, 3), [0, 1, 2, 3, 4]), ((), [])]
)
def test_rows_are_the_windows_of_the_participants_in_order(
    name: Callable[[int], Any], participants: tuple[int, ...], expected: list[int]
) -> None:
    whole = dataset([name(pid) for pid in (3, 2, 1, 3, 2)])
    assert_array_equal(rows(whole, tuple(name(pid) for pid in participants)), expected)


@pytest.mark.parametrize(("pid", "absent"), [([1, 2, 3], 4), ([1, 2, 3], "1"), (["1", "2", "3"], 1)])
def test_absent_participant_is_refused(pid: list[Any], absent: int | str) -> None:
    with pytest.raises(DataError, match=f"participant {absent} has no window in somewhere; check pid.npy"):
        rows(dataset(pid), (pid[0], absent))


def test_classes_that_can_be_learned_pass() -> None:
    check_classes(dataset([1, 1, 2, 3], labels=[0, 1, 0, 0]), Split((1,), (2,), (3,)))


@pytest.mark.parametrize(
    ("labels", "class_names", "missing"),
    [
        ([0, 0, 1, 1], ("walk", "sit"), "sit"),
        ([1, 1, 0, 0], ("walk", "sit"), "walk"),
        ([0, 1, 2, 2], ("walk", "sit", "lie"), "lie"),
    ],
)
def test_class_without_a_training_window_is_refused(
    labels: list[int], class_names: tuple[str, ...], missing: str
) -> None:
    whole = dataset([1, 1, 2, 3], labels, class_names)
    with pytest.raises(DataError) as caught:
        check_classes(whole, Split((1,), (2,), (3,)))
    message = str(caught.value)
    assert f"the class '{missing}' has no window among the training participants 1;" in message
    assert "choose another split seed" in message


def test_windows_in_which_the_device_was_not_worn_are_left_out() -> None:
    some = dataset([1, 1, 2, 2], worn=[True, False, False, True])
    assert rows(some, (1, 2)).tolist() == [0, 3]
    with pytest.raises(DataError, match="participant 2 has no window in somewhere"):
        rows(dataset([1, 1, 2, 2], worn=[True, True, False, False]), (1, 2))


@pytest.mark.parametrize(
    ("labels", "worn", "words"),
    [
        ([0, 1, 0, 0], True, r"'lie' has no window; remove it from class_names"),
        (
            [0, 1, 2, 0],
            False,
            "'lie' has no window in which the device was worn; remove it from Y.npy and",
        ),
    ],
)
def test_for_a_class_that_no_split_can_have_no_other_seed_is_advised(labels: list[int], worn: bool, words: str) -> None:
    whole = dataset([1, 1, 2, 3], labels, ("walk", "sit", "lie"), worn=[True, True, worn, True])
    with pytest.raises(DataError, match=words):
        check_classes(whole, Split((1,), (2,), (3,)))


@pytest.mark.parametrize(
    ("labels", "worn", "words"),
    [
        ([1, 1, 1, 1], True, "all windows have the class 'sit', so there is nothing to tell apart; add recordings"),
        ([1, 1, 0, 1], False, "all windows in which the device was worn have the class 'sit'"),
    ],
)
def test_a_data_set_of_one_class_is_refused(labels: list[int], worn: bool, words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_several_classes(dataset([1, 1, 2, 3], labels, ("walk", "sit"), worn=[True, True, worn, True]))


def test_a_data_set_of_two_classes_is_not() -> None:
    check_several_classes(dataset([1, 1, 2, 3], [0, 1, 0, 0]))


def test_a_data_set_that_was_never_worn_is_refused(small: Dataset) -> None:
    never = replace(small, worn=np.zeros(len(small), bool))
    with pytest.raises(DataError, match=r"has no window in which the device was worn; correct worn\.npy"):
        check_several_classes(never)
