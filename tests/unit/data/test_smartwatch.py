"""The embedded recordings: what is in them, that nothing else is unpickled, and that they are opened by name."""

import io
import os
import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from seglearn.datasets import load_watch
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.data.dataset import open_dataset
from sslwear.data.loading import open_data, open_windows
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.sources.base import Recording
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.errors import DataError

EXERCISES = (
    "abduction",
    "external rotation",
    "forward elevation",
    "internal rotation",
    "pendulum",
    "trapezius extension",
    "upright row",
)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return read()


def read() -> list[Recording]:
    source = Smartwatch()
    return [recording for participant in source.participants() for recording in source.recordings(participant)]


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def trapped(folder: Path) -> bytes:
    content = io.BytesIO()
    np.save(content, np.array({"X": Trap(folder)}), allow_pickle=True)
    return content.getvalue()


def test_there_are_140_recordings_of_10_participants_in_7_exercises(recordings: list[Recording]) -> None:
    assert len(recordings) == 140
    assert {recording.participant for recording in recordings} == set(range(1, 11))
    assert Counter(recording.label for recording in recordings) == dict.fromkeys(EXERCISES, 20)
    assert Smartwatch().class_names == EXERCISES


def test_recordings_are_the_accelerometers_axes_at_50_hz(recordings: list[Recording]) -> None:
    assert {recording.rate_hz for recording in recordings} == {50.0}
    minutes = sum(len(recording.samples) for recording in recordings) / 50 / 60
    assert minutes == pytest.approx(81, abs=0.5)
    raw = load_watch()
    assert raw["X_labels"][:3] == ["ax", "ay", "az"]
    order = np.argsort(raw["subject"], kind="stable")
    for recording, place in zip(recordings, order, strict=True):
        assert_array_equal(recording.samples, raw["X"][place][:, :3])
        assert recording.participant == raw["subject"][place]


def test_windows_of_each_participant(smartwatch_folder: Path) -> None:
    dataset = open_dataset(smartwatch_folder)
    assert dataset.windows.shape == (770, 300, 3)
    assert np.unique_counts(dataset.pid).values.tolist() == list(range(1, 11))
    assert np.unique_counts(dataset.pid).counts.tolist() == [95, 93, 43, 42, 83, 81, 88, 79, 79, 87]
    assert dataset.class_names == EXERCISES


def test_prepared_data_set_says_where_it_comes_from(smartwatch_folder: Path) -> None:
    description = open_dataset(smartwatch_folder).description
    assert (description.name, description.rate_hz, description.window_s, description.step_s) == (
        "smartwatch",
        30,
        10,
        5,
    )
    assert (description.source, description.licence, description.citation) == (
        Smartwatch.title,
        Smartwatch.licence,
        Smartwatch.citation,
    )


def test_preparing_twice_gives_the_same_fingerprint(smartwatch_folder: Path, tmp_path: Path) -> None:
    prepare(Smartwatch(), tmp_path / "again")
    assert open_dataset(tmp_path / "again").fingerprint == open_dataset(smartwatch_folder).fingerprint


def test_windows_are_prepared_as_long_and_as_often_as_they_are_wanted(tmp_path: Path) -> None:
    prepare(Smartwatch(), tmp_path / "data", WindowPlan(window_s=8, step_s=6, rate_hz=20))
    dataset = open_dataset(tmp_path / "data")
    assert dataset.windows.shape[1:] == (160, 3)
    assert (dataset.description.rate_hz, dataset.description.window_s, dataset.description.step_s) == (20, 8, 6)
    assert sorted(set(dataset.start.tolist())) == np.arange(0, dataset.start.max() + 1, 6).tolist()


def test_unknown_file_is_refused_before_it_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.load(io.BytesIO(trapped(tmp_path / "sprung")), allow_pickle=True)
    assert (tmp_path / "sprung").is_dir()

    monkeypatch.setattr(Smartwatch, "_bytes", staticmethod(lambda: trapped(tmp_path / "avoided")))
    with pytest.raises(DataError) as caught:
        read()
    assert not (tmp_path / "avoided").exists()
    assert "pip install --force-reinstall seglearn==1.2.5" in str(caught.value)


def test_file_with_one_bit_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(Smartwatch._bytes())
    content[len(content) // 2] ^= 1
    monkeypatch.setattr(Smartwatch, "_bytes", staticmethod(lambda: bytes(content)))
    with pytest.raises(DataError, match=r"watch_dataset.npy has SHA-256 [0-9a-f]{12}\.\.\. where eb122f23cdf0\.\.\."):
        read()


@pytest.mark.parametrize("missing", ["package", "file"])
def test_missing_recordings_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    if missing == "package":
        monkeypatch.setitem(sys.modules, "seglearn", None)
    else:
        monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    with pytest.raises(DataError) as caught:
        read()
    message = str(caught.value)
    assert message.startswith("smartwatch: the package seglearn or its file data/watch_dataset.npy is missing; ")
    assert "pip install 'seglearn>=1.2.5'" in message
    assert "\n" not in message


def test_data_is_opened_by_the_sources_name_and_prepared_once(
    tmp_path: Path, smartwatch_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_data("smartwatch", tmp_path)
    assert opened.fingerprint == open_dataset(smartwatch_folder).fingerprint
    assert opened.folder.is_relative_to(tmp_path)
    monkeypatch.delattr(Smartwatch, "_bytes")
    assert_array_equal(open_data("smartwatch", tmp_path).labels, opened.labels)


@pytest.mark.parametrize("file", ["X.npy", "Y.npy", "dataset.json"])
@pytest.mark.parametrize("cut", [False, True])
def test_damaged_data_of_a_source_are_prepared_again(
    tmp_path: Path, smartwatch_folder: Path, file: str, cut: bool
) -> None:
    folder = tmp_path / "datasets" / "smartwatch-30hz-10s-5s"
    shutil.copytree(smartwatch_folder, folder)
    whole = open_data("smartwatch", tmp_path)
    assert (whole.folder, whole.warnings) == (folder, ())
    content = (folder / file).read_bytes()
    middle = content.index(b'"fingerprint": "') + 20 if file == "dataset.json" else len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    (folder / file).write_bytes(content[:middle] if cut else flipped)
    again = open_data("smartwatch", tmp_path)
    assert again.fingerprint == whole.fingerprint
    (warning,) = again.warnings
    assert warning.startswith(f"{folder} was damaged, and was prepared again")
    assert open_data("smartwatch", tmp_path).warnings == ()
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_damaged_data_are_kept_when_their_source_is_gone(
    tmp_path: Path, smartwatch_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "datasets" / "smartwatch-30hz-10s-5s"
    shutil.copytree(smartwatch_folder, folder)
    (folder / "Y.npy").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "seglearn", None)
    with pytest.raises(DataError, match="the package seglearn or its file"):
        open_data("smartwatch", tmp_path)
    assert (folder / "X.npy").is_file()


def test_data_is_opened_by_folder(small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(small_folder.parent))
    monkeypatch.chdir(small_folder.parent)
    for text in (str(small_folder), small_folder.name, f"~/{small_folder.name}"):
        assert open_data(text, tmp_path).fingerprint == open_dataset(small_folder).fingerprint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", ["smart-watch", "no/such/folder"])
def test_data_that_is_neither_folder_nor_source_is_refused_with_the_sources(tmp_path: Path, data: str) -> None:
    with pytest.raises(DataError) as caught:
        open_data(data, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"data: '{data}' is neither a directory nor a source with included recordings; ")
    assert f"data set directory, from {Path.cwd()}, or one of: " in message
    assert "smartwatch" in message.split("one of: ")[1]


def test_a_directory_with_the_name_of_a_source_is_opened_where_the_source_has_no_recordings(
    tmp_path: Path, small_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_folder, "adl")
    assert open_data("adl", tmp_path).fingerprint == open_dataset(small_folder).fingerprint
    assert len(open_windows("adl", tmp_path)) == len(open_dataset(small_folder))
    with pytest.raises(DataError, match="data: wisdm must be prepared first"):
        open_data("wisdm", tmp_path)
    Path("wisdm").mkdir()
    with pytest.raises(DataError, match="wisdm has neither a data set"):  # it is searched for unlabelled windows
        open_windows("wisdm", tmp_path)
    assert open_data("smartwatch", tmp_path).folder.is_relative_to(tmp_path / "datasets")


@pytest.mark.parametrize("out", ["smartwatch", "with a blank"])
def test_the_command_that_is_named_after_a_preparation_opens_the_new_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSLWEAR_HOME", str(tmp_path / "home"))
    made = CliRunner().invoke(app, ["data", "prepare", "smartwatch", "--out", out, "--window", "5"])
    command = made.output.split("Describe it with: sslwear ")[1].split(". ")[0]
    described = CliRunner().invoke(app, shlex.split(command))
    assert described.exit_code == 0, described.output
    assert "910 of 150 samples" in described.output
