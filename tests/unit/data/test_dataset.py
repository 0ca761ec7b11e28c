"""The data set directory: written whole or not at all, opened memory-mapped, refused where a value is wrong."""

import contextlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import uniform_filter1d

from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.errors import DataError

ARRAYS = ("X", "Y", "pid", "T")
RATE_HZ = 30
Arrays = dict[str, np.ndarray]
Change = Callable[[Arrays], Any]


@pytest.fixture(scope="session")
def whole(small: Dataset) -> Arrays:
    """Twelve real windows: four each of three participants, of which one is the first class only."""
    rows = np.concatenate([np.flatnonzero(small.pid == pid)[::step][:4] for pid, step in ((1, 1), (2, 7), (5, 7))])
    return {
        "X": np.array(small.windows[rows]),
        "Y": np.array(small.class_names)[small.labels[rows]],
        "pid": small.pid[rows],
        "T": small.start[rows],
    }


def save(folder: Path, arrays: Arrays, description: dict[str, Any] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    if description is not None:
        (folder / "dataset.json").write_text(json.dumps({"name": "walks"} | description))
    return folder


def write(folder: Path, arrays: Arrays, **description: Any) -> Path:
    write_dataset(
        folder, arrays["X"], arrays["Y"], arrays["pid"], arrays["T"], Description(name="walks", **description)
    )
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def content(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def put(array: np.ndarray, index: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


def test_what_is_written_is_opened(tmp_path: Path, whole: Arrays) -> None:
    facts = {
        "rate_hz": 30.0,
        "window_s": 5.0,
        "step_s": 5.0,
        "class_names": ("upright row", "pendulum", "abduction"),
        "source": "somewhere",
        "licence": "CC0-1.0",
        "citation": "Somebody",
    }
    dataset = open_dataset(write(tmp_path / "new" / "data", whole, **facts))
    assert dataset.folder == tmp_path / "new" / "data"
    assert_array_equal(dataset.windows, whole["X"])
    assert_array_equal(np.array(dataset.class_names)[dataset.labels], whole["Y"])
    assert_array_equal(dataset.pid, whole["pid"])
    assert_array_equal(dataset.start, whole["T"])
    assert dataset.class_names == facts["class_names"]
    assert dataset.description == Description(name="walks", fingerprint=dataset.fingerprint, **facts)
    assert dataset.participants == [1, 2, 5]
    assert len(dataset) == 12


def test_windows_are_memory_mapped_and_read_only(tmp_path: Path, whole: Arrays) -> None:
    dataset = open_dataset(write(tmp_path / "data", whole))
    assert isinstance(dataset.windows, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        dataset.windows[0] = 0


def test_the_four_arrays_alone_are_a_data_set(tmp_path: Path, whole: Arrays) -> None:
    dataset = open_dataset(save(tmp_path / "mine", whole))
    assert dataset.description == Description(name="mine")
    assert dataset.class_names == ("abduction", "pendulum", "upright row")
    assert dataset.fingerprint == open_dataset(write(tmp_path / "described", whole)).fingerprint


@pytest.mark.parametrize("description", [None, {}, {"rate_hz": 30, "written_by": "somebody else"}])
def test_a_description_need_not_say_everything(
    tmp_path: Path, whole: Arrays, description: dict[str, Any] | None
) -> None:
    assert len(open_dataset(save(tmp_path / "data", whole, description))) == 12


@pytest.mark.parametrize(
    ("labels", "class_names", "indices", "names"),
    [
        (["b", "a", "c"], None, [1, 0, 2], ("a", "b", "c")),
        (["b", "a", "c"], ["c", "b", "a", "never"], [1, 2, 0], ("c", "b", "a", "never")),
        ([b"b", b"a", b"c"], None, [1, 0, 2], ("a", "b", "c")),
        ([7, -5, 10], None, [1, 0, 2], ("-5", "7", "10")),
        (np.array([1, 0, 2], np.uint8), ["c", "b", "a"], [1, 0, 2], ("c", "b", "a")),
        ([0, 0, 2], ["c", "b", "a"], [0, 0, 2], ("c", "b", "a")),
    ],
)
def test_labels_are_strings_or_integers(
    tmp_path: Path,
    whole: Arrays,
    labels: Any,
    class_names: list[str] | None,
    indices: list[int],
    names: tuple[str, ...],
) -> None:
    description = None if class_names is None else {"class_names": class_names}
    dataset = open_dataset(save(tmp_path / "data", whole | {"Y": np.tile(labels, 4)}, description))
    assert dataset.labels.dtype == np.int64
    assert_array_equal(dataset.labels, np.tile(indices, 4))
    assert dataset.class_names == names


@pytest.mark.parametrize(
    ("pid", "participants"),
    [
        ([10, 9, 10], [9, 10]),
        (["m2", "f1", "m2"], ["f1", "m2"]),
        ([b"m2", b"f1", b"m2"], ["f1", "m2"]),
        ([2.0, 1.0, 2.0], [1.0, 2.0]),
    ],
)
def test_participants_are_sorted_and_plain(
    tmp_path: Path, whole: Arrays, pid: list[Any], participants: list[Any]
) -> None:
    dataset = open_dataset(save(tmp_path / "data", whole | {"pid": np.tile(pid, 4)}))
    assert dataset.participants == participants
    assert {type(one) for one in dataset.participants} == {type(one) for one in participants}


@pytest.mark.parametrize("start", [np.arange(12), np.arange(12.0), np.array(["2024-01-01"] * 12, "M8[s]")])
def test_starts_are_times_or_seconds(tmp_path: Path, whole: Arrays, start: np.ndarray) -> None:
    assert_array_equal(open_dataset(save(tmp_path / "data", whole | {"T": start})).start, start)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.float16),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(">f4"),
        lambda x: np.asfortranarray(x),
    ],
    ids=["float16", "float64", "big-endian", "fortran"],
)
def test_gather_gives_float32_whatever_the_file_holds(
    tmp_path: Path, whole: Arrays, convert: Callable[[np.ndarray], np.ndarray]
) -> None:
    windows = convert(whole["X"])
    batch = open_dataset(write(tmp_path / "data", whole | {"X": windows})).gather(np.array([5, 0, 5]), 150)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous()
    assert batch.shape == (3, 3, 150)
    assert_array_equal(batch.numpy(), windows[[5, 0, 5]].transpose(0, 2, 1).astype(np.float32))


@given(samples=st.integers(2, 400), rows=st.lists(st.integers(0, 11), min_size=1, max_size=5))
def test_gather_resamples_linearly_from_the_first_to_the_last_sample(
    small: Dataset, samples: int, rows: list[int]
) -> None:
    batch = small.gather(np.array(rows), samples)
    length = small.windows.shape[1]
    then = np.linspace(0, length - 1, samples)
    expected = [[np.interp(then, np.arange(length), axis) for axis in small.windows[row].T] for row in rows]
    assert batch.dtype == torch.float32
    assert_allclose(batch.numpy(), expected, atol=1e-4)


def test_changing_a_batch_does_not_change_the_data_set(small: Dataset) -> None:
    rows = np.array([0, 1])
    before = small.gather(rows, 150)
    small.gather(rows, 150).zero_()
    assert torch.equal(small.gather(rows, 150), before)


@pytest.mark.parametrize("name", ARRAYS)
def test_fingerprint_depends_on_every_array(tmp_path: Path, whole: Arrays, name: str) -> None:
    changed = whole | {name: whole[name][::-1]}
    one = open_dataset(write(tmp_path / "one", whole)).fingerprint
    assert open_dataset(write(tmp_path / "two", changed)).fingerprint != one


def test_fingerprint_does_not_depend_on_the_description(tmp_path: Path, whole: Arrays) -> None:
    one = open_dataset(write(tmp_path / "one", whole, licence="CC0-1.0")).fingerprint
    assert open_dataset(write(tmp_path / "two", whole, licence="CC-BY-4.0")).fingerprint == one


@pytest.mark.parametrize(
    ("name", "change", "substance"),
    [
        pytest.param("Y", lambda a: a["Y"][:-1], ["has shape (11,)", "X.npy has 12 windows"], id="labels too few"),
        pytest.param("pid", lambda a: a["pid"][:, None], ["has shape (12, 1)", "one entry for"], id="pid 2-d"),
        pytest.param("T", lambda a: np.arange(13), ["has shape (13,)", "one entry for"], id="starts too many"),
        pytest.param("Y", lambda a: np.array("walk"), ["has shape ()", "one entry for"], id="one label for all"),
        pytest.param("X", lambda a: put(a["X"], (7, 3, 1), np.nan), ["first in window 7", "drop such"], id="NaN"),
        pytest.param("X", lambda a: put(a["X"], (11, 0, 0), np.inf), ["first in window 11", "drop"], id="infinite"),
        pytest.param("X", lambda a: put(a["X"], (0, 0, 2), -np.inf), ["first in window 0"], id="minus infinite"),
        pytest.param(
            "X",
            lambda a: a["X"].transpose(0, 2, 1),
            ["has shape (12, 3, 150)", "(windows, samples, 3)", "move the axes last, X.transpose(0, 2, 1)"],
            id="channels first",
        ),
        pytest.param("X", lambda a: a["X"][:, :, :2], ["has shape (12, 150, 2)", "the axes x, y, z"], id="two axes"),
        pytest.param("X", lambda a: a["X"][0], ["has shape (150, 3)", "(windows, samples, 3)"], id="one window"),
        pytest.param("X", lambda a: a["X"][:, :1], ["has shape (12, 1, 3)", "there must be a window"], id="one sample"),
        pytest.param("X", lambda a: put(a["X"], (5, 3, 1), 1e5), ["more than 1000", "first in window 5"], id="marker"),
        pytest.param("X", lambda a: put(a["X"].astype("f8"), (5, 3, 1), 1e300), ["more than 1000"], id="not float32"),
        pytest.param(
            "X",
            lambda a: np.where((a["pid"] == a["pid"][0])[:, None, None], 9.80665, 1) * a["X"],
            ["acceleration of participant ", "m/s^2: divide by 9.80665"],
            id="one participant in metres per second squared",
        ),
        pytest.param("X", lambda a: a["X"] * 9.80665, ["m/s^2: divide by 9.80665"], id="metres per second squared"),
        pytest.param("X", lambda a: a["X"] * 8192, ["raw counts: convert them with the device's scale"], id="counts"),
        pytest.param("X", lambda a: (a["X"] * 8192).astype(np.int16), ["int16", "raw counts", "g"], id="integers"),
        pytest.param(
            "X",
            lambda a: a["X"] - uniform_filter1d(a["X"], RATE_HZ, axis=1),
            ["acceleration without gravity", "give acceleration with gravity, in g"],
            id="no gravity",
        ),
        pytest.param("X", lambda a: np.zeros_like(a["X"]), ["resting length", "is 0 instead of about 1"], id="silence"),
        pytest.param(
            "X",
            lambda a: a["X"].astype(object),
            ["Python objects", "drop the windows with a missing value"],
            id="object windows",
        ),
        pytest.param(
            "Y",
            lambda a: a["Y"].astype(object),
            ["Python objects", "drop the windows with a missing value"],
            id="object labels",
        ),
        pytest.param(
            "pid",
            lambda a: a["pid"].astype(object),
            ["Python objects", "drop the windows with a missing value"],
            id="object pid",
        ),
        pytest.param("T", lambda a: a["T"].astype(object), ["Python objects", "datetime64"], id="object starts"),
        pytest.param("Y", lambda a: np.zeros(12), ["float64 labels", "strings or integers"], id="float labels"),
        pytest.param("Y", lambda a: np.zeros(12, bool), ["bool labels", "strings or integers"], id="boolean labels"),
        pytest.param(
            "Y", lambda a: put(a["Y"], 4, ""), ["no label for 1 windows", "window 4", "drop these"], id="empty label"
        ),
        pytest.param("Y", lambda a: put(a["Y"], 5, "  "), ["no label", "first '  ' for window 5"], id="blank label"),
        pytest.param("Y", lambda a: put(a["Y"], [5, 7], "NA"), ["no label for 2 windows", "'NA'"], id="label NA"),
        pytest.param(
            "Y", lambda a: put(np.zeros(12), 5, np.nan), ["no label for 1", "NaN for window 5"], id="label NaN"
        ),
        pytest.param(
            "Y",
            lambda a: put(np.arange(12), 5, np.iinfo(int).min),
            ["no label for 1", "NaN becomes"],
            id="NaN as integer",
        ),
        pytest.param("Y", lambda a: np.arange(12) - 1, ["no label for 1 windows", "-1, which pandas"], id="label -1"),
        *(
            pytest.param("Y", lambda a, text=text: put(a["Y"].astype("U9"), 5, text), [f"first {text!r}"], id=text)
            for text in ("-", "?", ".", "n.a.", "#VALUE!")
        ),
        pytest.param("pid", lambda a: put(a["pid"].astype("U4"), 6, "-"), ["1 windows", "window 6"], id="pid -"),
        pytest.param("Y", lambda a: put(a["Y"], 5, "None"), ["no label", "'None' for window 5"], id="label None"),
        pytest.param("Y", lambda a: put(a["Y"], 5, "null").astype("S"), ["no label", "'null'"], id="label null"),
        pytest.param("pid", lambda a: put(a["pid"].astype("U4"), 6, "NA"), ["1 windows", "window 6"], id="pid NA"),
        pytest.param("X", lambda a: put(a["X"], (a["pid"] == 2), 0.0), ["of participant 2 is 0"], id="one of zeros"),
        pytest.param(
            "X",
            lambda a: a["X"] / np.where(a["pid"] == 2, 9.80665, 1)[:, None, None],
            ["of participant 2"],
            id="tenths",
        ),
        pytest.param(
            "X",
            lambda a: a["X"] - np.where((a["pid"] == 2)[:, None, None], a["X"].mean(axis=1, keepdims=True), 0),
            ["of participant 2", "acceleration without gravity"],
            id="one participant without gravity",
        ),
        pytest.param("X", lambda a: a["X"] * 1000, ["looks like mg: divide by 1000"], id="mg"),
        pytest.param(
            "X",
            lambda a: put(a["X"], (7, slice(0, 30)), 0.0),
            ["0, 0, 0 in window 7", "worn.npy"],
            id="idle sleep mode",
        ),
        pytest.param(
            "pid", lambda a: put(a["pid"].astype("U4"), [3, 8], ""), ["2 windows", "window 3"], id="participant empty"
        ),
        pytest.param(
            "pid", lambda a: put(a["pid"].astype("U4"), 6, "nan"), ["1 windows", "window 6"], id="participant 'nan'"
        ),
        pytest.param(
            "pid", lambda a: put(a["pid"].astype("U4"), 6, "None"), ["1 windows", "window 6"], id="participant 'None'"
        ),
        pytest.param(
            "pid", lambda a: put(a["pid"].astype(float), 9, np.nan), ["1 windows", "window 9"], id="participant NaN"
        ),
        pytest.param("pid", lambda a: np.zeros(12, bool), ["bool participants", "strings"], id="boolean pid"),
        pytest.param(
            "T", lambda a: put(np.zeros(12, "M8[s]"), 2, "NaT"), ["no start time for window 2", "fill it in"], id="NaT"
        ),
        pytest.param("T", lambda a: put(a["T"], 2, np.nan), ["no start time for window 2", "drop"], id="NaN start"),
        pytest.param("T", lambda a: put(a["T"], 3, np.inf), ["no start time for window 3"], id="infinite start"),
        pytest.param("T", lambda a: put(a["T"].astype("U9"), 4, "NaT"), ["no start time for window 4"], id="'NaT'"),
        pytest.param("T", lambda a: np.zeros(12, bool), ["bool start times", "datetime64 or as seconds"], id="times"),
    ],
)
def test_wrong_values_are_refused_with_the_file_and_the_mend(
    tmp_path: Path, whole: Arrays, name: str, change: Change, substance: list[str]
) -> None:
    folder = save(tmp_path / "data", whole | {name: change(whole)})
    message = refusal(folder)
    assert message.startswith(str(folder / f"{name}.npy"))
    for words in substance:
        assert words in message


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_no_windows_are_refused(tmp_path: Path, whole: Arrays, kind: type) -> None:
    empty = {name: array[:0] for name, array in whole.items()}
    folder = save(tmp_path / "data", empty | {"X": np.empty((0, 9, 3), kind)})
    assert "X.npy has shape (0, 9, 3)" in refusal(folder)


@pytest.mark.parametrize("name", ARRAYS)
def test_missing_file_is_named(tmp_path: Path, whole: Arrays, name: str) -> None:
    folder = save(tmp_path / "data", whole)
    (folder / f"{name}.npy").unlink()
    expected = f"{folder / f'{name}.npy'} is missing; a data set directory has X.npy, Y.npy, pid.npy and T.npy"
    advice = ". Windows without labels can be used for pre-training, as sslwear data import writes them"
    assert refusal(folder) == expected + (advice if name == "Y" else "")


@pytest.mark.parametrize("kind", ["absent", "file"])
def test_what_is_no_directory_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "data").write_text("")
    assert refusal(tmp_path / "data").startswith(f"there is no directory {tmp_path / 'data'}; give one that has X.npy")


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("left", [0, 5, 40, -1])
def test_truncated_file_is_refused(tmp_path: Path, whole: Arrays, name: str, left: int) -> None:
    folder = save(tmp_path / "data", whole)
    (folder / f"{name}.npy").write_bytes(content(whole[name])[:left])
    message = refusal(folder)
    assert message.startswith(f"{folder / f'{name}.npy'} ")
    assert "save it again" in message


def archive(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, arrays["Y"])
    return file.getvalue()


@pytest.mark.parametrize(
    "damaged",
    [archive, lambda arrays: archive(arrays)[:50], lambda arrays: b"\x93NUMPY\x01\x00\x0a\x00{abc:     \n"],
    ids=["archive", "truncated archive", "header"],
)
@pytest.mark.parametrize("name", ["X", "Y"])
def test_file_of_another_format_is_refused(
    tmp_path: Path, whole: Arrays, name: str, damaged: Callable[[Arrays], bytes]
) -> None:
    folder = save(tmp_path / "data", whole)
    (folder / f"{name}.npy").write_bytes(damaged(whole))
    message = refusal(folder)
    assert str(folder / f"{name}.npy") in message
    assert "numpy.save" in message


@pytest.mark.parametrize("name", ["Y", "pid"])
def test_byte_strings_that_are_no_ascii_are_read_or_refused(tmp_path: Path, whole: Arrays, name: str) -> None:
    folder = save(tmp_path / "data", whole | {name: np.array(["Öl".encode(), b"a", b"b"] * 4)})
    with contextlib.suppress(DataError):
        dataset = open_dataset(folder)
        assert "Öl" in {*dataset.class_names, *dataset.participants}


def test_label_that_was_missing_before_it_became_a_string_is_refused(tmp_path: Path, whole: Arrays) -> None:
    labels = put(whole["Y"].astype(object), 4, np.nan).astype(str)
    assert "window 4" in refusal(save(tmp_path / "data", whole | {"Y": labels}))


@pytest.mark.parametrize(
    ("labels", "class_names", "substance"),
    [
        ([0, 1, 2], ["a", "b"], ["labels from 0 to 2", "names 2 classes", "they must be 0 to 1"]),
        ([-1, 0, 1], ["a", "b"], ["labels from -1 to 1", "names 2 classes", "they must be 0 to 1"]),
        (["a", "b", "z"], ["a", "b"], ["the label 'z'", "not among dataset.json's class_names"]),
    ],
)
def test_labels_that_the_description_does_not_name_are_refused(
    tmp_path: Path, whole: Arrays, labels: list[Any], class_names: list[str], substance: list[str]
) -> None:
    folder = save(tmp_path / "data", whole | {"Y": np.tile(labels, 4)}, {"class_names": class_names})
    message = refusal(folder)
    assert message.startswith(str(folder / "Y.npy"))
    for words in substance:
        assert words in message


def test_class_names_given_twice_are_refused(tmp_path: Path, whole: Arrays) -> None:
    names = ["abduction", "pendulum", "upright row", "pendulum"]
    assert "pendulum" in refusal(save(tmp_path / "data", whole, {"class_names": names}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"[]", "object"),
        (b"\xff\xfe", "it is not text"),
        (b'{"name": "walks", "rate_hz": "fast"}', "number"),
        (b'{"rate_hz": 30}', "Field required"),
    ],
)
def test_description_that_cannot_be_read_is_refused(tmp_path: Path, whole: Arrays, text: bytes, reason: str) -> None:
    folder = save(tmp_path / "data", whole)
    (folder / "dataset.json").write_bytes(text)
    message = refusal(folder)
    assert message.startswith(f"{folder / 'dataset.json'} does not describe a data set (")
    assert reason in message
    assert "prepare the data set again" in message


@pytest.mark.parametrize(
    ("description", "key"), [({"rate_hz": 30}, "name"), ({"name": "walks", "rate_hz": "fast"}, "rate_hz")]
)
def test_wrong_key_of_a_description_is_named(
    tmp_path: Path, whole: Arrays, description: dict[str, Any], key: str
) -> None:
    folder = save(tmp_path / "data", whole)
    (folder / "dataset.json").write_text(json.dumps(description))
    assert key in refusal(folder).removeprefix(str(folder))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("X", lambda a: put(a["X"], (3, 4, 0), 0.123)),
        ("Y", lambda a: a["Y"][::-1]),
        ("pid", lambda a: put(a["pid"], 0, 2)),
        ("T", lambda a: a["T"] + 1),
        ("X", lambda a: a["X"].astype(np.float64)),
    ],
)
def test_arrays_changed_after_they_were_written_are_refused(
    tmp_path: Path, whole: Arrays, name: str, change: Change
) -> None:
    folder = write(tmp_path / "data", whole)
    np.save(folder / f"{name}.npy", change(whole))
    message = refusal(folder)
    assert message.startswith(f"{folder / 'dataset.json'}: its fingerprint is not that of the arrays beside it")
    assert "prepare the data set again, or delete the file if the change was intended" in message
    (folder / "dataset.json").unlink()
    assert len(open_dataset(folder)) == 12


def test_zeros_are_allowed_where_the_device_was_not_worn(tmp_path: Path, whole: Arrays) -> None:
    worn = {"worn": np.arange(12) != 7}
    assert len(open_dataset(save(tmp_path / "data", whole | worn | {"X": put(whole["X"], 7, 0.0)}))) == 12


def test_a_class_that_the_description_lists_is_not_a_missing_label(tmp_path: Path, whole: Arrays) -> None:
    labels = np.tile(["none", "walk"], 6)
    dataset = open_dataset(save(tmp_path / "data", whole | {"Y": labels}, {"class_names": ["walk", "none"]}))
    assert dataset.labels.tolist() == [1, 0] * 6


def test_minus_one_is_a_class_beside_one(tmp_path: Path, whole: Arrays) -> None:
    assert open_dataset(save(tmp_path / "data", whole | {"Y": np.tile([-1, 1], 6)})).class_names == ("-1", "1")


@pytest.mark.parametrize("other", ["Stu\u0308hle ", "St\xfchle", "st\xfchle"])
def test_classes_that_look_the_same_are_warned_of(tmp_path: Path, whole: Arrays, other: str) -> None:
    names = ["Stu\u0308hle", other, "sit"]
    first, *_ = open_dataset(save(tmp_path / "data", whole | {"Y": np.tile(names, 4)})).warnings
    assert f"{', '.join(map(repr, sorted(names[:2])))} are different classes" in first


@pytest.mark.parametrize(("rate_hz", "warned"), [(15, True), (30, False), (50, False)])  # at 50 Hz there are gaps
def test_a_length_that_start_times_contradict_is_warned_of(
    tmp_path: Path, whole: Arrays, rate_hz: int, warned: bool
) -> None:
    starts = {"pid": np.zeros(12, int), "T": np.arange(12) * 5.0}
    dataset = open_dataset(save(tmp_path / "data", whole | starts, {"rate_hz": rate_hz}))
    assert dataset.window_s == 150 / rate_hz
    assert any("has windows of 10 s, but they are of 5 s at 30 Hz" in text for text in dataset.warnings) is warned


def test_spellings_of_a_participant_are_one_participant(tmp_path: Path, whole: Arrays) -> None:
    pid = np.array(["01", "1 ", "1", "01", "S2_visit1", "S2_visit2"] * 2)
    dataset = open_dataset(save(tmp_path / "data", whole | {"pid": pid}))
    assert dataset.participants == ["01", "S2"]
    first, *_ = dataset.warnings
    assert "'01', '1', '1 ' are taken as one participant, and so on for 1 more" in first
    assert first in str(dataset.describe())


def test_participants_that_may_be_one_person_are_warned_of(tmp_path: Path, whole: Arrays) -> None:
    pid = np.repeat(["A_1", "A_2", "B_1"], 4)
    first, *_ = open_dataset(save(tmp_path / "data", whole | {"pid": pid})).warnings
    assert "A_1, A_2 may be recordings of one person" in first


def test_the_first_window_of_a_unit_that_is_not_g_does_not_decide(tmp_path: Path, whole: Arrays) -> None:
    assert len(open_dataset(save(tmp_path / "data", whole | {"X": put(whole["X"], slice(0, 1), 9.8)}))) == 12


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("failure", [OSError("No space left on device"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_failed_write_leaves_nothing(
    tmp_path: Path, whole: Arrays, monkeypatch: pytest.MonkeyPatch, name: str, failure: BaseException
) -> None:
    real = np.save
    saved = []

    def failing(path: Path, *args: Any, **kwargs: Any) -> None:
        if path.stem == name:
            raise failure
        real(path, *args, **kwargs)
        saved.append(path.stem)

    monkeypatch.setattr(np, "save", failing)
    with pytest.raises(type(failure)):
        write(tmp_path / "data", whole)
    assert saved == list(ARRAYS[: ARRAYS.index(name)])
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_beside_a_data_set_that_was_written(tmp_path: Path, whole: Arrays) -> None:
    folder = write(tmp_path / "data", whole)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert {path.name for path in folder.iterdir()} == {"X.npy", "Y.npy", "pid.npy", "T.npy", "dataset.json"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_data_set_that_is_there_is_left_as_it_is(tmp_path: Path, whole: Arrays) -> None:
    folder = write(tmp_path / "data", whole)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(folder, {name: array[::-1] for name, array in whole.items()}, licence="other")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


def test_other_directory_that_is_there_is_left_as_it_is(tmp_path: Path, whole: Arrays) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("ten years of work")
    with pytest.raises(DataError, match="give an unused directory"):
        write(tmp_path / "data", whole)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["thesis.txt"]
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


def test_file_that_is_there_is_left_as_it_is(tmp_path: Path, whole: Arrays) -> None:
    (tmp_path / "data").write_text("ten years of work")
    with pytest.raises(DataError, match="give an unused directory"):
        write(tmp_path / "data", whole)
    assert (tmp_path / "data").read_text() == "ten years of work"
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


@pytest.mark.parametrize("below", ["data", "deeper/data"])
def test_folder_below_a_file_is_refused(tmp_path: Path, whole: Arrays, below: str) -> None:
    (tmp_path / "file").write_text("ten years of work")
    with pytest.raises(DataError, match="give an unused directory"):
        write(tmp_path / "file" / below, whole)


def test_empty_directory_is_filled(tmp_path: Path, whole: Arrays) -> None:
    (tmp_path / "data").mkdir()
    assert len(open_dataset(write(tmp_path / "data", whole))) == 12


def test_writing_no_window_is_refused(tmp_path: Path, whole: Arrays) -> None:
    with pytest.raises(DataError, match=r"there is no window to write to .*; check the window length"):
        write(tmp_path / "data", {name: array[:0] for name, array in whole.items()})
    assert list(tmp_path.iterdir()) == []


PASS = """
import sys
from pathlib import Path

import numpy as np

from sslwear.data.dataset import open_dataset


def resident_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


before = resident_mb()
dataset = open_dataset(Path(sys.argv[1]))
most = resident_mb()
for rows in np.array_split(np.random.default_rng(0).permutation(len(dataset)), len(dataset) // 512):
    dataset.gather(rows, dataset.windows.shape[1])
    most = max(most, resident_mb())
print(most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the resident set is read from /proc")
def test_memory_does_not_grow_with_the_data_set(tmp_path: Path, small: Dataset) -> None:
    megabytes = 300
    copies = megabytes * 2**20 // small.windows.nbytes
    folder = tmp_path / "data"
    try:
        save(folder, {"Y": np.tile(small.labels, copies), "pid": np.tile(small.pid, copies)})
        save(folder, {"T": np.zeros(copies * len(small))})
        shape = (copies * len(small), *small.windows.shape[1:])
        file = np.lib.format.open_memmap(folder / "X.npy", mode="w+", dtype=np.float32, shape=shape)
        file.reshape(copies, *small.windows.shape)[:] = small.windows
        del file
        assert (folder / "X.npy").stat().st_size > 0.95 * megabytes * 2**20
        command, environment = [sys.executable, "-c", PASS, folder], os.environ | {"OMP_NUM_THREADS": "1"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    finally:
        shutil.rmtree(folder)
    assert float(result.stdout) < 100


def test_a_description_does_not_depend_on_the_language_of_the_system(tmp_path: Path) -> None:
    names = "gehen, \u0445\u043e\u0434\u0438\u0442\u044c"
    program = (
        "import sys; from pathlib import Path; from sslwear.data.arrays import Description, describe; "
        f"folder = Path(sys.argv[1]); Description(name={names!a}).save(folder); "
        "print(ascii(describe(folder).name))"
    )
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}  # ASCII
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ascii(names)
    assert json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))["name"] == names


def test_a_description_may_begin_with_a_byte_order_mark(tmp_path: Path, whole: Arrays) -> None:
    folder = save(tmp_path / "walks", whole)
    (folder / "dataset.json").write_text('\ufeff{"name": "walks", "window_s": 10}', encoding="utf-8")
    assert open_dataset(folder).window_s == 10
