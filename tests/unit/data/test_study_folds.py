"""Folds of a study: each participant who is not tested is validated once, with classes spread evenly."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sslwear.config import SplitSettings
from sslwear.data.folds import study_folds
from sslwear.data.splits import hold_out
from sslwear.errors import DataError, SettingsError

PID = np.repeat(np.arange(10), 6)
LABELS = np.tile([0, 0, 1, 1, 2, 2], 10)


@pytest.mark.parametrize("folds", [2, 4, "participants"])
def test_each_participant_is_judged_once_by_others(folds: int | str) -> None:
    found = study_folds(PID, LABELS, folds)  # type: ignore[arg-type]
    tested = set(hold_out(PID).test)
    judged = Counter(participant for fold in found for participant in fold.validation)
    assert set(judged) == set(range(10)) - tested
    assert set(judged.values()) == {1}
    sizes = [len(fold.validation) for fold in found]
    assert max(sizes) - min(sizes) <= 1
    for fold in found:
        assert set(fold.test) == tested
        assert set(fold.train) | set(fold.validation) | tested == set(range(10))


def test_repeats_cut_the_same_participants_in_other_ways() -> None:
    found = study_folds(PID, LABELS, 4, repeats=2)
    assert len(found) == 8
    cuts = [{fold.validation for fold in found[first : first + 4]} for first in (0, 4)]
    assert cuts[0] != cuts[1]
    people = [set().union(*cut) for cut in cuts]
    assert people[0] == people[1]


@pytest.mark.parametrize("seed", range(5))
def test_no_repeat_is_a_cut_that_was_there_before(seed: int) -> None:
    pid, labels = PID[:42], LABELS[:42]  # five participants are not tested, for whom two folds are often the same
    found = study_folds(pid, labels, 2, repeats=6, seed=seed)
    cuts = {frozenset(fold.validation for fold in found[first : first + 2]) for first in range(0, 12, 2)}
    assert len({frozenset(map(frozenset, cut)) for cut in cuts}) == 6


@pytest.mark.parametrize(("folds", "repeats"), [(8, 2), ("participants", 2), (7, 29)])
def test_repeats_that_do_not_exist_are_refused(folds: int | str, repeats: int) -> None:
    with pytest.raises(
        DataError, match=r"8 participants cannot be cut into .* folds in another way again; choose a sm"
    ):
        study_folds(PID, LABELS, folds, repeats)  # type: ignore[arg-type]


def test_classes_of_few_participants_are_in_different_folds() -> None:
    labels = LABELS.copy()
    rest = sorted(set(range(10)) - set(hold_out(PID).test))
    rare = [rest[0], rest[1]]
    labels[(labels == 2) & ~np.isin(PID, rare)] = 0
    for fold in study_folds(PID, labels, 4, seed=1):
        assert len(set(rare) & set(fold.validation)) <= 1  # otherwise the class is missing in training


def test_too_few_participants_are_refused() -> None:
    with pytest.raises(DataError, match="at least 3 participants"):
        study_folds(PID[:12], LABELS[:12], 2)
    with pytest.raises(DataError, match="at least 2 participants who are not test participants"):
        study_folds(PID[:18], LABELS[:18], 2, test=0.6)


def test_a_study_has_folds_with_few_participants_and_a_hold_out_with_many() -> None:
    assert SplitSettings().for_study(29).folds == 5
    assert SplitSettings().for_study(30) == SplitSettings(validation=0.125)
    assert SplitSettings(validation=0.25).for_study(10) == SplitSettings(validation=0.25)
    assert SplitSettings(folds=3).for_training() == SplitSettings(validation=0.125)


def test_folds_and_validation_exclude_each_other() -> None:
    from sslwear.config import parse

    with pytest.raises(SettingsError, match="folds and validation are both given"):
        parse({"study": "a", "data": "b", "split": {"folds": 3, "validation": 0.2}}, "the test")
