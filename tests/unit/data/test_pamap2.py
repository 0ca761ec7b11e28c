"""PAMAP2: the right columns, lost samples, and what the benchmark keeps."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.base import Options, Recording
from sslwear.data.sources.pamap2 import Pamap2
from sslwear.errors import DataError
from tests.samples import pamap2


def line(time: float, activity: int, wrist: tuple[float, ...]) -> str:
    """Columns that are not the wrist's +-16 g accelerometer hold 77."""
    values = ["77"] * 54
    values[0], values[1] = str(time), str(activity)
    values[4:7] = map(str, wrist)
    return " ".join(values)


def read(folder: Path, lines: list[str]) -> Recording:
    pamap2.write_lines(folder / "subject101.dat", lines)
    (recording,) = Pamap2(folder).recordings(101)
    return recording


def test_time_activity_and_the_wrists_accelerometer_are_read(tmp_path: Path) -> None:
    recording = read(
        tmp_path, [line(8.38, 1, (0, 0, 9.80665)), line(8.39, 0, (0, -19.6133, 0)), line(8.4, 24, (1, 2, 3))]
    )
    assert_allclose(recording.samples[:2], [[0, 0, 1], [0, -2, 0]])
    assert recording.time is not None
    assert_allclose(recording.time, [0, 0.01, 0.02], atol=1e-9)
    assert isinstance(recording.label, pd.Categorical)
    assert ["" if pd.isna(name) else name for name in recording.label] == ["lying", "", "rope jumping"]


def test_lost_samples_are_not_finite(tmp_path: Path) -> None:
    lost = line(2, 1, (0, 0, 1)).split()
    lost[4:7] = ["NaN"] * 3
    assert np.isfinite(read(tmp_path, [line(1, 1, (0, 0, 9)), " ".join(lost)]).samples).tolist() == [
        [True] * 3,
        [False] * 3,
    ]


def test_an_empty_file_is_an_empty_recording(tmp_path: Path) -> None:
    (tmp_path / "subject101.dat").write_text("")
    (recording,) = Pamap2(tmp_path).recordings(101)
    assert recording.samples.shape == (0, 3)


def test_a_line_cut_short_loses_its_sample_only(tmp_path: Path) -> None:
    cut = line(2, 1, (0, 0, 9.8))[:8]
    recording = read(tmp_path, [line(1, 1, (0, 0, 9.80665)), cut])
    assert np.isfinite(recording.samples).all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "reason"), [("a b c d e f g", "does not hold 54"), (line(1, 8, (0, 0, 9)), "activity 8")]
)
def test_other_content_is_refused_with_the_files_name(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=rf"subject101\.dat .*{reason}.*; download it again"):
        read(tmp_path, [text])


def test_a_copy_beside_the_folder_of_the_protocol_counts_once(tmp_path: Path) -> None:
    for folder in ("", "Protocol", "Optional"):
        (tmp_path / folder).mkdir(exist_ok=True)
        pamap2.write_lines(tmp_path / folder / "subject101.dat", [line(1, 1, (0, 0, 9.8))])
    assert len(list(Pamap2(tmp_path).recordings(101))) == 1
    assert len(list(Pamap2(tmp_path, Options(all_activities=True)).recordings(101))) == 2


def test_the_benchmark_keeps_8_activities_of_8_people(tmp_path: Path) -> None:
    pamap2.write(tmp_path / "raw")
    source = Pamap2(tmp_path / "raw")
    assert len(source.class_names) == 8
    assert source.participants() == [101, 102, 103, 104]
    reports = prepare(source, tmp_path / "data")
    # 12 s each of lying, nothing, walking and what is left out; of windows every 5 s two are lying and three walking
    assert [report.windows for report in reports] == [5, 5, 5, 0]
    assert reports[3].error is None
    dataset = open_dataset(tmp_path / "data")
    assert dataset.class_names == ("lying", "walking")


def test_all_activities_are_read_when_asked_for(tmp_path: Path) -> None:
    pamap2.write(tmp_path / "raw")
    source = Pamap2(tmp_path / "raw", Options(all_activities=True))
    assert len(source.class_names) == 18
    assert source.participants() == [101, 102, 103, 104, 109]
    prepare(source, tmp_path / "data")
    dataset = open_dataset(tmp_path / "data")
    assert dataset.class_names == ("lying", "walking", "watching TV", "playing soccer", "rope jumping")
