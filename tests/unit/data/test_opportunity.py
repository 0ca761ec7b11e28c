"""OPPORTUNITY: the right columns, lost samples, and time without a label."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.base import Recording
from sslwear.data.sources.opportunity import Opportunity
from sslwear.errors import DataError
from tests.samples import opportunity


def line(milliseconds: int, locomotion: int, arm: tuple[object, object, object]) -> str:
    """Columns 64 to 66 are the right lower arm's, 244 is locomotion, counted from 1; all others hold 77."""
    values = ["77"] * 250
    values[0], values[243] = str(milliseconds), str(locomotion)
    values[63:66] = map(str, arm)
    return " ".join(values)


def read(folder: Path, lines: list[str]) -> Recording:
    opportunity.write_lines(folder / "S1-ADL1.dat", lines)
    (recording,) = Opportunity(folder).recordings(1)
    return recording


def test_time_locomotion_and_the_right_lower_arm_are_read(tmp_path: Path) -> None:
    recording = read(tmp_path, [line(100, 1, (0, 0, 1000)), line(133, 0, (0, -2000, 0)), line(167, 5, (1, "NaN", 3))])
    assert_allclose(recording.samples[:2], [[0, 0, 1], [0, -2, 0]])
    assert np.isfinite(recording.samples).all(axis=1).tolist() == [True, True, False]
    assert recording.time is not None
    assert_allclose(recording.time, [0, 0.033, 0.067])
    assert isinstance(recording.label, pd.Categorical)
    assert ["" if pd.isna(name) else name for name in recording.label] == ["stand", "", "lie"]


@pytest.mark.parametrize(
    ("text", "reason"), [("a b c d", "does not hold 250"), (line(1, 3, (0, 0, 1000)), "unknown locomotion 3")]
)
def test_other_content_is_refused_with_the_files_name(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=rf"S1-ADL1\.dat .*{reason}.*; download it again"):
        read(tmp_path, [text])


def test_windows_by_label(tmp_path: Path) -> None:
    opportunity.write(tmp_path / "raw")
    reports = prepare(Opportunity(tmp_path / "raw"), tmp_path / "data")
    assert [report.participant for report in reports] == [1, 2, 3, 4]
    assert (reports[3].windows, reports[3].error) == (0, None)
    dataset = open_dataset(tmp_path / "data")
    assert dataset.participants == [1, 2, 3]
    assert dataset.class_names == ("stand", "walk", "sit", "lie")
    of_first = np.unique_counts(dataset.labels[dataset.pid == 1])
    # 12 s each of standing, walking, nothing and lying, in windows every 5 s; and a drill of 12 s sitting
    assert dict(zip(of_first.values.tolist(), of_first.counts.tolist(), strict=True)) == {0: 2, 1: 2, 2: 1, 3: 1}
