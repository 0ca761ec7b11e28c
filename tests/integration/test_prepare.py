"""Preparing data: several processes, stopped and resumed, bad files, and never half a data set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numpy.testing import assert_allclose, assert_array_equal

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import PreparationResult, WindowPlan, _prepare_in_worker, prepare
from sslwear.data.shards import open_shards
from sslwear.data.sources.base import Options, Recording
from sslwear.errors import DataError
from tests.commands import heed_signals
from tests.samples import adl
from tests.samples.toy import PLAN, Toy

ROOT = Path(__file__).resolve().parents[2]


RUN = """
import sys
from pathlib import Path
from sslwear.data.prepare import prepare
from tests.samples.toy import PLAN, Toy
if __name__ == "__main__":
    prepare(Toy(Path(sys.argv[1])), Path(sys.argv[2]), PLAN, jobs=int(sys.argv[3]))
"""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for i in range(6):
        (folder / f"p{i}.txt").write_text("walk sit" + " walk" * i)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_any_number_of_processes_gives_the_same(raw: Path, tmp_path: Path) -> None:
    heard: list[tuple[str | int, int, int]] = []
    one = prepare(Toy(raw), tmp_path / "one", PLAN)
    three = prepare(Toy(raw), tmp_path / "three", PLAN, 3, lambda report, *n: heard.append((report.participant, *n)))
    assert one == three
    assert contents(tmp_path / "one") == contents(tmp_path / "three")
    assert {participant for participant, _, _ in heard} == {f"p{i}" for i in range(6)}
    assert [(done, total) for _, done, total in heard] == [(i, 6) for i in range(1, 7)]
    dataset = open_dataset(tmp_path / "one")
    assert dataset.participants == [f"p{i}" for i in range(6)]
    assert np.unique_counts(dataset.pid).counts.tolist() == [8, 12, 16, 20, 24, 28]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "raw", "three"]


def test_what_was_made_by_the_same_call_is_left_as_it_is(raw: Path, tmp_path: Path) -> None:
    first = prepare(Toy(raw), tmp_path / "data", PLAN)
    before = contents(tmp_path / "data")
    assert prepare(Toy(raw), tmp_path / "data", PLAN) == first
    assert contents(tmp_path / "data") == before


@pytest.mark.parametrize("change", ["damaged", "mended", "added", "deleted"])
def test_what_was_made_of_other_raw_files_is_not_taken_for_theirs(raw: Path, tmp_path: Path, change: str) -> None:
    (raw / "p1.txt").write_text("!")
    prepare(Toy(raw), tmp_path / "data", PLAN)
    before = contents(tmp_path / "data")
    {
        "damaged": lambda: (raw / "p0.txt").write_text("!"),
        "mended": lambda: (raw / "p1.txt").write_text("walk"),
        "added": lambda: (raw / "p9.txt").write_text("walk"),
        "deleted": lambda: (raw / "p5.txt").unlink(),
    }[change]()
    who = {"damaged": "p0", "mended": "p1", "added": "p9", "deleted": "p5"}[change]
    with pytest.raises(DataError, match=f"raw files of participant {who} have changed since; give an unused directory"):
        prepare(Toy(raw), tmp_path / "data", PLAN)
    assert contents(tmp_path / "data") == before


def test_raw_files_that_change_while_they_are_read_are_noticed_and_only_they_are_read_again(
    raw: Path, tmp_path: Path
) -> None:
    def meddle(report: PreparationResult, *_: int) -> None:
        if report.participant == "p3":
            (raw / "p1.txt").write_text("sit")

    with pytest.raises(DataError, match="raw files of toy's participant p1 changed while they were read; repeat"):
        prepare(Toy(raw), tmp_path / "data", PLAN, progress=meddle)
    assert not (tmp_path / "data").exists()
    notes = tmp_path.glob(".data.partial/shards/*/report.json")
    done = {note.parent.name: note.stat().st_ino for note in notes}
    assert len(done) == 6
    read = []

    class Listening(Toy):
        def recordings(self, participant: int | str) -> Iterator[Recording]:
            read.append(participant)
            return super().recordings(participant)

    reports = prepare(Listening(raw), tmp_path / "data", PLAN)
    assert read == ["p1"]
    assert [report.windows for report in reports] == [8, 4, 16, 20, 24, 28]
    prepare(Toy(raw), tmp_path / "expected", PLAN)
    assert contents(tmp_path / "data") == contents(tmp_path / "expected")


def test_a_run_that_failed_is_completed_with_the_raw_files_as_they_are_then(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (raw / "p2.txt").write_text("!")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sslwear.data.prepare.join", full)
        with pytest.raises(DataError, match="No space left on device; make room, then repeat the command"):
            prepare(Toy(raw), tmp_path / "data", PLAN)
    (raw / "p2.txt").write_text("walk")
    (raw / "p4.txt").write_text("!")
    reports = prepare(Toy(raw), tmp_path / "data", PLAN)
    assert [report.windows for report in reports] == [8, 12, 4, 20, 0, 28]
    assert open_dataset(tmp_path / "data").participants == ["p0", "p1", "p2", "p3", "p5"]


def test_what_was_made_otherwise_is_not_touched(raw: Path, tmp_path: Path) -> None:
    prepare(Toy(raw), tmp_path / "data", PLAN)
    before = contents(tmp_path / "data")
    with pytest.raises(DataError, match="exists, and was prepared with other settings; give an unused directory"):
        prepare(Toy(raw), tmp_path / "data", WindowPlan(window_s=4, step_s=4))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("ten years of work")
    with pytest.raises(DataError, match=r"exists, and was not written by this command; give an unused directory$"):
        prepare(Toy(raw), tmp_path / "thesis", PLAN)
    assert contents(tmp_path / "data") == before
    assert contents(tmp_path / "thesis") == {"chapter.txt": b"ten years of work"}


def test_a_link_to_an_empty_folder_is_filled(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "data").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "disk" / "data")
    first = prepare(Toy(raw), tmp_path / "data", PLAN)
    assert len(open_dataset(tmp_path / "disk" / "data")) == sum(result.windows for result in first)
    assert prepare(Toy(raw), tmp_path / "data", PLAN) == first


def test_a_mounted_disk_is_refused_before_anything_is_read(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    with pytest.raises(DataError, match=r"a disk is mounted there; give a folder in it, .*disk/data$"):
        prepare(Toy(raw), tmp_path / "disk", PLAN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "raw"]


def test_a_participant_who_cannot_be_read_is_reported_and_the_others_are_used(raw: Path, tmp_path: Path) -> None:
    (raw / "p2.txt").write_text("walk !")
    (raw / "p3.txt").write_text("none none")
    (raw / "p4.txt").write_text("")
    reports = {report.participant: report for report in prepare(Toy(raw), tmp_path / "data", PLAN, jobs=2)}
    assert replace(reports["p2"], raw="") == PreparationResult("p2", error="p2.txt is damaged; download it again")
    assert replace(reports["p3"], raw="") == PreparationResult("p3", unlabelled=8)
    assert replace(reports["p4"], raw="") == PreparationResult(
        "p4", note="no stretch without a gap is as long as a window, 5 s"
    )
    dataset = open_dataset(tmp_path / "data")
    assert dataset.participants == ["p0", "p1", "p5"]
    noted = {report["participant"]: report["error"] for report in dataset.description.participants or ()}
    assert noted == {participant: report.error for participant, report in reports.items()}


def test_what_nobody_expected_is_one_participants_and_the_others_are_used(raw: Path, tmp_path: Path) -> None:
    (raw / "p2.txt").write_text("walk ?")
    reports = {report.participant: report for report in prepare(Toy(raw), tmp_path / "data", PLAN)}
    assert reports["p2"].error is not None
    assert reports["p2"].error.startswith("p2.txt cannot be read (ZeroDivisionError: division by zero); get the file")
    assert open_dataset(tmp_path / "data").participants == ["p0", "p1", "p3", "p4", "p5"]


def test_a_worker_that_is_ended_is_one_sentence_and_what_was_done_is_kept(raw: Path, tmp_path: Path) -> None:
    for i in (2, 3):
        (raw / f"p{i}.txt").write_text("x")
    with pytest.raises(DataError, match=r"a worker process was killed, probably for lack of memory; .* smaller --jobs"):
        prepare(Toy(raw), tmp_path / "data", PLAN, jobs=2)
    assert list(tmp_path.glob(".data.partial/shards/*/report.json"))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("value", [1e30, -2000.0])
def test_a_sample_that_nothing_measures_is_named(raw: Path, tmp_path: Path, value: float) -> None:
    class Absurd(Toy):
        def recordings(self, participant: int | str) -> Iterator[Recording]:
            for recording in super().recordings(participant):
                if participant == "p1":
                    recording.samples[7, 1] = value
                yield recording

    reports = prepare(Absurd(raw), tmp_path / "data", PLAN)
    assert reports[1].windows == 0
    assert "participant p1 (p1.txt) has the sample" in (reports[1].error or "")
    assert f"{value:.4g}" in (reports[1].error or "")
    assert "number 8, which no accelerometer measures" in (reports[1].error or "")


@pytest.mark.parametrize(("window_s", "step_s"), [(0.01, 1), (0.04, 1), (1, 0.01)])
def test_windows_that_are_none_are_refused_once(window_s: float, step_s: float) -> None:
    with pytest.raises(DataError, match="is too short; at 30 Hz a window needs two samples and a step one"):
        WindowPlan(window_s, step_s)


@pytest.mark.parametrize(("text", "reason"), [("!", r"p0\.txt is damaged"), ("none", "and their labels")])
def test_nothing_to_write_is_refused_and_leaves_nothing(raw: Path, tmp_path: Path, text: str, reason: str) -> None:
    for file in raw.iterdir():
        file.write_text(text)
    with pytest.raises(DataError, match=f"there is no window to write; .*{reason}"):
        prepare(Toy(raw), tmp_path / "data", PLAN)
    assert list(tmp_path.iterdir()) == [raw]


def start(*arguments: Path | str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = Path(arguments[0]).parent / "run.py"
    script.write_text(RUN)
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, cwd=ROOT, preexec_fn=heed_signals)


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.is_file() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_leaves_no_data_set_and_no_process_and_the_next_one_uses_what_was_done(
    raw: Path, tmp_path: Path, jobs: int, stop: signal.Signals
) -> None:
    text = (raw / "p4.txt").read_text()
    (raw / "p4.txt").write_text("~")
    process = start(raw, tmp_path / "data", str(jobs))
    try:
        shards = tmp_path / ".data.partial" / "shards"
        wait(lambda: bool(list(raw.glob("waiting-*"))) and len(list(shards.glob("0*/report.json"))) >= 4)
        workers = [int(path.name.split("-")[1]) for path in raw.glob("waiting-*")]
        with pytest.raises(DataError, match="is being written by another process"):
            prepare(Toy(raw), tmp_path / "data", PLAN)
        os.kill(workers[0] if stop == signal.SIGINT and jobs == 2 else process.pid, stop)
        process.send_signal(stop)
        assert process.wait(30) != 0
    finally:
        process.kill()
    wait(lambda: not any(alive(pid) for pid in workers))
    assert not (tmp_path / "data").exists()
    done = {path: path.stat().st_mtime_ns for path in shards.glob("0*/report.json")}
    (raw / "p4.txt").write_text(text)
    for file in raw.glob("waiting-*"):
        file.unlink()
    prepare(Toy(raw), tmp_path / "data", PLAN)
    prepare(Toy(raw), tmp_path / "expected", PLAN)
    assert contents(tmp_path / "data") == contents(tmp_path / "expected")
    assert len(done) >= 4
    assert not (tmp_path / ".data.partial").exists()


def test_a_run_waits_for_the_workers_of_a_killed_one(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sslwear.data.unfinished.WORKERS_END_S", 0.1)
    shards = tmp_path / ".data.partial" / "shards"
    shards.mkdir(parents=True)
    with FileLock(shards / "0003-p3.lock"), pytest.raises(DataError, match="is being written by another process"):
        prepare(Toy(raw), tmp_path / "data", PLAN)
    assert not (tmp_path / "data").exists()
    prepare(Toy(raw), tmp_path / "data", PLAN, jobs=2)
    assert not (tmp_path / ".data.partial").exists()


def test_a_worker_does_not_make_a_removed_folder_anew(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _prepare_in_worker(Toy(raw), "p0", PLAN, tmp_path / ".data.partial" / "shards" / "0000-p0")
    assert list(tmp_path.iterdir()) == [raw]


def test_a_run_with_other_settings_starts_anew(raw: Path, tmp_path: Path) -> None:
    partial = tmp_path / ".data.partial"
    (partial / "shards" / "0000-p0").mkdir(parents=True)
    (partial / "shards" / "0000-p0" / "report.json").write_text(json.dumps({"participant": "p0", "windows": 3}))
    (partial / "plan.json").write_text("{}")
    reports = prepare(Toy(raw), tmp_path / "data", PLAN)
    assert reports[0].windows == 8
    assert len(open_dataset(tmp_path / "data")) == 8 + 12 + 16 + 20 + 24 + 28


def test_unlabelled_windows_are_all_kept_a_folder_a_participant(raw: Path, tmp_path: Path) -> None:
    (raw / "p3.txt").write_text("none walk")
    reports = prepare(Toy(raw), tmp_path / "shards", WindowPlan(5, 5, unlabelled=True), jobs=2)
    assert reports[3].windows == 8
    shards = open_shards(tmp_path / "shards")
    assert shards.participants == [f"p{i}" for i in range(6)]
    assert len(shards) == 8 + 12 + 16 + 8 + 24 + 28
    assert len({shard.fingerprint for shard in shards.shards}) == 6
    for shard in shards.shards:
        windows = np.array(shard.windows())
        assert windows.shape == (shard.count, 150, 3)
        assert_array_equal(shard.rows(), np.arange(shard.count))
        assert_allclose(shard.motion(shard.rows()), windows.std(axis=1).mean(axis=1), rtol=1e-5)
        assert shard.folder.stat().st_mode & 0o777 == 0o755  # others who share the directory see it too


def test_finished_participants_outlive_a_power_failure(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk: list[Path] = []
    monkeypatch.setattr("sslwear.data.arrays.synchronise", on_disk.append)
    rename, renamed = Path.rename, []

    def check(path: Path, target: Path) -> Path:
        if (path / "X.npy").is_file():
            renamed.append(target)
            assert set(path.iterdir()) <= set(on_disk)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", check)
    prepare(Toy(raw), tmp_path / "data", PLAN)
    assert len(renamed) == 7  # six participants and the whole


def test_shards_can_be_put_together_and_damaged_ones_are_refused(raw: Path, tmp_path: Path) -> None:
    prepare(Toy(raw), tmp_path / "shards", WindowPlan(5, 5, unlabelled=True))
    before = open_shards(tmp_path / "shards").fingerprint
    (tmp_path / "shards" / "0005-p5").rename(tmp_path / "elsewhere")
    assert open_shards(tmp_path / "shards").participants == [f"p{i}" for i in range(5)]
    assert open_shards(tmp_path / "shards").fingerprint != before
    (tmp_path / "shards" / "0004-p4" / "report.json").write_text("{}")
    with pytest.raises(DataError, match=r"0004-p4/report\.json is not the report of a shard; prepare the data again"):
        open_shards(tmp_path / "shards")
    with pytest.raises(DataError, match=r"has neither a data set \(X.npy\) nor shards of unlabelled windows"):
        open_shards(raw)


def test_shards_with_windows_of_other_lengths_are_refused(raw: Path, tmp_path: Path) -> None:
    for name, length_s in (("short", 5), ("long", 10)):
        prepare(Toy(raw), tmp_path / name, WindowPlan(length_s, length_s, unlabelled=True))
    (tmp_path / "long" / "0005-p5").rename(tmp_path / "short" / "0006-p5")
    with pytest.raises(DataError, match=r"0000-p0 has windows of 150 samples, and .*0006-p5 of 300\. Keep windows of"):
        open_shards(tmp_path / "short")


def test_shards_that_were_never_worn_are_refused_with_the_reason(raw: Path, tmp_path: Path) -> None:
    prepare(Toy(raw), tmp_path / "shards", WindowPlan(5, 5, unlabelled=True))
    for note in (tmp_path / "shards").glob("*/report.json"):
        report = json.loads(note.read_text())
        note.write_text(json.dumps(report | {"nonwear": report["windows"]}))
    with pytest.raises(DataError, match="has no window in which the device was worn"):
        open_shards(tmp_path / "shards")


def test_the_benchmarks_selection_is_less_than_all_activities(tmp_path: Path) -> None:
    from sslwear.data.sources.adl import Adl

    adl.write(tmp_path / "raw")
    selected, everything = Adl(tmp_path / "raw"), Adl(tmp_path / "raw", Options(all_activities=True))
    prepare(selected, tmp_path / "selected")
    prepare(everything, tmp_path / "everything")
    some, more = open_dataset(tmp_path / "selected"), open_dataset(tmp_path / "everything")
    assert some.participants == ["f1", "m1", "m2"]
    assert more.participants == ["f1", "f5", "m1", "m2"]
    assert some.class_names == ("climb_stairs", "drink_glass", "getup_bed", "pour_water", "walk")
    assert "brush_teeth" in more.class_names
    # 10 s are 320 samples and 5 s are 160: of the trials, pour_water counts once although it lies in two folders
    assert np.unique_counts(some.labels).counts.tolist() == [2 * 3, 1 * 3, 1 * 3, 1 * 3, 5 * 3]
    assert some.start[0] == np.datetime64("2011-03-01T09:24:39")
