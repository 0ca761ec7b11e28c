"""WISDM's two line formats, its letters and its clock."""

import itertools
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from numpy.testing import assert_allclose

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.wisdm import ACTIVITIES, Wisdm
from sslwear.errors import DataError
from tests.samples import wisdm

LINES = "1600,A,1000000000,0.0,0.0,9.80665;\n1600,A,1050000000,9.80665,0.0,0.0;\n1600,B,1100000000,0,-19.6133,0;\n"


def source(folder: Path, text: str) -> Wisdm:
    (folder / "data_1600_accel_watch.txt").write_text(text)
    return Wisdm(folder)


def test_acceleration_is_in_g_and_time_in_seconds(tmp_path: Path) -> None:
    walking, jogging = source(tmp_path, LINES).recordings(1600)
    assert (walking.label, jogging.label) == ("walking", "jogging")
    assert_allclose(walking.samples, [[0, 0, 1], [1, 0, 0]])
    assert_allclose(jogging.samples, [[0, -2, 0]])
    assert walking.time is not None
    assert_allclose(walking.time, [0, 0.05])


def test_lines_without_a_clock_are_evenly_spaced(tmp_path: Path) -> None:
    (walking,) = source(tmp_path, "1600,A,0,0,9.8;\n1600,A,0,0,9.8;\n").recordings(1600)
    assert (walking.time, walking.rate_hz, len(walking.samples)) == (None, 20, 2)


def test_an_activity_that_comes_twice_is_two_recordings(tmp_path: Path) -> None:
    text = LINES + LINES.replace(",B,", ",C,")
    assert [recording.label for recording in source(tmp_path, text).recordings(1600)] == [
        *("walking", "jogging"),
        *("walking", "stairs"),
    ]


def test_there_are_18_activities_and_no_n() -> None:
    assert "".join(ACTIVITIES) == "ABCDEFGHIJKLMOPQRS"
    assert ACTIVITIES["M"] == "kicking"
    assert ACTIVITIES["S"] == "folding clothes"


@pytest.mark.parametrize("end", ["1600,B,1150000000,0,-1,9.", "1600,B,11000", "1600", "1600,B,1100000000,0.0,-1", ""])
def test_a_last_line_cut_short_is_left_out(tmp_path: Path, end: str) -> None:
    found = list(source(tmp_path, LINES + end).recordings(1600))
    assert [len(recording.samples) for recording in found] == [2, 1]


def test_an_empty_file_has_no_recording(tmp_path: Path) -> None:
    assert list(source(tmp_path, "").recordings(1600)) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1600,A,soon,0,0,1;\n1600,A,1,0,0,1;\n", "does not hold lines"),
        ("1600,A,1,0,0,1;\n1600,A,,0,0,1;\n", "does not hold lines"),
        ("1600,A,1,0,0,1;\n1600,A,2,0,\0\0,1;\n", "does not hold lines"),
        ("1600,A,0,0,1;\n1600,A,2,0,0,1;\n", "does not hold lines"),
        ("1600,N,1,0,0,1;\n", "the unknown activity 'N'"),
        ("1600,A,1,x,0,1;\n1600,A,1,0,0,1;\n", "does not hold lines"),
        ("<html>\n<body>\n", "does not hold lines|unknown activity"),
    ],
)
def test_other_content_is_refused_with_the_files_name(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=rf"data_1600_accel_watch\.txt .*({reason}).*; download it again"):
        list(source(tmp_path, text).recordings(1600))


def test_only_the_watchs_accelerometer_is_read(tmp_path: Path) -> None:
    wisdm.write(tmp_path)
    assert Wisdm(tmp_path).participants() == [1600, 1601, 1602, 1609]
    prepare(Wisdm(tmp_path), tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.class_names == ("walking", "sitting", "kicking")
    # 17 s an activity are two windows of 10 s every 5 s
    assert Counter(dataset.pid.tolist()) == {1600: 6, 1601: 6, 1602: 6, 1609: 6}


def test_the_real_recordings(shared_recordings: Path, tmp_path: Path) -> None:
    prepare(Wisdm(shared_recordings / "wisdm_watch_accel_26_subjects.zip"), tmp_path / "out", jobs=2)
    dataset = open_dataset(tmp_path / "out")
    assert dataset.participants == [*range(1600, 1626)]
    assert dataset.class_names == ("walking", "jogging", "stairs", "sitting", "standing", "kicking")
    expected: Counter[str] = Counter()
    with zipfile.ZipFile(shared_recordings / "wisdm_watch_accel_26_subjects.zip") as archive:
        for name in archive.namelist():
            letters = [line.split(b",")[1].decode() for line in archive.read(name).splitlines() if b"," in line]
            for letter, samples in itertools.groupby(letters):  # 10 s are 200 samples, 5 s are 100
                expected[ACTIVITIES[letter]] += max(0, (len(list(samples)) - 200) // 100 + 1)
    assert Counter(dataset.class_names[label] for label in dataset.labels) == expected
