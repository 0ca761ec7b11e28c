"""Windows, non-wear and notes of device files, real and damaged, are those of actipy on the whole file."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sslwear.data.cuts import TWICE
from sslwear.data.devices import DeviceFiles
from sslwear.data.files.device_reader import open_recording
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.errors import DataError
from tests.cutting import cut_recording
from tests.samples import cwa
from tests.samples.days import miscalibrated
from tests.streaming import compare, read_with_actipy

if shutil.which("java") is None:
    pytest.skip("there is no Java on this machine", allow_module_level=True)


@pytest.mark.parametrize(
    ("name", "windows"), [("actigraph_81s.gt3x", 8), ("axivity_3h.cwa.gz", 1046), ("geneactiv_455s.bin", 45)]
)
def test_a_real_recording_in_small_pieces_is_the_whole(
    shared_recordings: Path, tmp_path: Path, name: str, windows: int
) -> None:
    recording = compare(
        shared_recordings / "recordings" / name, tmp_path / "work", 3001, 10, 5 if windows < 100 else 10
    )
    assert recording.seconds == pytest.approx({8: 81, 1046: 10_709, 45: 455}[windows], abs=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a device whose calibration depends on its temperature, and which lay still for more than 90 minutes."""
    samples, _ = miscalibrated(rate_hz=50, still_hours=1.7)
    blocks = len(samples) // cwa.SAMPLES
    temperature = 20 + 8 * np.sin(np.arange(blocks) / 300)
    samples = samples[: blocks * cwa.SAMPLES]
    samples += np.repeat(temperature - 20, cwa.SAMPLES)[:, None] * [0.001, -0.002, 0.0015]
    return cwa.write(
        tmp_path_factory.mktemp("cwa") / "anna.cwa", samples, np.datetime64("2024-05-01T22:00"), temperature
    )


def test_calibration_by_temperature_and_wear_are_those_of_the_whole(made: Path, tmp_path: Path) -> None:
    recording = compare(made, tmp_path / "work", 100_000, 10)
    assert "gravity calibrated" in recording.note
    assert recording.calibration.temperature_slope is not None
    begin, end = recording.nonwear[0].view("datetime64[ns]")
    assert (end - begin) / np.timedelta64(1, "h") == pytest.approx(1.7, abs=0.02)
    with open_recording(made, tmp_path / "work") as again:
        still = np.concatenate([part.samples[~part.worn] for part in again.windows(30, 10, 10)])
    assert np.linalg.norm(still, axis=2).mean() == pytest.approx(1, abs=0.002)


def test_a_clock_that_is_set_back_within_a_file_costs_the_times_that_occur_twice(made: Path, tmp_path: Path) -> None:
    content = bytearray(made.read_bytes())
    blocks = [content[1024 + 512 * i : 1536 + 512 * i] for i in range(3000)]
    file = tmp_path / "anna.cwa"
    file.write_bytes(bytes(content[:1024]) + b"".join([*blocks[:1000], *blocks[990:1990], *blocks[2200:]]))
    with open_recording(file, tmp_path) as recording:
        windows = list(recording.windows(30, 10, 10))
    assert "damaged block" not in recording.note
    cuts = {cut.kind: cut.seconds for cut in recording.axis.cuts}
    assert cuts[TWICE] == pytest.approx(2 * 16, abs=4)  # 10 blocks of 1.6 s are there twice
    assert sum(cuts.values()) == pytest.approx(2 * 16, abs=5)
    starts = np.concatenate([part.start for part in windows])
    assert (np.diff(starts) >= 10 - 1e-6).all()
    assert len(starts) >= (990 + 990 + 800) * 1.6 / 10 - 4


@pytest.mark.parametrize("jump", ["2h", "-2h", "-24y", "24y"])
def test_a_block_with_a_wrong_time_is_cut_alone(tmp_path: Path, jump: str) -> None:
    samples, _ = miscalibrated(rate_hz=50, still_hours=0)
    samples = samples[: 1000 * cwa.SAMPLES]
    start, temperature = np.datetime64("2024-05-01T22:00"), np.full(1000, 20.0)
    good = cwa.write(tmp_path / "good.cwa", samples, start, temperature).read_bytes()
    moved = start + np.timedelta64(int(jump[:-1]) * (1 if jump[-1] == "h" else 8766), "h")
    bad = cwa.write(tmp_path / "bad.cwa", samples, moved, temperature).read_bytes()
    place = slice(1024 + 512 * 500, 1024 + 512 * 501)
    (tmp_path / "anna.cwa").write_bytes(good[: place.start] + bad[place] + good[place.stop :])
    with open_recording(tmp_path / "anna.cwa", tmp_path) as recording:
        windows = sum(len(part) for part in recording.windows(30, 10, 10))
    assert recording.seconds == pytest.approx(1600, abs=1)
    assert windows >= 158
    assert sum(cut.seconds for cut in recording.axis.cuts) < 5


@pytest.mark.parametrize(
    ("name", "share"), [("axivity_3h.cwa.gz", 0.4), ("actigraph_81s.gt3x", 0.4), ("geneactiv_455s.bin", 0.3)]
)
def test_a_damaged_file_is_refused_and_leaves_nothing(
    shared_recordings: Path, tmp_path: Path, name: str, share: float
) -> None:
    content = (shared_recordings / "recordings" / name).read_bytes()
    ending = name[name.index(".") :]
    for stem, piece in (
        ("half", content[: int(len(content) * share)]),
        ("noise", np.random.default_rng(0).bytes(20_000)),
    ):
        file = tmp_path / f"{stem}{ending}"
        file.write_bytes(piece)
        with pytest.raises(DataError) as whole:
            read_with_actipy(file)
        work = tmp_path / f"{stem}-work"
        work.mkdir()
        with pytest.raises(DataError) as streamed, open_recording(file, work):
            pass
        assert str(streamed.value).split("(")[0] == str(whole.value).split("(")[0]
        assert str(file) in str(streamed.value)
        assert "copy it from the device again" in str(streamed.value)
        assert list(work.iterdir()) == []


def test_a_few_damaged_blocks_are_noted_alike(shared_recordings: Path, tmp_path: Path) -> None:
    with gzip.open(shared_recordings / "recordings" / "axivity_3h.cwa.gz") as packed:
        content = bytearray(packed.read(512 * 700))
    content[512 * 300 + 100] ^= 0xFF
    (tmp_path / "anna.cwa").write_bytes(content)
    recording = compare(tmp_path / "anna.cwa", tmp_path / "work", 5000, 10)
    assert "1 damaged block left out" in recording.note


def test_a_process_that_is_killed_while_it_reads_leaves_no_samples_and_no_java(made: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from sslwear.data.files import buffer, device_reader\n"
        "count = []\n"
        "append = buffer.SampleBuffer.append\n"
        "def die(*arguments):\n"
        "    append(*arguments); count.append(1)\n"
        "    if len(count) == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "buffer.SampleBuffer.append = die\n"
        "with device_reader.open_recording(Path(sys.argv[1]), Path(sys.argv[2])): pass\n"
    )
    big = tmp_path / "anna.cwa"
    content = made.read_bytes()
    big.write_bytes(content + content[1024:] * 20)
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run([sys.executable, "-c", code, str(big), str(work)], capture_output=True)
    assert done.returncode == -9
    for _ in range(100):
        running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        if str(big) not in running:
            break
        time.sleep(0.1)
    assert str(big) not in running
    assert [path.name for path in work.rglob("*") if path.stat().st_size > 9999] == []


def test_import_gives_the_windows_of_actipy_in_small_pieces_with_a_step(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sslwear.data.files.device_reader.PIECE_SAMPLES", 4001)
    whole = read_with_actipy(made)
    begin, end = (str(whole.start + np.timedelta64(minutes, "m"))[:19] for minutes in (3, 20))
    labels = tmp_path / "labels.csv"
    labels.write_text(f"participant,start,end,label\nanna,{begin},{end},walk\n")
    prepare(DeviceFiles([made], labels), tmp_path / "out", WindowPlan(10, 4))
    seconds = whole.time
    assert seconds is not None
    codes = np.where((seconds >= 180) & (seconds < 1200), 0, -1)
    expected = cut_recording(replace(whole, label=pd.Categorical.from_codes(codes, ["walk"])), 30, 10, 4)
    kept = expected.labels == 0
    assert kept.sum() > 200
    np.testing.assert_allclose(np.load(tmp_path / "out" / "X.npy"), expected.samples[kept], atol=1e-6)
    assert whole.start is not None
    start = whole.start + np.rint(expected.start[kept] * 1e9).astype("timedelta64[ns]")
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "T.npy"), start)
