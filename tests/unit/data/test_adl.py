"""ADL: coded values, names of files, and the published archive."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.adl import Adl
from sslwear.data.sources.base import Options
from sslwear.errors import DataError

NAME = "HMP_Dataset/Walk/Accelerometer-2011-03-24-10-24-39-walk-f1.txt"


def source(folder: Path, text: str, name: str = NAME) -> Adl:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Adl(folder)


def test_coded_values_are_from_minus_one_and_a_half_to_one_and_a_half_g(tmp_path: Path) -> None:
    (recording,) = source(tmp_path, "0 63 21\n42 0 63\n").recordings("f1")
    assert_allclose(recording.samples, [[-1.5, 1.5, -0.5], [0.5, -1.5, 1.5]], atol=1e-6)
    assert (recording.rate_hz, recording.label, recording.time) == (32, "walk", None)
    assert recording.start == np.datetime64("2011-03-24T10:24:39")


def test_trials_are_in_order_of_time(tmp_path: Path) -> None:
    for hour in ("17", "09", "12"):
        adl = source(tmp_path, "1 2 3\n", NAME.replace("24-10-24", f"24-{hour}-24"))
    assert [str(recording.start)[11:13] for recording in adl.recordings("f1")] == ["09", "12", "17"]


@pytest.mark.parametrize("text", ["1 2\n", "1 2 x\n", "1 2 64\n", "1 -1 3\n", "<html>"])
def test_other_content_is_refused_with_the_files_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"walk-f1\.txt (does not hold three numbers|has values outside of 0 to 63)"):
        list(source(tmp_path, text).recordings("f1"))


def test_an_impossible_date_is_refused_with_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2011-02-31-10-24-39-walk-f1\.txt has an impossible date in its name"):
        list(source(tmp_path, "1 2 3\n", NAME.replace("03-24", "02-31")).recordings("f1"))


def test_the_published_archive_gives_the_benchmarks_windows(shared_recordings: Path, tmp_path: Path) -> None:
    prepare(Adl(shared_recordings / "adl_hmp_dataset.zip"), tmp_path / "out", jobs=2)
    dataset = open_dataset(tmp_path / "out")
    assert dataset.windows.shape == (618, 300, 3)
    assert Counter(dataset.class_names[label] for label in dataset.labels) == {
        "walk": 279,
        "drink_glass": 105,
        "getup_bed": 92,
        "pour_water": 76,
        "climb_stairs": 66,
    }
    assert Counter(dataset.pid.tolist()) == {"f1": 270, "m1": 106, "m3": 56, "f2": 55, "m2": 51, "m4": 44, "f3": 36}


def test_the_published_archive_gives_all_activities_when_asked(shared_recordings: Path, tmp_path: Path) -> None:
    everything = Adl(shared_recordings / "adl_hmp_dataset.zip", Options(all_activities=True))
    prepare(everything, tmp_path / "out", jobs=2)
    dataset = open_dataset(tmp_path / "out")
    assert len(dataset) == 1574
    assert len(dataset.class_names) == 14
    assert len(dataset.participants) == 16
