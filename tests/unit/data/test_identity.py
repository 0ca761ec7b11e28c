"""Identity of participants: spellings of a name, and recordings of one person."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.identity import (
    participant_key,
    participant_name,
    participants_of_recordings,
    recording_key,
    similar,
    with_one_name_each,
)


@pytest.mark.parametrize(
    "spellings",
    [
        [1, 1.0, "1", "01", "001", "1.0", "1.", "1 ", " 1", "1\t", "\u00a01", "\uff11", np.int64(1), np.float32(1)],
        ["P01", "p01", "P1", "P001 ", "p1", "P-01", "P_1", "P 1"],
        ["sub-01", "sub-1", "SUB-001", "sub01"],
        ["S1v1", "S1v2", "s01V2", "S1rec1", "S1_rec2", "S1_left_wrist", "S1 right hand"],
        ["visit1_S01", "visit2-S1", "baseline_S01", "followup_s1", "left S1", "v2_S1", "S1"],
        ["V01_visit1", "V01_visit2", "visit1_V01", "baseline_v1", "V01_left", "V01"],
        [0, "0", "00", "0.0"],
        ["S1", "S1_visit1", "s01-visit-2", "S1_ses-02", "S1 day 3", "S1_left", "S1_visit1_right", "S1_v2", "S1.pre"],
    ],
)
def test_spellings_of_a_name_have_one_key(spellings: list[Any]) -> None:
    assert len({participant_key(name) for name in spellings}) == 1


@pytest.mark.parametrize(
    "names",
    [
        [1, 10, 100, "0.1", "1.05", "1.5", "1.50"],
        ["P1", "P10", "P2", "Q1", "1"],
        ["visit1", "visit2", "v1", "v2", "day1", "left"],
        ["holiday1", "holiday2", "upright", "monday", "prefix1", "vienna1"],
        ["ABC_baseline_001", "ABC_baseline_002", "ABC_day_001", "pre_1", "pre_2"],
        ["S1_1", "S1_2", "S1_T1", "S1_T2"],
        ["V01_visit1", "V02_visit1", "V03_left", "baseline_V04", "visit1_left", "visit2_left"],
        ["0a1", "a1", "1a", "1b"],
        ["A_1_1", "A_11", "A-2", "B_2"],
    ],
)
def test_names_of_different_people_have_different_keys(names: list[Any]) -> None:
    assert len({participant_key(name) for name in names}) == len(names)


@given(number=st.integers(0, 10**9), zeros=st.integers(0, 4), blanks=st.text(" \t", max_size=2))
def test_a_number_has_one_key_however_it_is_written(number: int, zeros: int, blanks: str) -> None:
    for text in (f"{'0' * zeros}{number}{blanks}", f"{blanks}{number}.{'0' * zeros}", float(number), np.int64(number)):
        assert participant_key(text) == str(number)


@given(st.text(max_size=12))
def test_a_key_is_the_key_of_itself(name: str) -> None:
    assert participant_key(participant_name(name)) == participant_key(name)


def test_the_names_of_recordings_differ_where_those_of_people_do_not() -> None:
    assert recording_key("S1_visit1") == recording_key("s01_visit01") != recording_key("S1_visit2")


def test_recordings_belong_to_the_declared_participant_or_to_that_of_their_name() -> None:
    names = ["S1_visit1", "S1_visit2", "a", "b", "7", "007", "S2_visit1"]
    declared = {recording_key("A"): "Kim", recording_key("b"): "kim "}
    assert participants_of_recordings(names, declared) == {
        "S1_visit1": "S1",
        "S1_visit2": "S1",
        "a": "Kim",
        "b": "Kim",
        "7": "7",
        "007": "7",
        "S2_visit1": "S2_visit1",
    }


@pytest.mark.parametrize("pid", [np.array([3, 1, 3]), np.array([2.0, 1.0]), np.array(["b ", "a"])])
def test_names_that_are_different_people_are_not_changed(pid: np.ndarray) -> None:
    found, joined = with_one_name_each(pid)
    assert found is pid
    assert joined == []


def test_spellings_in_one_array_become_one_participant() -> None:
    pid = np.array(["1 ", "x", "01", "P_visit2", "P_visit1", "1"])
    found, joined = with_one_name_each(pid)
    assert found.tolist() == ["01", "x", "01", "P", "P", "01"]
    assert joined == [["01", "1", "1 "], ["P_visit1", "P_visit2"]]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["S1_1", "S1_2", "S2_1", "S2_2"], ["S1_1", "S1_2"]),
        (["S1_a", "S1_b", "S2"], ["S1_a", "S1_b"]),
        (["001a", "001b", "002a"], ["001a", "001b"]),
        (["mos (2024-05-01)", "mos (2024-05-08)", "tas (2024-05-01)"], ["mos (2024-05-01)", "mos (2024-05-08)"]),
        ([f"S{i}_{day}" for i in (1, 2) for day in range(7)], [f"S1_{day}" for day in range(7)]),
        (["study_001", "study_002", "study_003"], []),
        (["P1", "P2", "P10"], []),
        ([f"{site}_{i}" for site in "ab" for i in range(15)], []),
        ([1, 2, 3], []),
    ],
)
def test_names_that_differ_by_their_ending_are_found(names: list[Any], found: list[str]) -> None:
    assert similar(names) == found
