"""CAPTURE-24: annotations by sample, labels by scheme, and files that are not what they should be."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.shards import open_shards
from sslwear.data.sources.base import Options, Recording
from sslwear.data.sources.capture24 import Capture24
from sslwear.errors import DataError
from tests.samples import capture24
from tests.samples.capture24 import BICYCLE, OFFICE, SLEEP, WALK, day, write_participant


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "annotation-label-dictionary.csv").write_text(capture24.DICTIONARY)
    return folder


def read(raw: Path, table: pd.DataFrame) -> Recording:
    write_participant(raw / "P001.csv.gz", table)
    (recording,) = Capture24(raw).recordings("P001")
    return recording


def test_a_file_is_read_as_it_stands(raw: Path) -> None:
    table = day([SLEEP, "", WALK], seconds=2)
    recording = read(raw, table)
    assert_allclose(recording.samples, table[["x", "y", "z"]], atol=1e-6)
    assert recording.samples.dtype == np.float32
    assert recording.start == np.datetime64("2016-11-13T02:18:00")
    assert recording.time is not None
    assert_allclose(recording.time, np.arange(600) / 100)
    assert isinstance(recording.label, pd.Categorical)
    noted = ["" if pd.isna(name) else name for name in recording.label]
    assert noted == table["annotation"].tolist()
    assert list(recording.label.categories) == sorted([SLEEP, WALK])


def test_a_file_that_is_not_compressed_is_read_too(raw: Path) -> None:
    day([SLEEP], seconds=1).to_csv(raw / "P007.csv", index=False)
    assert Capture24(raw).participants() == ["P007"]
    assert len(next(iter(Capture24(raw).recordings("P007"))).samples) == 100


@pytest.mark.parametrize(
    ("scheme", "names", "found"),
    [
        (None, ("light", "moderate-vigorous", "sedentary", "sleep"), ["sleep", "sedentary", "light"]),
        ("Willetts2018", ("bicycling", "sitting", "sleep", "walking"), ["sleep", "sitting", "walking"]),
        ("Nobody2030", ("day", "night"), ["night", "day", "day"]),
    ],
)
def test_labels_are_the_schemes(
    raw: Path, tmp_path: Path, scheme: str | None, names: tuple[str, ...], found: list[str]
) -> None:
    write_participant(raw / "P001.csv.gz", day([SLEEP, OFFICE, WALK], seconds=30))
    source = Capture24(raw, Options(label_scheme=scheme))
    assert source.class_names == names
    prepare(source, tmp_path / "data")
    dataset = open_dataset(tmp_path / "data")
    assert [dataset.class_names[label] for label in dataset.labels] == found
    assert dataset.windows.shape == (3, 900, 3)
    assert dataset.start.tolist() == (dataset.start[0] + np.arange(3) * np.timedelta64(30, "s")).tolist()


def test_a_windows_label_is_its_most_frequent_annotations(raw: Path, tmp_path: Path) -> None:
    table = day([SLEEP], seconds=30)
    table.loc[0:1199, "annotation"] = OFFICE  # 12 s; of the label "day" together with WALK there are 18 s
    table.loc[1200:1799, "annotation"] = WALK
    table.loc[1800:, "annotation"] = SLEEP
    write_participant(raw / "P001.csv.gz", table)
    prepare(Capture24(raw, Options(label_scheme="Nobody2030")), tmp_path / "data")
    assert open_dataset(tmp_path / "data").class_names == ("day",)  # a draw of 12 s: the first by name


def test_windows_without_annotation_are_kept_for_pre_training_only(tmp_path: Path) -> None:
    capture24.write(tmp_path)
    labelled = prepare(Capture24(tmp_path), tmp_path / "labelled")
    assert [(report.participant, report.windows, report.unlabelled) for report in labelled] == [
        ("P001", 3, 0),
        ("P002", 2, 0),
        ("P003", 2, 1),
        ("P004", 0, 3),
    ]
    assert labelled[2].clipped == 1
    notes = [report.note for report in labelled]
    swapped = "0.02 s cut (no later time than the sample before, from 2016-11-13 02:18:19)"
    assert notes == ["", swapped, "the dictionary does not have the annotation 'not in the dictionary'", ""]
    unlabelled = prepare(Capture24(tmp_path), tmp_path / "all", WindowPlan(30, 30, unlabelled=True))
    assert [report.windows for report in unlabelled] == [3, 2, 3, 3]
    assert len(open_shards(tmp_path / "all")) == 11


def test_an_annotation_that_the_scheme_leaves_out_gives_no_label(raw: Path) -> None:
    source = Capture24(raw, Options(label_scheme="Nobody2030"))
    assert source.label_of(BICYCLE) is None
    assert source.label_of(SLEEP) == "night"
    assert source.label_of("unheard of") is None


def test_an_unknown_scheme_is_answered_with_those_there_are(raw: Path) -> None:
    with pytest.raises(DataError, match="no label scheme 'X'; choose one of Walmsley2020, Willetts2018, Nobody2030"):
        Capture24(raw, Options(label_scheme="X"))


@pytest.mark.parametrize("content", ["", "note,label:Walmsley2020\na,sleep\n", "annotation,Walmsley2020\na,sleep\n"])
def test_a_dictionary_without_its_columns_is_named(raw: Path, content: str) -> None:
    (raw / "annotation-label-dictionary.csv").write_text(content)
    with pytest.raises(
        DataError, match=r"annotation-label-dictionary\.csv does not hold the columns annotation, label:"
    ):
        Capture24(raw, Options(label_scheme="Walmsley2020"))


@pytest.mark.parametrize("twin", ["P001.csv", "copy/P001.csv.gz"])
def test_a_file_that_is_there_twice_counts_once(raw: Path, tmp_path: Path, twin: str) -> None:
    write_participant(raw / "P001.csv.gz", day([SLEEP, WALK], seconds=30))
    packed = (raw / "P001.csv.gz").read_bytes()
    (raw / twin).parent.mkdir(exist_ok=True)
    (raw / twin).write_bytes(packed if twin.endswith(".gz") else gzip.decompress(packed))
    assert Capture24(raw).participants() == ["P001"]
    (report,) = prepare(Capture24(raw), tmp_path / "data")
    assert report.windows == 2


@pytest.mark.parametrize("missing", [slice(0, 0), slice(1500, 1510)])
def test_samples_without_a_time_are_left_out(raw: Path, tmp_path: Path, missing: slice) -> None:
    table = day([SLEEP, WALK], seconds=31)
    table.loc[missing, "time"] = pd.NaT
    recording = read(raw, table)
    first = table["time"].first_valid_index()
    assert recording.start == table["time"][first].to_datetime64()
    assert recording.time is not None
    assert_allclose(recording.time, (table["time"] - table["time"][first]).dt.total_seconds())
    prepare(Capture24(raw), tmp_path / "data")
    dataset = open_dataset(tmp_path / "data")
    assert dataset.start.tolist() == (recording.start + np.arange(2) * np.timedelta64(30, "s")).tolist()


def test_a_file_without_any_time_gives_no_recording(raw: Path) -> None:
    write_participant(raw / "P001.csv.gz", day([SLEEP], seconds=1).assign(time=pd.NaT))
    assert list(Capture24(raw).recordings("P001")) == []


def test_a_missing_dictionary_is_named(tmp_path: Path) -> None:
    write_participant(tmp_path / "P001.csv.gz", day([SLEEP], seconds=1))
    with pytest.raises(DataError, match=r"has no annotation-label-dictionary\.csv"):
        prepare(Capture24(tmp_path), tmp_path / "data")


@pytest.mark.parametrize(
    "kind", ["empty", "truncated", "no gzip", "other columns", "text for numbers", "only a header"]
)
def test_damaged_files_are_named_and_the_others_are_used(raw: Path, tmp_path: Path, kind: str) -> None:
    table = day([SLEEP, WALK], seconds=30)
    write_participant(raw / "P001.csv.gz", table)
    whole = (raw / "P001.csv.gz").read_bytes()
    header = "time,x,y,z,annotation\n"
    content = {
        "empty": gzip.compress(b""),
        "truncated": whole[: len(whole) // 2],
        "no gzip": b"<html>",
        "other columns": gzip.compress(b"a,b\n1,2\n"),
        "text for numbers": gzip.compress(f"{header}2016-11-13 02:18:00,a,b,c,\n".encode()),
        "only a header": gzip.compress(header.encode()),
    }[kind]
    (raw / "P002.csv.gz").write_bytes(content)
    first, second = prepare(Capture24(raw), tmp_path / "data")
    assert (first.windows, first.error) == (2, None)
    assert second.windows == 0
    if kind == "only a header":
        assert second.error is None
    else:
        assert "P002.csv.gz" in (second.error or "")
        assert "download it again" in (second.error or "")
