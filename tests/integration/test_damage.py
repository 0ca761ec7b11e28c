"""Commands that meet files which were cut off, or in which a bit has changed: they name them or make them again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from sslwear.studies.database.failures import counted
from sslwear.studies.database.optuna_storage import find_study
from sslwear.tracking import Store
from tests.conftest import store_at
from tests.integration.conftest import statuses
from tests.integration.test_workers import Start, Worker, start

__all__ = ["start"]  # a fixture
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "flipped": lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
}

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("damage", DAMAGES)]


@pytest.fixture(scope="module")
def ran(content: dict[str, Any], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, a study file of one trial on it, and a store in which the study has ended."""
    folder = tmp_path_factory.mktemp("ran")
    shutil.copytree(content["data"], folder / "data")
    shutil.copytree(empty_home, folder / "mlruns")
    given = {key: content[key] for key in ("study", "encoder", "split", "training", "pretraining")}
    training = {**given["training"], "pretext": "reverse"}
    study = {**given, "training": training, "data": "data", "trials": 1, "threads": 1}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study))
    store = store_at(folder / "mlruns")
    places = {"SSLWEAR_HOME": str(store.home), "SSLWEAR_STORAGE": store.storage_url, "REAL": "1"}
    Worker(store, ("study", "run", str(folder / "tiny.yaml")), folder / "out.txt", places).ended()
    with closing(sqlite3.connect(store.home / "mlflow.db")) as connection:  # a copy of a store has its own files
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return folder


@pytest.fixture
def place(ran: Path, tmp_path: Path) -> Path:
    """A copy of the folder for one test."""
    return shutil.copytree(ran, tmp_path / "place")


@pytest.fixture
def store(place: Path) -> Store:
    """The store in the copy."""
    return store_at(place / "mlruns")


@pytest.fixture
def file(place: Path) -> Path:
    """The study file in the copy."""
    return place / "tiny.yaml"


def spoil(path: Path, damage: str) -> None:
    """Damage a file."""
    path.write_bytes(DAMAGES[damage](path.read_bytes()))


def run(start: Start, store: Store, file: Path, name: str = "tiny", code: int = 0) -> str:
    """Run a study in a process of its own; returns what it wrote."""
    return start(store, file, command=("study", "run", str(file), "--set", f"study={name}"), REAL="1").ended(code)


def score(store: Store, name: str) -> float | None:
    """Score of the only trial of a study."""
    (trial,) = counted(find_study(name, store))
    return trial.value


def test_damaged_cache_entries_are_computed_again(store: Store, file: Path, start: Start, damage: str) -> None:
    entries = list((store.home / "cache" / "features").glob("*.npy"))
    assert entries
    for entry in entries:
        spoil(entry, damage)
    out = run(start, store, file, "again")
    assert "damaged" in out
    assert any(str(entry) in out for entry in entries)
    assert score(store, "again") == score(store, "tiny")
    assert "damaged" not in run(start, store, file, "third")


def test_a_damaged_checkpoint_of_a_pre_training_is_trained_again(
    store: Store, file: Path, start: Start, damage: str
) -> None:
    for weights in (store.home / "artifacts").rglob("model.safetensors"):
        spoil(weights, damage)
    run(start, store, file, "again")
    assert score(store, "again") == score(store, "tiny")
    assert "FINISHED" in statuses(store, "again")["pretraining"]


def test_damaged_data_are_named(store: Store, file: Path, start: Start, damage: str) -> None:
    array = file.parent / "data" / "X.npy"
    spoil(array, damage)
    for name in ("tiny", "again"):
        out = run(start, store, file, name, 1)
        assert str(array.parent) in out
        assert len(out.strip().splitlines()) <= 3


@pytest.mark.parametrize("name", ["optuna.db", "mlflow.db"])
def test_a_damaged_database_is_named(store: Store, file: Path, start: Start, damage: str, name: str) -> None:
    path = store.home / name
    with closing(sqlite3.connect(path)) as connection:  # otherwise newer pages are in the log beside it
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    # SQLite has no checksums: a bit of its own structure is noticed, one within a stored value is not.
    spoilt = DAMAGES["cut"](content) if damage == "cut" else bytes([content[0] ^ 4]) + content[1:]
    path.write_bytes(spoilt)
    out = run(start, store, file, code=1)
    assert name in out
    assert "damaged" in out
    assert len(out.strip().splitlines()) <= 3
