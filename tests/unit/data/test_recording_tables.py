"""Participant and labels of each recording of an import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sslwear.data.tables import annotations
from sslwear.data.tables.recording_tables import RecordingTables, read_tables
from sslwear.errors import DataError

LABELS = "participant,start,end,label\n"


def tables(
    folder: Path, names: list[str], labels: str | None = None, participants: str | None = None
) -> RecordingTables:
    paths: list[Path | None] = []
    for name, content in (("labels.csv", labels), ("participants.csv", participants)):
        if content is not None:
            (folder / name).write_text(content)
        paths.append(None if content is None else folder / name)
    return read_tables(names, paths[0], paths[1])


def line(name: str, hour: int, label: str = "walk", end: str = "") -> str:
    return f"{name},2024-05-01 {hour:02d}:00,2024-05-01 {hour + 1:02d}:00,{label}{end}\n"


def found(made: RecordingTables) -> dict[str, list[int]]:
    """Hours of the intervals of each recording."""
    assert made.labels is not None
    return {name: [int(str(i.start)[11:13]) for i in mine] for name, mine in made.labels.items()}


def test_two_visits_are_of_one_participant_which_is_said(tmp_path: Path) -> None:
    made = tables(tmp_path, ["S1_visit1", "S1_visit2", "S2_visit1", "S2_visit2", "S3"])
    assert list(made.participants.values()) == ["S1", "S1", "S2", "S2", "S3"]
    assert made.labels is None
    (warning,) = made.warnings
    assert warning.startswith(
        "S1_visit1, S1_visit2 are taken as recordings of one participant, S1, and so on for 1 more. Declare others "
        "with --participants"
    )


def test_names_that_differ_by_an_unknown_ending_are_warned_of(tmp_path: Path) -> None:
    made = tables(tmp_path, ["A_1", "A_2", "B_1", "B_2"])
    assert list(made.participants.values()) == ["A_1", "A_2", "B_1", "B_2"]
    assert made.warnings[0].startswith("A_1, A_2 may be recordings of one person")


def test_a_table_of_participants_says_whose_a_recording_is(tmp_path: Path) -> None:
    content = "recording,participant\na,Kim\nb,Kim\nS1_visit1,one\nS1_visit2,two\nz,Lee\n"
    made = tables(tmp_path, ["a", "b", "c", "S1_visit1", "S1_visit2"], participants=content)
    assert list(made.participants.values()) == ["Kim", "Kim", "c", "one", "two"]
    absent, guessed = made.warnings
    assert absent.endswith("participants.csv has recordings without a file: z")
    assert guessed.endswith("participants.csv has no line for c, whose participants were taken from the names")


def test_participants_of_earlier_tables_count_where_the_table_has_no_line(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("recording,participant\nb,Lee\n")
    before = {"a": "Kim", "b": "Kim"}
    made = read_tables(["a", "b", "c"], None, tmp_path / "p.csv", before)
    assert made.participants == {"a": "Kim", "b": "Lee", "c": "c"}
    assert made.declared == {"a": "Kim", "b": "Lee"}
    (warning,) = made.warnings
    assert warning.endswith("p.csv has no line for c, whose participants were taken from the names")
    assert read_tables(["a", "b"], None, None, before).participants == {"a": "Kim", "b": "Kim"}


def test_a_column_of_the_labels_says_whose_a_recording_is(tmp_path: Path) -> None:
    content = LABELS[:-1] + ",recording\n" + line("Kim", 9, end=",a") + line("Kim", 10, end=",b")
    made = tables(tmp_path, ["a", "b"], content)
    assert list(made.participants.values()) == ["Kim", "Kim"]
    assert found(made) == {"a": [9], "b": [10]}


@pytest.mark.parametrize("participants", [None, "recording,participant\na,Kim\na,Lee\n"])
def test_a_recording_of_two_participants_is_refused(tmp_path: Path, participants: str | None) -> None:
    labels = LABELS[:-1] + ",recording\n" + line("Kim", 9, end=",a") + line("Lee", 10, end=",a")
    with pytest.raises(DataError, match="the recording 'a' is of 'Kim' and of 'Lee'; give it one participant"):
        tables(tmp_path, ["a"], labels if participants is None else LABELS + line("a", 9), participants)


def test_labels_are_of_a_recording_or_of_all_of_a_participant(tmp_path: Path) -> None:
    content = LABELS + line("S1_visit1", 9) + line("S1", 10) + line("2", 11)
    made = tables(tmp_path, ["S1_visit1", "S1_visit2", "002"], content)
    assert found(made) == {"S1_visit1": [9, 10], "S1_visit2": [10], "002": [11]}


def test_labels_of_a_recording_must_not_overlap(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lines 2 and 3: they overlap"):
        tables(tmp_path, ["S1_visit1", "S1_visit2"], LABELS + line("S1", 9) + line("S1_visit2", 9))
    assert found(tables(tmp_path, ["S1_visit1", "S1_visit2"], LABELS + line("S1_visit1", 9) + line("S1_visit2", 9)))


def test_labels_of_nobody_here_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="such as 'carl'; the names of the files without their endings are anna"):
        tables(tmp_path, ["anna"], LABELS + line("carl", 9))


def test_names_of_many_recordings_and_intervals_are_compared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    key = annotations.recording_key
    monkeypatch.setattr(annotations, "recording_key", lambda name: calls.append(name) or key(name))
    names = [f"P{i}" for i in range(100)]
    made = tables(tmp_path, names, LABELS + "".join(line(name, hour) for name in names for hour in range(20)))
    assert all(hours == list(range(20)) for hours in found(made).values())
    assert len(calls) < 20 * len(names)


def test_an_index_of_intervals_finds_those_that_label_a_recording() -> None:
    time = np.datetime64("2024-05-01", "ns")
    names = ["P1", "p01", "P-1", "anna_visit1", "Anna", "anna_visit2", "2", "02.0"]
    intervals = [annotations.Interval(name, time, time, "a", 1) for name in names]
    intervals += [annotations.Interval("x", time, time, "a", 1, name) for name in names]
    index = annotations.IntervalIndex(intervals)
    found = {
        recording: [(names * 2)[i] for i in index.of(recording, person)]
        for recording, person in [("P01", "P01"), ("anna_visit1", "anna"), ("anna_visit2", "anna"), ("2", "bert")]
    }
    assert found == {
        "P01": ["P1", "p01", "P-1", "P1", "p01", "P-1"],
        "anna_visit1": ["anna_visit1", "Anna", "anna_visit1"],
        "anna_visit2": ["Anna", "anna_visit2", "anna_visit2"],
        "2": ["2", "02.0", "2", "02.0"],
    }
