"""Device files become windows; damaged ones are named; labels are checked line by line."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.devices import DeviceFiles
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.shards import open_shards
from sslwear.data.tables.annotations import read_labels
from sslwear.errors import DataError

HEADER = "participant,start,end,label\n"
FILES = [Path("anna.csv"), Path("ben.csv")]


@pytest.fixture
def java() -> None:
    if shutil.which("java") is None:
        pytest.skip("there is no Java on this machine")


def write_csv(path: Path, minutes: float = 5, still: tuple[float, float] = (0, 0), rate_hz: int = 20) -> Path:
    """A made-up recording that starts at noon and lies still between two minutes."""
    time = np.arange(int(minutes * 60 * rate_hz)) / rate_hz
    moving = (time < still[0] * 60) | (time >= still[1] * 60)
    samples = np.array([0.0, 0.0, 1.0]) + moving[:, None] * np.random.default_rng(0).normal(0, 0.2, (len(time), 3))
    table = pd.DataFrame(samples, columns=["x", "y", "z"])
    table.insert(0, "time", pd.Timestamp("2024-05-01 12:00") + pd.to_timedelta(time, unit="s"))
    table.to_csv(path, index=False)
    return path


def write_labels(path: Path, lines: str, header: str = HEADER) -> Path:
    path.write_text(header + lines)
    return path


def test_the_real_recordings_become_windows(java: None, shared_recordings: Path, tmp_path: Path) -> None:
    files = sorted((shared_recordings / "recordings").iterdir())
    reports = prepare(DeviceFiles(files), tmp_path / "out", WindowPlan(10, 10, unlabelled=True), jobs=2)
    assert [(report.participant, report.windows, report.error) for report in reports] == [
        ("actigraph_81s", 8, None),
        ("axivity_3h", 1046, None),
        ("geneactiv_455s", 45, None),
    ]
    assert [report.note.split(", ")[:2] for report in reports] == [
        ["Actigraph", "60 Hz"],
        ["Axivity", "100 Hz"],
        ["GENEActiv", "60 Hz"],
    ]
    for shard in open_shards(tmp_path / "out").shards:
        gravity = np.median(np.linalg.norm(shard.windows(), axis=2))
        assert 0.8 < gravity < 1.2
    assert np.load(tmp_path / "out" / "0001-axivity_3h" / "T.npy")[0] == np.datetime64("2023-06-08T12:21:04.510")


def test_labels_of_a_real_recording_are_where_they_were_noted(
    java: None, shared_recordings: Path, tmp_path: Path
) -> None:
    file = shared_recordings / "recordings" / "geneactiv_455s.bin"
    labels = write_labels(
        tmp_path / "labels.csv",
        "geneactiv_455s,2025-03-17 12:38:00,2025-03-17 12:40:04,walk\n"
        "geneactiv_455s,2025-03-17 12:41:00,2025-03-17 12:42:00,sit\n",
    )
    (report,) = prepare(DeviceFiles([file], labels), tmp_path / "out", WindowPlan(10, 10))
    dataset = open_dataset(tmp_path / "out")
    # windows start at 12:37:33 and every 10 s; a label must cover more than half of one
    walking = dataset.start[dataset.labels == dataset.class_names.index("walk")]
    assert (walking[0], walking[-1], len(walking)) == (
        np.datetime64("2025-03-17T12:38:03"),
        np.datetime64("2025-03-17T12:39:53"),
        12,
    )
    assert (dataset.labels == dataset.class_names.index("sit")).sum() == 6
    assert (report.windows, report.unlabelled) == (18, 45 - 18)


@pytest.mark.parametrize(
    ("name", "share"), [("axivity_3h.cwa.gz", 0.4), ("actigraph_81s.gt3x", 0.4), ("geneactiv_455s.bin", 0.3)]
)
def test_truncated_corrupt_and_empty_files_are_named_and_the_others_are_used(
    java: None, shared_recordings: Path, tmp_path: Path, name: str, share: float
) -> None:
    content = (shared_recordings / "recordings" / name).read_bytes()
    ending = name[name.index(".") :]
    (tmp_path / f"half{ending}").write_bytes(content[: int(len(content) * share)])
    (tmp_path / f"noise{ending}").write_bytes(np.random.default_rng(0).bytes(20_000))
    (tmp_path / f"nothing{ending}").write_bytes(b"")
    write_csv(tmp_path / "good.csv", 1)
    files = [tmp_path / f"{stem}{ending}" for stem in ("half", "noise", "nothing")]
    result = CliRunner().invoke(
        app, ["data", "import", *map(str, files), str(tmp_path / "good.csv"), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 1
    shards = open_shards(tmp_path / "out")
    assert (shards.participants, shards.description.name) == (["good"], "out")
    assert "Traceback" not in result.output
    sentences = [line for line in result.stderr.splitlines() if " was left out: " in line]
    assert len(sentences) == 3
    for file in files:
        assert any(f"{file} " in sentence and "copy it from the device again" in sentence for sentence in sentences)
    assert result.stdout.count("could not be read") == 3


@pytest.mark.parametrize("packed", [False, True])
def test_a_csv_file_is_a_recording(tmp_path: Path, packed: bool) -> None:
    file = write_csv(tmp_path / "anna.csv")
    if packed:
        file = tmp_path / "ben.csv.gz"
        file.write_bytes(gzip.compress((tmp_path / "anna.csv").read_bytes()))
    who = file.name.split(".")[0]
    labels = write_labels(tmp_path / "labels.csv", f"{who},2024-05-01 12:01,2024-05-01 12:02,walk\n")
    (report,) = prepare(DeviceFiles([file], labels), tmp_path / "out", WindowPlan(10, 10))
    assert (report.windows, report.unlabelled) == (6, 24)
    assert open_dataset(tmp_path / "out").start[0] == np.datetime64("2024-05-01T12:01:00")


def test_a_table_of_another_format_is_imported_by_the_options_of_predict(tmp_path: Path) -> None:
    table = pd.read_csv(write_csv(tmp_path / "anna.csv"))
    labels = write_labels(tmp_path / "labels.csv", "anna,2024-05-01 12:01,2024-05-01 12:02,walk\n")
    expected = open_dataset_of(tmp_path, tmp_path / "anna.csv", labels)
    instants = pd.to_datetime(table["time"]) - pd.Timedelta(2, "h")
    axes = (table[["x", "y", "z"]] * 9.80665).round(6)
    other = pd.concat([instants.astype("datetime64[ms]").astype(int), axes], axis=1)
    (tmp_path / "anna.csv").write_text(other.set_axis(["t", "ax", "ay", "az"], axis=1).to_csv(sep=";", index=False))
    options = ("--columns", "t,ax,ay,az", "--time-format", "ms", "--units", "m/s2", "--timezone", "Europe/Paris")
    found = open_dataset_of(tmp_path, tmp_path / "anna.csv", labels, *options)
    assert (expected.start - found.start == np.timedelta64(2, "h")).all()  # UTC, of labels in summer time
    assert found.windows == pytest.approx(np.asarray(expected.windows), abs=1e-5)
    refused = CliRunner().invoke(app, ["data", "import", "x.csv", "--out", str(tmp_path / "o"), "--units", "ft"])
    assert "--units ft is unknown" in refused.stderr


@pytest.mark.parametrize("clock", ["fixed", "local"])
def test_labels_are_times_of_the_devices_clock_also_after_the_clocks_have_changed(tmp_path: Path, clock: str) -> None:
    table = pd.read_csv(write_csv(tmp_path / "anna.csv", 150, rate_hz=15), parse_dates=["time"])
    table["time"] += pd.Timestamp("2024-10-27 01:00") - table["time"][0]  # Paris: from 3 to 2 o'clock
    shown = table["time"]
    if clock == "local":
        shown = shown.where(shown < pd.Timestamp("2024-10-27 03:00"), shown - pd.Timedelta(1, "h"))
    table.assign(time=shown.astype(str)).to_csv(tmp_path / "anna.csv", index=False)
    hour = 3 if clock == "fixed" else 2
    labels = write_labels(tmp_path / "labels.csv", f"anna,2024-10-27 0{hour}:10,2024-10-27 0{hour}:11,walk\n")
    found = open_dataset_of(
        tmp_path, tmp_path / "anna.csv", labels, "--timezone", "Europe/Paris", "--clock", clock, "--step", "10"
    )
    origin = np.datetime64("2024-10-27T03:10" if clock == "fixed" else "2024-10-27T00:10")
    assert (found.start - origin).astype("timedelta64[s]").astype(int).tolist() == [0, 10, 20, 30, 40, 50]


def open_dataset_of(folder: Path, file: Path, labels: Path, *options: str) -> Dataset:
    """Data set that the command makes of a file."""
    out = folder / f"out{len(options)}"
    arguments = ["data", "import", file, "--labels", labels, "--out", out, *options]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return open_dataset(out)


def test_time_not_worn_is_marked_and_counted(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "anna.csv", minutes=140, still=(20, 125), rate_hz=15)
    labels = write_labels(tmp_path / "labels.csv", "anna,2024-05-01 12:00,2024-05-01 14:20,home\n")
    (report,) = prepare(DeviceFiles([file], labels), tmp_path / "out", WindowPlan(60, 60))
    dataset = open_dataset(tmp_path / "out")
    assert report.nonwear == (~dataset.worn).sum()
    off = dataset.start[~dataset.worn]
    assert abs((off[0] - np.datetime64("2024-05-01T12:20")) / np.timedelta64(1, "m")) <= 1
    assert abs((off[-1] - np.datetime64("2024-05-01T14:04")) / np.timedelta64(1, "m")) <= 1
    assert len(off) == pytest.approx(105, abs=2)


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "time,x,y,z\nnoonish,0,0,1\n", "time,x,y,z\n", "<html>"])
def test_a_csv_file_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "anna.csv").write_text(content)
    with pytest.raises(DataError, match=r"anna\.csv (cannot be read|holds no samples)"):
        list(DeviceFiles([tmp_path / "anna.csv"]).recordings("anna"))


def test_missing_java_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anna.cwa").write_bytes(b"MD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"anna\.cwa needs Java, which is not installed; install Java"):
        list(DeviceFiles([tmp_path / "anna.cwa"]).recordings("anna"))


def test_a_missing_file_is_missing_also_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"there is no file .*anna\.cwa; give the path of a recording"):
        list(DeviceFiles([tmp_path / "anna.cwa"]).recordings("anna"))


def test_a_csv_recording_needs_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (recording,) = DeviceFiles([write_csv(tmp_path / "anna.csv", 1)]).recordings("anna")
    assert recording.samples.shape == (1200, 3)


def test_files_of_the_same_name_and_unknown_endings_are_refused(tmp_path: Path) -> None:
    for name in ("anna.cwa", "anna.gt3x", "thesis.txt"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="would both be the recording 'anna'; rename one"):
        DeviceFiles([tmp_path / "anna.cwa", tmp_path / "anna.gt3x"])
    with pytest.raises(DataError, match=r"thesis\.txt has an unknown ending. Give files that end in \.cwa, \.gt3x"):
        DeviceFiles([tmp_path / "thesis.txt"])


def test_a_missing_file_is_named_and_the_others_are_used(tmp_path: Path) -> None:
    files = [tmp_path / "absent.cwa", write_csv(tmp_path / "good.csv", 1), write_csv(tmp_path / "short.csv", 0.1)]
    result = CliRunner().invoke(app, ["data", "import", *map(str, files), "--out", str(tmp_path / "out"), "--jobs=1"])
    assert result.exit_code == 1
    left_out, advice = result.stderr.splitlines()
    assert left_out == f"sslwear: absent was left out: there is no file {files[0]}; give the path of a recording"
    assert advice.endswith("out lacks what was left out. To read it again, delete the directory and repeat the command")
    assert open_shards(tmp_path / "out").participants == ["good"]
    notes = [
        report.note
        for report in prepare(DeviceFiles(files[1:]), tmp_path / "again", WindowPlan(10, 10, unlabelled=True))
    ]
    assert notes[0].endswith("2024-05-01 12:00:00 to 2024-05-01 12:00:59 (60 s)")
    assert notes[1].endswith("; no stretch without a gap is as long as a window, 10 s")


def test_a_name_in_other_letters_is_read_in_any_language_of_the_system(
    java: None, shared_recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    file = tmp_path / "Jürgen.bin"
    shutil.copy(shared_recordings / "recordings" / "geneactiv_455s.bin", file)
    (recording,) = DeviceFiles([file]).recordings("Jürgen")
    assert len(recording.samples) == 27_300


def test_blocks_that_were_never_written_are_not_damaged(java: None, shared_recordings: Path, tmp_path: Path) -> None:
    with gzip.open(shared_recordings / "recordings" / "axivity_3h.cwa.gz") as file:
        blocks = file.read(512 * 302)
    (tmp_path / "anna.cwa").write_bytes(blocks + bytes(512 * 3000))
    (recording,) = DeviceFiles([tmp_path / "anna.cwa"]).recordings("anna")
    assert "damaged" not in recording.note
    assert len(recording.samples) == 300 * 120


def test_participants_are_in_natural_order_and_known_again(tmp_path: Path) -> None:
    files = [tmp_path / f"P{number}.cwa.gz" for number in (10, 9, 1)]
    for file in files:
        file.touch()
    source = DeviceFiles(files)
    assert source.participants() == ["P1", "P9", "P10"]
    assert DeviceFiles(files[::-1]).identity() == source.identity()
    before = {participant: source.stamp(participant) for participant in source.participants()}
    os.utime(files[0], (0, 0))
    files[1].unlink()
    assert [participant for participant in before if source.stamp(participant) != before[participant]] == ["P9", "P10"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            "carl,2024-05-01 12:00,2024-05-01 12:01,walk\n",
            "no file .* participant with a label in it, such as 'carl'; .* are anna, ben",
        ),
        (",2024-05-01 12:00,2024-05-01 12:01,walk\n", "line 2: the participant is missing"),
        ("anna,2024-05-01 12:00,2024-05-01 12:01,\n", "has no label; write one"),
        ("anna,noon,2024-05-01 12:01,walk\n", "line 2: start is 'noon'; write a time such as"),
        ("anna,2024-05-01 12:00,,walk\n", "line 2: end is ''; write a time such as"),
        ("anna,2024-05-01 12:00Z,2024-05-01 12:01,walk\n", "line 2: start is .*; leave the time zone out"),
        ("anna,2024-05-01 12:01,2024-05-01 12:01,walk\n", "line 2: the end .* is not after the start"),
        (
            "anna,2024-05-01 12:05,2024-05-01 12:09,a\nben,2024-05-01 12:00,2024-05-01 13:00,b\n"
            "anna,2024-05-01 12:00,2024-05-01 12:06,c\n",
            "lines 2 and 4: they overlap",
        ),
    ],
)
def test_wrong_labels_are_refused_with_their_line(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        DeviceFiles(FILES, write_labels(tmp_path / "labels.csv", lines))


@pytest.mark.parametrize("header", ["participant,start,end\n", "who,start,end,label\n", ""])
def test_missing_columns_are_named(tmp_path: Path, header: str) -> None:
    path = write_labels(tmp_path / "labels.csv", "anna,2024-05-01 12:00,2024-05-01 12:01,walk\n", header)
    with pytest.raises(DataError, match=r"has no column '\w+'; its first line must be participant,start,end,label"):
        read_labels(path)


def test_labels_may_touch_and_come_in_any_order(tmp_path: Path) -> None:
    lines = "ben,2024-05-01 12:01,2024-05-01 12:02,b\nben,2024-05-01T12:00:00,2024-05-01 12:01:00,a\n"
    found = read_labels(write_labels(tmp_path / "labels.csv", lines))
    assert [(interval.label, interval.line) for interval in found] == [("a", 3), ("b", 2)]
