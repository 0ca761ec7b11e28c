"""Changes of a data set's files while it is in use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sslwear.data.arrays import Fingerprint
from sslwear.data.dataset import open_dataset
from sslwear.data.shards import open_shards
from sslwear.errors import DataChangedError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of 12 windows of 3 people."""
    noise = np.random.default_rng(0).normal(0, 0.05, (12, 30, 3))
    arrays = {
        "X": (noise + np.array([0.0, 0.0, 1.0])).astype(np.float32),
        "Y": np.array(["sit", "walk"] * 6),
        "pid": np.repeat(["a", "b", "c"], 4),
        "T": np.arange(12) * np.timedelta64(10, "s") + np.datetime64("2024-05-01T09:00:00"),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


@pytest.mark.parametrize("name", ["X", "Y", "pid", "T"])
def test_other_content_is_noticed(folder: Path, name: str) -> None:
    dataset = open_dataset(folder)
    dataset.check_unchanged()
    array = np.load(folder / f"{name}.npy")
    np.save(folder / f"{name}.npy", array[::-1])
    assert not dataset.unchanged()
    with pytest.raises(DataChangedError, match=f"{folder} was changed while it was in use"):
        dataset.check_unchanged()


def test_content_of_the_same_size_and_time_in_another_file_is_noticed(folder: Path) -> None:
    dataset, path = open_dataset(folder), folder / "X.npy"
    before = path.stat()
    np.save(folder / "other.npy", np.load(path)[::-1])
    (folder / "other.npy").replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataChangedError):
        dataset.check_unchanged()


def test_a_missing_file_is_a_change(folder: Path) -> None:
    dataset = open_dataset(folder)
    (folder / "Y.npy").unlink()
    with pytest.raises(DataChangedError):
        dataset.check_unchanged()


def test_the_same_content_written_again_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(folder)
    (folder / "X.npy").touch()
    assert not dataset.unchanged()
    dataset.check_unchanged()
    assert dataset.unchanged()
    monkeypatch.setattr("sslwear.data.changes.fingerprint_of", lambda _: pytest.fail("read again"))
    dataset.check_unchanged()


def test_a_changed_shard_is_noticed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("shards") / "a"
    place.mkdir()
    arrays = {name: np.load(folder / f"{name}.npy") for name in ("X", "T", "pid")}
    arrays |= {"worn": np.ones(12, bool), "motion": np.ones(12, np.float32)}
    for name, array in arrays.items():
        np.save(place / f"{name}.npy", array)
    fingerprint = Fingerprint(arrays["X"].shape, arrays["X"].dtype)
    fingerprint.add(arrays["X"])
    report = {"windows": 12, "nonwear": 0, "participant": "a", "fingerprint": fingerprint.finish(arrays)}
    (place / "report.json").write_text(json.dumps(report))
    shards = open_shards(place.parent)
    (place / "X.npy").touch()
    shards.check_unchanged()
    np.save(place / "X.npy", arrays["X"] + 0.1)
    with pytest.raises(DataChangedError, match=str(place)):
        shards.check_unchanged()
