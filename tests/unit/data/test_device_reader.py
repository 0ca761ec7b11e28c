"""Windows, non-wear and notes of a CSV recording are those of actipy on the whole file; other files are refused."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sslwear.data.cuts import NOT_LATER, TWICE
from sslwear.data.files import csv_recordings
from sslwear.data.files.device_reader import open_recording
from sslwear.data.files.recording_format import Reading, RecordingFormat
from sslwear.errors import DataError
from tests.samples.days import miscalibrated
from tests.streaming import compare

START = np.datetime64("2024-05-01T12:00", "ns")


def table_of(samples: np.ndarray, rate_hz: float) -> pd.DataFrame:
    time = START + np.rint(np.arange(len(samples)) * 1e6 / rate_hz).astype("timedelta64[us]")
    return pd.DataFrame({"time": time, "x": samples[:, 0], "y": samples[:, 1], "z": samples[:, 2]}).round(
        {"x": 5, "y": 5, "z": 5}
    )


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines and samples are read few at a time."""
    monkeypatch.setattr(csv_recordings, "PIECE_SAMPLES", 1000)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("packed", [False, True])
def test_calibration_wear_and_gaps_are_those_of_the_whole(tmp_path: Path, packed: bool) -> None:
    samples, _ = miscalibrated(rate_hz=10, still_hours=1.6)
    table = table_of(samples, 10).drop(index=range(9000, 9100)).drop(index=[300, 20_000])
    table.loc[400:404, "y"] = np.nan
    file = tmp_path / ("anna.csv.gz" if packed else "anna.csv")
    text = table.to_csv(index=False)
    file.write_bytes(gzip.compress(text.encode(), 1) if packed else text.encode())
    recording = compare(file, tmp_path / "work", 7919, 5, 3, rate_hz=20)
    assert "gravity calibrated" in recording.note
    assert len(recording.nonwear) == 1


@pytest.mark.usefixtures("small_pieces")
def test_what_is_above_20_hz_is_filtered_out_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time = np.arange(6000) / 100
    samples = np.stack([np.sin(2 * np.pi * 2 * time), np.sin(2 * np.pi * 40 * time), np.ones_like(time)], axis=1)
    file = tmp_path / "anna.csv"
    table_of(samples, 100).to_csv(file, index=False)
    compare(file, tmp_path / "work", 7919, 5)
    monkeypatch.setattr("sslwear.data.files.calibration.FILTER_SAMPLES", 700)
    with open_recording(file, tmp_path / "work") as recording:
        (found,) = [part.samples for part in recording.windows(100, 50, 50) if len(part)]
    np.testing.assert_allclose(found[0, 100:, 0], samples[100:5000, 0], atol=1e-3)
    assert np.abs(found[0, 100:, 1]).max() < 0.01


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("end", ["", "2024-05-01 12:02:00,0.01,0."])
def test_repeated_samples_and_a_cut_last_line_are_left_out(tmp_path: Path, end: str) -> None:
    samples = np.random.default_rng(0).normal([0, 0, 1], 0.3, (2000, 3))
    table = table_of(samples, 20)
    table = pd.concat([table[:500], table[499:]])
    (tmp_path / "anna.csv").write_text(table.to_csv(index=False) + end)
    recording = compare(tmp_path / "anna.csv", tmp_path / "work", 7919, 5)
    assert ("without a line end" in recording.note) == bool(end)


@pytest.mark.usefixtures("small_pieces")
def test_blocks_of_lines_in_another_order_are_put_in_order(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal([0, 0, 1], 0.3, (4000, 3))
    table = table_of(samples, 20)
    pd.concat([table[1500:], table[:1500]]).to_csv(tmp_path / "anna.csv", index=False)
    with open_recording(tmp_path / "anna.csv", tmp_path) as recording:
        starts = np.concatenate([part.start for part in recording.windows(20, 5, 5)])
    assert recording.seconds == pytest.approx(199.8)  # without the first samples after the set-back
    assert starts.tolist() == pytest.approx([*range(0, 70, 5), *np.arange(75.85, 194, 5)])
    assert [(one.kind, one.samples) for one in recording.axis.cuts] == [(NOT_LATER, 3), (TWICE, 20)]


def refusal(file: Path, folder: Path) -> str:
    with pytest.raises(DataError) as caught, open_recording(file, folder) as recording:
        list(recording.windows(30, 5, 5))
    return str(caught.value)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table[:0], "holds no samples.*; check that it is complete"),
        (lambda table: table.drop(columns="z"), r"cannot be read \(it has no column z; its first line is"),
        (
            lambda table: table.assign(x=9.81 * table.x, y=9.81 * table.y, z=9.81 * table.z),
            r"in g: .* it is in m/s2\. Give --units m/s2",
        ),
        (lambda table: table.assign(z=table.z.where(table.index != 2500, -1e30)), "-1e.30 g, number 2501, which no"),
        (lambda table: table.assign(time=table.time.dt.floor("s")), "times that cannot be right: .*no later time"),
        (lambda table: table.assign(time="01/05/2024 12:00:00"), r"cannot be read \(.*; .*with --time-format"),
        (lambda table: table.assign(x=table.x.astype(object).where(table.index != 2500, "left")), "cannot be .*'left'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, change, reason: str) -> None:
    file = tmp_path / "anna.csv"
    change(table_of(np.random.default_rng(0).normal([0, 0, 1], 0.1, (3000, 3)), 20)).to_csv(file, index=False)
    (tmp_path / "work").mkdir()
    assert re.match(rf"{re.escape(str(file))} .*{reason}", refusal(file, tmp_path / "work"))
    assert list((tmp_path / "work").iterdir()) == []


def test_files_that_are_not_there_or_empty_are_named(tmp_path: Path) -> None:
    (tmp_path / "anna.csv").touch()
    assert refusal(tmp_path / "anna.csv", tmp_path).startswith(f"{tmp_path / 'anna.csv'} is empty; ")
    assert refusal(tmp_path / "ben.csv", tmp_path) == (
        f"there is no file {tmp_path / 'ben.csv'}; give the path of a recording"
    )


def test_a_recording_of_one_sample_gives_no_window(tmp_path: Path) -> None:
    (tmp_path / "anna.csv").write_text("time,x,y,z\n2024-05-01 12:00:00,0,0,1\n")
    with open_recording(tmp_path / "anna.csv", tmp_path) as recording:
        assert sum(len(part) for part in recording.windows(2, 5, 5)) == 0


def test_a_start_time_that_would_not_change_the_times_of_a_device_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sslwear.data.files.device_reader.check_readable", lambda file: None)  # it needs Java
    reading = Reading(RecordingFormat(start_time="2024-05-01 12:00"))
    with (
        pytest.raises(DataError, match=r"anna\.cwa has its own times, so --start-time has no effect; give it without"),
        open_recording(tmp_path / "anna.cwa", tmp_path, reading),
    ):
        pass
