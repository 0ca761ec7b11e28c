"""RealWorld: zip files within zip files or unpacked, the forearm only, and the clock."""

import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.realworld import RealWorld
from sslwear.errors import DataError
from tests.samples import realworld

HEADER = "id,attr_time,attr_x,attr_y,attr_z\n"


def unpacked(folder: Path, text: str, name: str = "acc_walking_csv/acc_walking_forearm.csv") -> RealWorld:
    path = folder / "proband3" / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return RealWorld(folder)


def test_acceleration_is_in_g_and_time_in_seconds(tmp_path: Path) -> None:
    text = HEADER + "1,1435993119000,0,0,9.80665\n2,1435993119021,-19.6133,0,0\n"
    (recording,) = unpacked(tmp_path, text).recordings(3)
    assert_allclose(recording.samples, [[0, 0, 1], [-2, 0, 0]])
    assert recording.time is not None
    assert_allclose(recording.time, [0, 0.021])
    assert recording.start == np.datetime64("2015-07-04T06:58:39")
    assert (recording.label, recording.participant) == ("walking", 3)


@pytest.mark.parametrize("end", ["3,14359", "3,1435993119040,0.1", "3,"])
def test_a_last_line_cut_short_is_left_out(tmp_path: Path, end: str) -> None:
    text = HEADER + "1,1435993119000,0,0,9.8\n2,1435993119021,0,0,9.8\n" + end
    (recording,) = unpacked(tmp_path, text).recordings(3)
    assert len(recording.samples) == 2


@pytest.mark.parametrize("text", ["", HEADER])
def test_an_empty_file_is_an_empty_recording(tmp_path: Path, text: str) -> None:
    (recording,) = unpacked(tmp_path, text).recordings(3)
    assert recording.samples.shape == (0, 3)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", HEADER + "1,now,0,0,9.8\n"])
def test_other_content_is_refused_with_the_files_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"acc_walking_forearm\.csv does not hold the columns id, .*; download"):
        list(unpacked(tmp_path, text).recordings(3))


def test_a_damaged_zip_file_within_is_named(tmp_path: Path) -> None:
    source = unpacked(tmp_path, "no zip", "acc_walking_csv.zip")
    with pytest.raises(DataError, match=r"acc_walking_csv\.zip is not a zip file; download it again"):
        list(source.recordings(3))


def test_parts_of_an_activity_are_all_read_and_other_positions_are_not(tmp_path: Path) -> None:
    realworld.write(tmp_path)
    source = RealWorld(tmp_path)
    assert source.participants() == [1, 2, 10]
    found = Counter(recording.label for recording in source.recordings(1))
    assert found == {"climbingup": 2, "sitting": 1, "walking": 1}


def test_packed_unpacked_and_half_unpacked_are_the_same(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    realworld.write(raw)
    archive = shutil.make_archive(str(tmp_path / "realworld2016_dataset"), "zip", raw)
    prepare(RealWorld(Path(archive)), tmp_path / "packed")
    for i, path in enumerate(sorted(raw.rglob("acc_*_csv.zip"))):
        with zipfile.ZipFile(path) as inner:
            inner.extractall(path.with_suffix(""))
        if i % 2:
            path.unlink()  # some people keep the zip file beside its folder
    prepare(RealWorld(raw), tmp_path / "unpacked")
    packed, other = open_dataset(tmp_path / "packed"), open_dataset(tmp_path / "unpacked")
    assert packed.fingerprint == other.fingerprint
    assert packed.class_names == ("climbingup", "sitting", "walking")


def test_zip_files_of_parts_beside_the_one_that_they_are_from_count_once(tmp_path: Path) -> None:
    folder = tmp_path / "proband4" / "data"
    parts = {
        f"acc_walking_{part}_csv.zip": realworld.packed({f"acc_walking_{part}_forearm.csv": realworld.table(part)})
        for part in (3, 4)
    }
    (folder / "acc_walking_csv").mkdir(parents=True)
    with zipfile.ZipFile(folder / "acc_walking_csv.zip", "w") as outer:
        for name, content in parts.items():
            outer.writestr(name, content)
            (folder / "acc_walking_csv" / name).write_bytes(content)
    assert len(list(RealWorld(tmp_path).recordings(4))) == 2


def test_a_downloaded_archive_of_an_archive_a_proband_is_read_in_its_folder(tmp_path: Path) -> None:
    raw, downloads = tmp_path / "raw", tmp_path / "downloads"
    realworld.write(raw)
    downloads.mkdir()
    with zipfile.ZipFile(downloads / "realworld2016_dataset.zip", "w") as published:
        for proband in raw.iterdir():
            path = shutil.make_archive(str(tmp_path / proband.name), "zip", proband)
            published.write(path, f"realworld2016_dataset/{proband.name}.zip")
    prepare(RealWorld(raw), tmp_path / "folder")
    prepare(RealWorld(downloads), tmp_path / "nested")
    assert open_dataset(tmp_path / "nested").fingerprint == open_dataset(tmp_path / "folder").fingerprint
