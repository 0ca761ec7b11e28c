"""Predictions beside labels: matching of people, days, classes and windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.files.clock import Clock
from sslwear.data.tables.annotations import Interval
from sslwear.deployment.prediction import files as prediction_files
from sslwear.deployment.prediction.label_comparison import compare, true_classes
from sslwear.deployment.prediction.predicted_folder import PredictedWindows, read_predictions
from sslwear.errors import DataError
from tests.samples.predictions import write_prediction

CLASSES = ("sleep", "walk")
WALKS = np.array([0] * 60 + [1] * 30 + [-1] * 6)
"""10 minutes of sleep, 5 of walking, 1 of non-wear."""


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, path, **_: path.write_bytes(b""))
    monkeypatch.setattr(prediction_files, "recording_page", lambda *_: "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "pred"
    write_prediction(out, "P01", CLASSES, WALKS, "2024-05-01T23:55")
    write_prediction(out, "anna_visit1", CLASSES, WALKS, "2024-05-01T12:00", "parquet")
    write_prediction(out, "anna_visit2", CLASSES, WALKS, "2024-05-03T12:00")
    return out


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return path


def values(found: object, side: str) -> dict[tuple[str, str], float]:
    rows = found.minutes.itertuples()  # type: ignore[attr-defined]
    return {(row.participant, row.label): round(getattr(row, side), 3) for row in rows}


def test_minutes_of_all_recordings_of_a_person_are_added_up(folder: Path, tmp_path: Path) -> None:
    labels = "participant,label,minutes\np1,sleep,11\np1,walk,4\nAnna,sleep,20\nAnna,walk,\nzoe,walk,3\nAnna,swim,1\n"
    found = compare(folder, table(tmp_path, labels))
    assert found.unit == "minutes"
    assert values(found, "predicted") == {("P01", "sleep"): 10, ("P01", "walk"): 5, ("anna", "sleep"): 20}
    assert values(found, "labelled") == {("P01", "sleep"): 11, ("P01", "walk"): 4, ("anna", "sleep"): 20}
    assert found.notes == (
        "1 participant with labels and no predictions: zoe",
        "classes of the labels that the model does not have, which are not compared: swim",
        "1 empty cell of labels.csv left out",
    )


def test_minutes_by_day_are_means_over_the_days_on_both_sides(folder: Path, tmp_path: Path) -> None:
    labels = (
        "participant,day,minutes_sleep,minutes_walk\n"
        "P01,2024-05-01,4,1\nP01,2024-05-02,5,4\nP01,2024-05-09,5,4\nanna,2024-05-01 00:00:00,9,\n"
    )
    found = compare(folder, table(tmp_path, labels))
    assert found.unit == "minutes a day"
    # 5 minutes of sleep before midnight and 5 after it, and all 5 of walking after it
    assert values(found, "predicted") == {("P01", "sleep"): 5, ("P01", "walk"): 2.5, ("anna", "sleep"): 10}
    assert values(found, "labelled") == {("P01", "sleep"): 4.5, ("P01", "walk"): 2.5, ("anna", "sleep"): 9}
    assert found.notes[:2] == (
        "days with no labels left out: anna (1)",
        "days with no predictions left out: P01 (1)",
    )


@pytest.mark.parametrize("overlap", [False, True])
def test_a_day_without_windows_is_not_compared(tmp_path: Path, overlap: bool) -> None:
    out = tmp_path / "pred"
    write_prediction(out, "anna", CLASSES, np.ones(3, np.int64), "2024-05-01T12:00", clock=Clock(), step_s=172800)
    if overlap:
        write_prediction(out, "anna_visit2", CLASSES, np.ones(6, np.int64), "2024-05-01T12:00:05", clock=Clock())
    labels = "participant,day,label,minutes\n" + "".join(f"anna,2024-05-0{day},walk,480\n" for day in range(1, 6))
    found = compare(out, table(tmp_path, labels))
    assert values(found, "predicted")["anna", "walk"] == pytest.approx((0.5 + 5 / 6 * overlap) / 3, abs=0.1)
    assert found.notes[0] == "days with no predictions left out: anna (2)"


def test_a_class_without_a_line_has_no_minutes_and_this_is_said(folder: Path, tmp_path: Path) -> None:
    found = compare(folder, table(tmp_path, "participant,label,minutes\nP01,walk,4\nanna,sleep,20\nanna,walk,3\n"))
    assert values(found, "labelled")["P01", "sleep"] == 0
    assert found.notes == ("labels.csv has no line for a class of a participant 1 time, taken as 0 minutes",)


def test_intervals_are_compared_window_by_window(folder: Path, tmp_path: Path) -> None:
    labels = (
        "participant,start,end,label\n"
        "P01,2024-05-01 23:55:00,2024-05-02 00:06:06,sleep\n"  # the last window of it: 6 of 10 s
        "P01,2024-05-02 00:06:06,2024-05-02 00:12:00,walk\n"
        "anna,2024-05-03 12:00:00,2024-05-03 12:01:00,swim\n"
        "anna,2024-05-03 12:02:00,2024-05-03 12:03:00,\n"
        "zoe,2024-05-03 12:00:00,2024-05-03 12:01:00,walk\n"
    )
    found = compare(folder, table(tmp_path, labels))
    assert found.class_names == ("sleep", "walk", "swim")
    assert found.counts["P01"].tolist() == [[60, 7, 0], [0, 23, 0], [0, 0, 0]]
    assert found.counts["anna"].tolist() == [[0, 0, 0], [0, 0, 0], [6, 0, 0]]
    assert values(found, "predicted")["P01", "walk"] == 5
    assert values(found, "labelled")["P01", "walk"] == pytest.approx(23 / 6, abs=1e-3)
    assert found.scores is not None
    assert found.scores.loc["P01", "accuracy"] == pytest.approx(83 / 90)
    assert found.notes == (
        "1 participant with labels and no predictions: zoe",
        "1 line of labels.csv without a label left out",
        "16.0 of 18.0 labelled minutes are compared; the others were not worn, have no data, or are in windows of "
        "which no class has more than half",
        "classes of the labels that the model does not have, which are compared all the same: swim",
    )


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_intervals_are_by_a_clock_that_does_not_follow_daylight_saving(tmp_path: Path, format_: str) -> None:
    begin = "2024-10-26T12:00"  # in summer time, which the clock keeps
    clock = Clock.set_at("Europe/London", int(np.datetime64(begin, "ns").astype(np.int64)))
    write_prediction(tmp_path / "pred", "P01", CLASSES, np.ones(49 * 360, np.int64), begin, format_, clock)
    labels = (
        "participant,start,end,label\nP01,2024-10-27 01:00,2024-10-27 02:00,sleep\n"
        "P01,2024-10-28 12:00,2024-10-28 13:00,walk\n"
    )
    found = compare(tmp_path / "pred", table(tmp_path, labels))
    assert found.counts["P01"].tolist() == [[0, 360], [0, 360]]
    assert found.notes[0].startswith("120.0 of 120.0 labelled minutes are compared")


@pytest.mark.parametrize("format_", ["csv", "parquet"])
@pytest.mark.parametrize("count", [1, 2, 3, 90])
def test_windows_that_are_never_adjacent_have_their_own_length(tmp_path: Path, format_: str, count: int) -> None:
    codes = np.ones(count, np.int64)  # as of a device that records some seconds of each minute
    write_prediction(tmp_path / "pred", "P01", CLASSES, codes, "2024-05-01T12:00", format_, step_s=60)
    labels = "participant,start,end,label\nP01,2024-05-01 12:00,2024-05-01 15:00,walk\n"
    found = compare(tmp_path / "pred", table(tmp_path, labels))
    assert values(found, "predicted")["P01", "walk"] == pytest.approx(count / 6, abs=0.002)
    assert found.notes[0].startswith(f"{count / 6:.1f} of 180.0 labelled minutes are compared")


def test_intervals_by_a_clock_that_follows_daylight_saving_begin_in_the_first_of_two_hours(tmp_path: Path) -> None:
    codes, clock = np.ones(5 * 360, np.int64), Clock("Europe/London")
    write_prediction(tmp_path / "pred", "P01", CLASSES, codes, "2024-10-26T23:00", clock=clock)
    labels = (
        "participant,start,end,label\nP01,2024-10-27 00:30,2024-10-27 01:30,sleep\n"
        "P01,2024-10-27 01:30,2024-10-27 02:00,walk\n"
    )
    found = compare(tmp_path / "pred", table(tmp_path, labels))
    assert found.counts["P01"].tolist() == [[0, 360], [0, 540]]
    assert found.notes[0].startswith("150.0 of 150.0 labelled minutes are compared")


def test_time_that_two_recordings_of_a_person_cover_counts_once(tmp_path: Path) -> None:
    for name, start in (("anna_visit1", "2024-05-01T12:00"), ("anna_visit2", "2024-05-01T12:10")):
        write_prediction(tmp_path / "pred", name, CLASSES, WALKS, start, clock=Clock())
    for day in ("", "2024-05-01,"):
        head = "participant,day,label,minutes\n" if day else "participant,label,minutes\n"
        labels = f"{head}anna,{day}sleep,14\nanna,{day}walk,10\n"
        found = compare(tmp_path / "pred", table(tmp_path, labels))
        # the second one counts from 12:16 on, with its last 4 minutes of sleep
        assert values(found, "predicted") == {("anna", "sleep"): 14, ("anna", "walk"): 10}
    labels = "participant,start,end,label\nanna,2024-05-01 12:10,2024-05-01 12:15,walk\n"
    found = compare(tmp_path / "pred", table(tmp_path, labels))
    assert found.counts["anna"].sum() == 60
    assert "windows of recordings that overlap are all compared, of anna" in found.notes


def test_a_day_on_which_the_clocks_go_back_has_25_hours(folder: Path, tmp_path: Path) -> None:
    found = compare(folder, table(tmp_path, "participant,day,label,minutes\nP01,2024-05-01,sleep,1500\n"))
    assert values(found, "labelled") == {("P01", "sleep"): 1500}


def test_declared_participants_and_intervals_of_one_recording(folder: Path, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("recording,participant\nP01,anna\nanna_visit1,bert\nanna_visit2,bert\n")
    found = compare(folder, table(tmp_path, "participant,label,minutes\nanna,walk,5\nbert,walk,5\n"), people)
    assert values(found, "predicted") == {("anna", "walk"): 5, ("bert", "walk"): 10}
    labels = "recording,participant,start,end,label\nanna_visit2,anna,2024-05-01,2024-05-04,walk\n"
    found = compare(folder, table(tmp_path, labels))
    assert found.counts["anna"].sum() == 90
    assert found.notes[0] == "1 participant with predictions and no labels: P01"


def test_participants_that_were_declared_when_labelling_count(tmp_path: Path) -> None:
    write_prediction(tmp_path / "pred", "x1", CLASSES, WALKS, "2024-05-01T12:00", clock=Clock(), participant="anna")
    write_prediction(tmp_path / "pred", "x2", CLASSES, WALKS, "2024-05-03T12:00", clock=Clock(), participant="anna")
    labels = table(tmp_path, "participant,label,minutes\nanna,walk,5\nbert,walk,5\n")
    assert values(compare(tmp_path / "pred", labels), "predicted") == {("anna", "walk"): 10}
    people = tmp_path / "people.csv"
    people.write_text("recording,participant\nx2,bert\n")
    found = compare(tmp_path / "pred", labels, people)
    assert values(found, "predicted") == {("anna", "walk"): 5, ("bert", "walk"): 5}


def test_labels_of_several_models_are_told(tmp_path: Path) -> None:
    out = tmp_path / "pred"
    for name in ("P01", "P02"):
        write_prediction(out, name, CLASSES, WALKS, "2024-05-01T12:00", clock=Clock())
    labels = table(tmp_path, "participant,label,minutes\nP01,sleep,11\nP02,sleep,9\n")
    assert not any("another model" in note for note in compare(out, labels).notes)
    path = out / "P02.prediction.json"
    path.write_text(path.read_text().replace('"identity": {}', '"identity": {"model": "another", "recording": "x"}'))
    note = compare(out, labels).notes[-1]
    assert note.startswith("1 recording, such as P02, labelled with another model, other options or another version")
    path = out / "P01.prediction.json"  # another recording alone is no difference
    path.write_text(path.read_text().replace('"identity": {}', '"identity": {"model": "another", "recording": "y"}'))
    assert not any("another model" in note for note in compare(out, labels).notes)


def test_a_person_whose_labels_hold_no_worn_window_is_named(folder: Path, tmp_path: Path) -> None:
    labels = (
        "participant,start,end,label\nP01,2024-05-02 00:10,2024-05-02 00:11,walk\n"
        "anna,2024-05-01 12:00,2024-05-01 12:01,sleep\n"
    )
    found = compare(folder, table(tmp_path, labels))
    assert found.participants == ["anna"]
    assert found.notes[0] == "1 participant with labels and no worn window in them: P01"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("participant,label,minutes\nzoe,walk,3\n", "do not have a participant in common"),
        ("participant,day,label,minutes\nP01,2024-06-01,walk,3\n", "do not have a participant and a day in common"),
        ("participant,label,minutes\nP01,swim,3\n", "have no class in common. The predictions have sleep, walk"),
        ("participant,label,minutes\nP01,walk,x\n", "line 2: minutes is 'x'; write a number"),
        ("participant,label,minutes\nP01,walk,-1\n", "line 2: minutes is '-1'"),
        ("participant,label,minutes\nP01,walk,inf\n", "line 2: minutes is 'inf'"),
        ("participant,label,minutes\nP01,walk,\n", "has no minutes"),
        ("participant,day,label,minutes\nP01,2024-05-01,walk,1501\n", "a day has at most 1500 minutes"),
        ("participant,day,label,minutes\nP01,2024-02-30,walk,1\n", "line 2: day is '2024-02-30'; write a date"),
        ("participant,day,label,minutes\nP01,1/5/24,walk,1\n", "line 2: day is '1/5/24'; write a date"),
        ("participant,label,minutes\nP01,walk,1\np1,walk,2\n", "lines 2 and 3: both are of 'p1' and 'walk'"),
        ("participant,minutes\nP01,3\n", "has no column 'label'"),
        ("participant,walk\nP01,3\n", "has neither intervals nor minutes"),
        ("participant,start,end,label\nzoe,2024-05-01,2024-05-02,walk\n", "and a labelled window in common"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(folder: Path, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as error:
        compare(folder, table(tmp_path, text))
    assert words in str(error.value)


def test_folders_that_are_no_predictions_are_refused(folder: Path, tmp_path: Path) -> None:
    labels = table(tmp_path, "participant,start,end,label\nP01,2024-05-01,2024-05-04,walk\n")
    with pytest.raises(DataError, match="there is no folder"):
        compare(tmp_path / "none", labels)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no predictions"):
        compare(tmp_path / "empty", labels)
    write_prediction(folder, "other", ("a", "b"), WALKS, "2024-05-01T12:00")
    with pytest.raises(DataError, match="different classes, such as P01 and other"):
        compare(folder, labels)
    (folder / "other.days.csv").write_text("day,x\n2024-05-01,1\n")
    with pytest.raises(DataError, match=r"other.days.csv is not a table of sslwear predict"):
        compare(folder, labels)
    (folder / "other.days.csv").unlink()
    (folder / "P01.csv").write_text("time,label\nnoon,walk\n")
    with pytest.raises(DataError, match=r"P01.csv is not a table of sslwear predict"):
        compare(folder, labels)
    (folder / "P01.csv").unlink()
    with pytest.raises(DataError, match="the table of windows, is missing"):
        compare(folder, labels)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 40), st.sampled_from("ab")), max_size=6))
def test_a_window_has_the_class_that_labels_more_than_half_of_it(parts: list[tuple[int, int, str]]) -> None:
    start = np.datetime64("2024-05-01", "ns")
    seconds = np.full(400, "", dtype="U1")
    intervals, at = [], 0
    for gap, length, label in parts:
        at += gap
        begin, end = (start + np.timedelta64(value, "s") for value in (at, at + length))
        intervals.append(Interval("p", begin, end, label, 1))
        seconds[at : at + length] = label
        at += length
    windows = PredictedWindows(start + np.arange(40) * np.timedelta64(10, "s"), 10.0, np.zeros(40, np.int64))
    expected = [
        next((code for code, name in enumerate("ab") if (mine == name).sum() > 5), -1)
        for mine in seconds.reshape(40, 10)
    ]
    assert true_classes(windows, intervals, ("a", "b")).tolist() == expected


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_windows_in_a_time_zone_are_compared_by_local_time(tmp_path: Path, format_: str) -> None:
    out = tmp_path / "pred"
    write_prediction(out, "P01", CLASSES, WALKS, "2024-05-01T12:00", format_)
    path = out / f"P01.{format_}"
    frame = pd.read_csv(path) if format_ == "csv" else pd.read_parquet(path)
    zoned = pd.to_datetime(frame["time"]).dt.tz_localize("Europe/London")
    if format_ == "csv":
        frame.assign(time=zoned.map(lambda one: one.isoformat(" "))).to_csv(path, index=False)
    else:
        frame.assign(time=zoned).to_parquet(path)
    (found,) = read_predictions(out)
    assert found.windows().start[0] == np.datetime64("2024-05-01T12:00")
