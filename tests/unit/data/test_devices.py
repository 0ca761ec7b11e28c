"""Tables of labels and CSV recordings in awkward forms, and systems without a working Java."""

from __future__ import annotations

import gzip
import json
import pickle
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.data.cuts import NOT_LATER, TWICE
from sslwear.data.devices import DeviceFiles
from sslwear.data.files.device_checks import reading_note
from sslwear.data.prepare import NoWindowsError, WindowPlan, prepare
from sslwear.data.sources.base import Recording
from sslwear.data.tables.annotations import read_labels
from sslwear.errors import DataError

HEADER = "participant,start,end,label\n"
NOON = np.datetime64("2024-05-01T12:00", "ns")


def labels_of(path: Path, content: str) -> list[tuple[str, str, str, str, int]]:
    path.write_text(content)
    found = read_labels(path)
    return [(i.participant, str(i.start)[:19], str(i.end)[:19], i.label, i.line) for i in found]


def samples_of(count: int = 600, rate_hz: int = 50) -> pd.DataFrame:
    """At rest, with a little noise, from noon."""
    noise = np.random.default_rng(0).normal(0, 0.001, (count, 3))
    table = pd.DataFrame(noise + np.array([0, 0, 1]), columns=["x", "y", "z"])
    table.insert(0, "time", NOON + (np.arange(count) * 1e9 / rate_hz).astype("timedelta64[ns]"))
    return table


def read(path: Path, content: str | pd.DataFrame, labels: Path | None = None) -> Recording:
    path.write_text(content if isinstance(content, str) else content.to_csv(index=False))
    (recording,) = DeviceFiles([path], labels).recordings("anna")
    return recording


@pytest.mark.parametrize(
    "time",
    ["12:00", "now", "today", "1930", "01/05/2024 12:00", "2024-05-01 25:00", "9999-12-31", "0001-01-01", "1714564800"],
)
def test_a_time_that_must_be_guessed_at_is_refused(tmp_path: Path, time: str) -> None:
    for start, end in ((time, "2024-05-02"), ("2024-05-01", time)):
        with pytest.raises(DataError, match=r"line 2: (start|end) is '.*'; write a time such as 2024-04-30 14:53:00"):
            labels_of(tmp_path / "labels.csv", f"{HEADER}anna,{start},{end},walk\n")


@pytest.mark.parametrize(
    "time", ["2024-05-01 09:00", "2024-05-01 9:00", "2024-05-01T09:00:00", " 2024-05-01 09:00:00.0"]
)
def test_the_usual_ways_to_write_a_time_mean_the_same(tmp_path: Path, time: str) -> None:
    found = labels_of(tmp_path / "labels.csv", f"{HEADER}anna,{time},2024-05-02,walk\n")
    assert found == [("anna", "2024-05-01T09:00:00", "2024-05-02T00:00:00", "walk", 2)]


def test_blank_lines_do_not_shift_the_line_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 5: the participant is missing"):
        labels_of(tmp_path / "labels.csv", f"{HEADER}\nanna,2024-05-01,2024-05-02,walk\n\n,2024-05-01,2024-05-02,a\n")


def test_a_label_with_a_comma_needs_quotes(tmp_path: Path) -> None:
    line = "anna,2024-05-01,2024-05-02,walk, fast\n"
    with pytest.raises(DataError, match="line 2: there are more values than columns; put a label with a comma"):
        labels_of(tmp_path / "labels.csv", HEADER + line)
    quoted = line.replace("walk, fast", '"walk, fast"')
    assert labels_of(tmp_path / "labels.csv", HEADER + quoted)[0][3] == "walk, fast"


@pytest.mark.parametrize("label", ["", "  ", "nan", "NaN", "<NA>", "NA", "N/A", "None", "NULL"])
def test_a_missing_label_is_not_a_class(tmp_path: Path, label: str) -> None:
    lines = f"anna,2024-05-01,2024-05-02,walk\nanna,2024-05-02,2024-05-03,{label}\n"
    assert [found[3] for found in labels_of(tmp_path / "labels.csv", HEADER + lines)] == ["walk", ""]
    source = DeviceFiles([tmp_path / "anna.csv"], tmp_path / "labels.csv")
    assert source.class_names == ("walk",)
    assert source.warnings == (
        f"{tmp_path / 'labels.csv'}: 1 of 2 lines have no label, first line 3. Their windows are left out",
    )


def test_a_table_without_any_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no label; write one into the column 'label' of each line"):
        labels_of(tmp_path / "labels.csv", f"{HEADER}anna,2024-05-01,2024-05-02,NA\n")


def test_a_line_that_is_cut_short_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: it ends before the column 'end'; write all of participant,start,end"):
        labels_of(tmp_path / "labels.csv", f"{HEADER}anna,2024-05-01,2024-05-02,walk\nben,2024-05-01")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "has no column 'participant'; its first line must be participant,start,end,label"),
        (HEADER, "has no line below its first"),
        ("participant,start,end,label,label\n", "has the column 'label' more than once; remove one"),
        (
            HEADER.replace(",", ";") + "anna;2024-05-01;2024-05-02;walk\n",
            "has no .*, but is 'participant;start;end;label'",
        ),
    ],
)
def test_a_table_without_labels_is_refused_for_what_it_lacks(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(DataError, match=rf"labels\.csv {reason}"):
        labels_of(tmp_path / "labels.csv", content)


def test_columns_in_another_order_and_others_beside_them_are_fine(tmp_path: Path) -> None:
    content = "\ufefflabel , note,end, start,participant\r\nwalk,x,2024-05-02,2024-05-01,anna\r\n , ,,\r\n"
    assert labels_of(tmp_path / "labels.csv", content) == [
        ("anna", "2024-05-01T00:00:00", "2024-05-02T00:00:00", "walk", 2)
    ]


def test_a_whole_cohorts_labels_serve_for_some_of_its_files(tmp_path: Path) -> None:
    content = HEADER + "carl,2024-05-01,2024-05-02,walk\nben,2024-05-01,2024-05-02,run\n"
    (tmp_path / "labels.csv").write_text(content)
    source = DeviceFiles([tmp_path / "ben.csv", tmp_path / "dora.csv"], tmp_path / "labels.csv")
    assert source.class_names == ("run",)
    unused, unlabelled = source.warnings
    assert unused.endswith("labels.csv: 1 line with names that no file has: carl")
    assert unlabelled.endswith("labels.csv has no label for dora. Windows of these recordings are left out")
    with pytest.raises(DataError, match="line 2: start is 'noon'"):
        labels_of(tmp_path / "labels.csv", content.replace("carl,2024-05-01", "carl,noon"))


def test_labels_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*labels\.csv; give the path of the table, or leave"):
        read_labels(tmp_path / "labels.csv")


def test_a_changed_table_of_labels_is_another_data_set(tmp_path: Path) -> None:
    file, labels = tmp_path / "anna.csv", tmp_path / "labels.csv"
    file.touch()
    labels.write_text(f"{HEADER}anna,2024-05-01,2024-05-02,walk\n")
    before = DeviceFiles([file], labels).identity()
    assert DeviceFiles([file], labels).identity() == before
    labels.write_text(f"{HEADER}anna,2024-05-01,2024-05-02,rest\n")
    assert DeviceFiles([file], labels).identity() != before
    assert DeviceFiles([file]).identity() != before


def test_it_goes_to_other_processes(tmp_path: Path) -> None:
    (tmp_path / "anna.csv").touch()
    (tmp_path / "labels.csv").write_text(f"{HEADER}anna,2024-05-01,2024-05-02,walk\n")
    source = DeviceFiles([tmp_path / "anna.csv"], tmp_path / "labels.csv")
    copy = pickle.loads(pickle.dumps(source))
    assert (copy.identity(), copy.participants(), copy.class_names) == (source.identity(), ["anna"], ("walk",))


def test_each_sample_has_the_label_of_its_interval_and_the_end_is_outside(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(
        f"{HEADER}anna,2024-05-01 12:00:02,2024-05-01 12:00:04,walk\nanna,2024-05-01 12:00:04,2025-01-01,a\n"
    )
    label = read(tmp_path / "anna.csv", samples_of(300), labels).label
    assert isinstance(label, pd.Categorical)
    assert list(label.categories) == ["a", "walk"]
    assert label.codes.tolist() == [-1] * 100 + [1] * 100 + [0] * 100


def test_whole_seconds_may_be_written_without_a_fraction(tmp_path: Path) -> None:
    lines = [f"2024-05-01 12:00:0{i // 10}{f'.{i % 10}' if i % 10 else ''},0,0,1\n" for i in range(20)]
    recording = read(tmp_path / "anna.csv", "time,x,y,z\n" + "".join(lines))
    assert (recording.start, recording.rate_hz) == (NOON, 10.0)
    np.testing.assert_allclose(recording.time, np.arange(20) / 10)


@pytest.mark.parametrize(
    "time",
    ["01/05/2024 12:00:00", "1714564800000", "2024-05-01 12:00:00+01:00", "12:00:00", "5/1/2024 9:00 AM", "45413.5"],
)
def test_times_that_must_be_guessed_at_are_refused_with_how_to_write_them(tmp_path: Path, time: str) -> None:
    reason = rf"anna\.csv cannot be read \(the column time has '{re.escape(time)}.*its times with --time-format"
    with pytest.raises(DataError, match=reason):
        read(tmp_path / "anna.csv", f"time,x,y,z\n{time},0,0,1\n")
    with pytest.raises(DataError, match=reason):
        read(tmp_path / "anna.csv", f"time,x,y,z\n2024-05-01 11:59:59,0,0,1\n{time},0,0,1\n")


def test_times_in_two_time_zones_are_refused(tmp_path: Path) -> None:
    times = ["2024-10-27 02:59:59+02:00", "2024-10-27 02:00:00+01:00"]
    content = "time,x,y,z\n" + "".join(f"{time},0,0,1\n" for time in times)
    with pytest.raises(
        DataError, match=r"the column time has '2024-10-27 02:59:59\+02:00', not a date and time without"
    ):
        read(tmp_path / "anna.csv", content)


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_lost_samples_are_left_out_and_do_not_spread(tmp_path: Path, lost: float) -> None:
    table = samples_of()
    table.loc[300:304, ["x", "z"]] = lost
    recording = read(tmp_path / "anna.csv", table)
    assert recording.samples.shape == (595, 3)
    np.testing.assert_allclose(recording.samples, np.tile([0, 0, 1], (595, 1)), atol=0.01)
    assert recording.time is not None
    np.testing.assert_allclose(recording.time[298:302], [5.96, 5.98, 6.1, 6.12])


def clock_set_back(path: Path, second: str, minutes: int = 5) -> Path:
    """A recording of an hour at 20 Hz, and some minutes from another time on after its clock was set back."""
    first, last = samples_of(3600 * 20, 20), samples_of(minutes * 60 * 20, 20)
    last["time"] += np.datetime64(second) - NOON
    pd.concat([first, last]).to_csv(path, index=False)
    return path


def test_what_a_clock_that_was_set_back_costs_is_in_the_description(tmp_path: Path) -> None:
    file = clock_set_back(tmp_path / "anna.csv", "2024-05-01T12:58")
    (report,) = prepare(DeviceFiles([file]), tmp_path / "out", WindowPlan(10, 10, unlabelled=True))
    assert report.windows == 6 * 58 + 6 * 3
    text = "240 s cut (times that occur twice, as after a set-back of the clock, from 2024-05-01 12:58:00)"
    assert report.note.endswith(text)
    (described,) = json.loads((tmp_path / "out" / "dataset.json").read_text())["participants"]
    assert described["cuts"] == report.cuts
    assert [(cut["kind"], round(cut["seconds"])) for cut in report.cuts] == [(NOT_LATER, 0), (TWICE, 240)]
    assert prepare(DeviceFiles([file]), tmp_path / "out", WindowPlan(10, 10, unlabelled=True)) == [report]


def test_times_that_occur_twice_have_no_label(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(HEADER + "anna,2024-05-01 12:50,2024-05-01 13:10,walk\n")
    file = clock_set_back(tmp_path / "anna.csv", "2024-05-01T12:58")
    (report,) = prepare(DeviceFiles([file], tmp_path / "labels.csv"), tmp_path / "out", WindowPlan(10, 10))
    assert report.windows == 6 * 8 + 6 * 3


def test_a_recording_whose_clock_was_set_back_by_most_of_it_is_refused(tmp_path: Path) -> None:
    file = clock_set_back(tmp_path / "anna.csv", "2024-05-01T12:00", minutes=60)
    with pytest.raises(
        DataError, match=r"anna\.csv has times that cannot be right: .*2 h 0 min cut .*; correct the times"
    ):
        prepare(DeviceFiles([file]), tmp_path / "out", WindowPlan(10, 10, unlabelled=True))


@pytest.mark.parametrize("end", ["0.01,0.02,0.9", "0.01,0.", "", None])
@pytest.mark.parametrize("packed", [False, True])
def test_a_last_line_without_an_end_is_left_out_and_noted(tmp_path: Path, end: str | None, packed: bool) -> None:
    text = samples_of(100).to_csv(index=False) + ("" if end is None else f"2024-05-01 12:00:02,{end}")
    file = tmp_path / ("anna.csv.gz" if packed else "anna.csv")
    file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    (recording,) = DeviceFiles([file]).recordings("anna")
    assert len(recording.samples) == 100
    assert ("a last line without a line end left out" in recording.note) == (end is not None)


@pytest.mark.parametrize(
    ("minutes", "length"),
    [(0.2, "12:00:11 (11 s)"), (90, "13:29:59 (1 h 30 min)"), (1505, "2024-05-02 13:04:59 (1 d 1 h 5 min)")],
)
def test_when_a_recording_is_from_is_noted(tmp_path: Path, minutes: float, length: str) -> None:
    note = read(tmp_path / "anna.csv", samples_of(int(minutes * 60), rate_hz=1)).note
    assert note.split(", ")[-1].startswith("2024-05-01 12:00:00 to 2024-05-0")
    assert note.endswith(length)


@pytest.mark.parametrize("unset", [8, 30])
def test_samples_of_a_clock_that_was_not_set_are_cut_or_the_file_is_refused(tmp_path: Path, unset: int) -> None:
    table = samples_of(100)
    table.loc[: unset - 1, "time"] -= pd.Timedelta(days=40 * 365)
    if unset == 8:
        recording = read(tmp_path / "anna.csv", table)
        assert (len(recording.samples), recording.start) == (92, table["time"][8].to_datetime64())
        return
    with pytest.raises(DataError, match=r"anna\.csv has times that cannot be right: .*more than 366 days.*30% of it"):
        read(tmp_path / "anna.csv", table)


def test_memory_does_not_grow_with_the_time_between_samples(tmp_path: Path) -> None:
    table = samples_of(2400, 20)
    table.loc[1200:, "time"] += pd.Timedelta(days=350)
    table.to_csv(tmp_path / "anna.csv", index=False)
    prepare(DeviceFiles([tmp_path / "anna.csv"]), tmp_path / "first", WindowPlan(10, 10, unlabelled=True))
    tracemalloc.start()
    try:
        (report,) = prepare(DeviceFiles([tmp_path / "anna.csv"]), tmp_path / "out", WindowPlan(10, 10, unlabelled=True))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert report.windows == 12


def test_a_rate_below_half_of_the_windows_is_refused(tmp_path: Path) -> None:
    samples_of(1000, 10).to_csv(tmp_path / "anna.csv", index=False)
    with pytest.raises(DataError, match=r"anna\.csv has 10 samples a second, but windows at 30 Hz need at least 15;"):
        prepare(DeviceFiles([tmp_path / "anna.csv"]), tmp_path / "out", WindowPlan(10, 10, unlabelled=True))


def test_a_column_that_is_there_twice_is_not_chosen_from(tmp_path: Path) -> None:
    table = samples_of(100)
    table.insert(4, "x", 0.5, allow_duplicates=True)
    with pytest.raises(DataError, match=r"anna\.csv cannot be read \(it has the column x more than once\)"):
        read(tmp_path / "anna.csv", table)


@pytest.mark.parametrize("axis", ["x", "z"])
def test_a_sample_that_nothing_measures_is_named(tmp_path: Path, axis: str) -> None:
    table = samples_of(100)
    table.loc[49, axis] = -1e30
    with pytest.raises(DataError, match=r"anna\.csv has the sample .*-1e\+30.* g, number 50, which no acceler"):
        read(tmp_path / "anna.csv", table)


@pytest.mark.parametrize(
    ("factor", "guess"),
    [
        (9.80665, "is not in g: .* Give --units m/s2"),
        (256, "cannot be in g: .*raw counts"),
        (0.01, "cannot be in g: .*acceleration without gravity"),
    ],
)
def test_another_unit_names_the_file_and_leaves_the_others(tmp_path: Path, factor: float, guess: str) -> None:
    table = samples_of()
    table.to_csv(tmp_path / "ben.csv", index=False)
    table[["x", "y", "z"]] *= factor
    table.to_csv(tmp_path / "anna.csv", index=False)
    source = DeviceFiles([tmp_path / "anna.csv", tmp_path / "ben.csv"])
    anna, ben = prepare(source, tmp_path / "out", WindowPlan(10, 10, unlabelled=True))
    assert (ben.windows, ben.error, ben.note.split(", ")[:2]) == (1, None, ["CSV", "50 Hz"])
    assert anna.windows == 0
    with pytest.raises(DataError, match=rf"anna\.csv {guess}"):
        list(source.recordings("anna"))


@pytest.mark.parametrize("command", ["#!/bin/sh\necho 'Unable to locate a Java Runtime.' >&2\nexit 1\n", "no program"])
def test_a_java_that_does_not_run_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    (tmp_path / "java").write_text(command)
    (tmp_path / "java").chmod(0o755)
    (tmp_path / "anna.cwa").write_bytes(b"MD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"anna\.cwa needs Java, which is not installed; install Java"):
        list(DeviceFiles([tmp_path / "anna.cwa"]).recordings("anna"))


@pytest.mark.parametrize(
    ("errors", "printed", "expected"),
    [
        (0, "", None),
        (1, "", "1 damaged block left out"),
        (6, "Skipping malformed CWA block: CWA block checksum mismatch\n", "6 damaged blocks left out"),
        (7, "", DataError),
        (1, "Stopping at truncated CWA data: Unexpected partial CWA block\n", DataError),
        (1, "GENEActiv page count differs from header: expected 91 but found 46\n", DataError),
    ],
)
def test_a_few_damaged_blocks_are_noted_and_a_truncated_file_is_refused(
    errors: int, printed: str, expected: str | type[DataError] | None
) -> None:
    info = {"Device": "D", "SampleRate": 1, "ReadErrors": errors}
    if expected is DataError:
        with pytest.raises(DataError, match=r"anna\.cwa is damaged or truncated: \d of its blocks cannot be read"):
            reading_note(Path("anna.cwa"), 600, info, printed)
    else:
        note = reading_note(Path("anna.cwa"), 600, info, printed)
        assert note.split(", ")[3:] == ([expected] if expected else [])


def test_when_no_file_can_be_read_each_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "anna.csv").write_text("time,x,y,z\n")
    (tmp_path / "ben.csv").write_bytes(b"")
    source = DeviceFiles([tmp_path / "anna.csv", tmp_path / "ben.csv"])
    with pytest.raises(NoWindowsError, match="no window to write; none of 2 participants could be read") as caught:
        prepare(source, tmp_path / "out", WindowPlan(10, 10, unlabelled=True))
    assert [(report.participant, report.windows) for report in caught.value.results] == [("anna", 0), ("ben", 0)]
    files = [str(tmp_path / name) for name in ("anna.csv", "ben.csv")]
    result = CliRunner().invoke(app, ["data", "import", *files, "--out", str(tmp_path / "out")])
    assert (result.exit_code, result.stdout.count("could not be read")) == (1, 2)
    anna, ben, end = result.stderr.splitlines()
    assert "anna.csv holds no samples" in anna
    assert "ben.csv is empty" in ben
    assert end.startswith("sslwear: ")
    assert "none of 2 participants could be read" in end


@pytest.mark.parametrize(("year", "wrong"), [(2023, True), (2024, False)])
def test_labels_of_other_times_than_the_recording_are_named(tmp_path: Path, year: int, wrong: bool) -> None:
    samples_of(3000).to_csv(tmp_path / "anna.csv", index=False)
    (tmp_path / "labels.csv").write_text(f"{HEADER}anna,{year}-05-01 12:00:10,{year}-05-01 12:00:40,walk\n")
    source = DeviceFiles([tmp_path / "anna.csv"], tmp_path / "labels.csv")
    (info, _), *_ = source.windows("anna", 30, 10, 10, tmp_path)
    note = "all labels are of other times, 2023-05-01 12:00:10 to 2023-05-01 12:00:40"
    assert info.note.endswith(note) == wrong


def test_a_single_file_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "absent.csv"
    result = CliRunner().invoke(app, ["data", "import", str(file), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.stderr == f"sslwear: there is no file {file}; give the path of a recording\n"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Time,X,Y,Z", r"it has no column time, x, y, z; its first line is 'Time,X,Y,Z'"),
        ("time|x|y|z", r"it has no column time, x, y, z; its first line is 'time\|x\|y\|z'"),
        ("time,x,y", "it has no column z"),
    ],
)
def test_a_missing_column_is_named_with_the_first_line(tmp_path: Path, header: str, reason: str) -> None:
    content = samples_of().to_csv(index=False).replace("time,x,y,z", header)
    with pytest.raises(DataError, match=reason):
        read(tmp_path / "anna.csv", content)


def test_blanks_and_a_mark_before_column_names_do_not_matter(tmp_path: Path) -> None:
    content = samples_of().to_csv(index=False).replace("time,x,y,z", "\ufefftime, x, y, z")
    assert len(read(tmp_path / "anna.csv", content).samples) == 600


def test_samples_of_zeros_are_cut_and_said(tmp_path: Path) -> None:
    table = samples_of(6000)
    table.loc[1000:5000, ["x", "y", "z"]] = 0
    table.to_csv(tmp_path / "anna.csv", index=False)
    (report,) = prepare(DeviceFiles([tmp_path / "anna.csv"]), tmp_path / "out", WindowPlan(10, 10, unlabelled=True))
    assert (report.windows, report.error) == (3, None)
    assert "80 s cut (samples of 0, 0, 0, as in idle sleep mode, from 2024-05-01 12:00:20)" in report.note
    (shard,) = (tmp_path / "out").glob("*/X.npy")
    assert np.load(shard).any(axis=2).all()


def test_a_recording_of_zeros_is_refused(tmp_path: Path) -> None:
    table = samples_of()
    table[["x", "y", "z"]] = 0
    with pytest.raises(DataError, match=r"anna\.csv holds no samples, or none but 0, 0, 0"):
        read(tmp_path / "anna.csv", table)


def test_strong_motion_without_gravity_is_refused(tmp_path: Path) -> None:
    """Its length is about 1 g, as that of acceleration with gravity."""
    table = samples_of(3000)
    phase = np.arange(3000) / 50 * 2 * np.pi * 2.7
    table[["x", "y", "z"]] = np.stack([np.sin(phase), np.cos(phase), np.sin(2 * phase)], axis=1)
    with pytest.raises(DataError, match=r"anna\.csv cannot be in g: .*acceleration without gravity"):
        read(tmp_path / "anna.csv", table)


def test_the_recordings_of_a_participant_are_prepared_together(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.csv" for name in ("S1_visit1", "S1_visit2", "S2")]
    for hour, file in enumerate(files):
        table = samples_of(1000)
        table["time"] += np.timedelta64(hour, "h")
        table.to_csv(file, index=False)
    people = tmp_path / "participants.csv"
    people.write_text("recording,participant\nS1_visit1,Kim\nS1_visit2,Kim\nS2,Lee\n")
    for source, name in ((DeviceFiles(files), "S1"), (DeviceFiles(files, participants=people), "Kim")):
        one, two = prepare(source, tmp_path / name, WindowPlan(10, 10, unlabelled=True))
        assert (one.participant, one.windows, two.windows) == (name, 4, 2)
        (shard,) = (tmp_path / name).glob(f"*-{name}")
        hours = np.load(shard / "T.npy").astype("M8[h]")
        assert (
            hours.tolist()
            == [NOON.astype("M8[h]").item()] * 2 + [(NOON + np.timedelta64(1, "h")).astype("M8[h]").item()] * 2
        )
        assert set(np.load(shard / "pid.npy").tolist()) == {name}


def test_declared_participants_are_part_of_the_identity(tmp_path: Path) -> None:
    people = tmp_path / "participants.csv"
    people.write_text("recording,participant\nanna,Kim\n")
    file = tmp_path / "anna.csv"
    assert DeviceFiles([file]).identity() != DeviceFiles([file], participants=people).identity()


def test_files_are_the_same_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples_of().to_csv(tmp_path / "anna.csv", index=False)
    plan = WindowPlan(10, 10, unlabelled=True)
    first = prepare(DeviceFiles([tmp_path / "anna.csv"]), tmp_path / "out", plan)
    monkeypatch.chdir(tmp_path)
    assert prepare(DeviceFiles([Path("anna.csv")]), tmp_path / "out", plan) == first


def test_the_command_says_what_may_be_wrong_with_the_tables(tmp_path: Path) -> None:
    for name in ("S1_visit1", "S1_visit2", "002"):
        samples_of().to_csv(tmp_path / f"{name}.csv", index=False)
    lines = "S1,2024-05-01 12:00,2024-05-01 13:00,walk\n9,2024-05-01 12:00,2024-05-01 13:00,NA\n"
    (tmp_path / "labels.csv").write_text(HEADER + lines)
    files = [str(tmp_path / f"{name}.csv") for name in ("S1_visit1", "S1_visit2", "002")]
    tables = ["--labels", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["data", "import", *files, *tables])
    assert result.exit_code == 0
    said = result.stderr
    assert "S1_visit1, S1_visit2 are taken as recordings of one participant, S1" in said
    assert "1 of 2 lines have no label, first line 3" in said
    assert "1 line with names that no file has: 9" in said
    assert "has no label for 002" in said
    assert set(np.load(tmp_path / "out" / "pid.npy").tolist()) == {"S1"}
