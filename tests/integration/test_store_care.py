"""``sslwear store``: moving, backup and check of a store with a study and a promoted model."""

from __future__ import annotations

import errno
import platform
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from optuna.trial import create_trial

from sslwear.deployment.registry import load_model
from sslwear.errors import StudyError
from sslwear.studies.database.optuna_storage import find_study
from sslwear.tracking import HOME_VARIABLE, Store, databases, store_folder
from tests.bad_inputs.answers import call, refusal
from tests.conftest import store_at


@pytest.fixture
def home(promoted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a study and its champion, which the command uses."""
    home = tmp_path / "mlruns"
    shutil.copytree(promoted.home, home)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return home


def uses(home: Path) -> None:
    """Check that a store has its study and its champion, whose files are in its folder."""
    store = store_at(home)
    assert load_model(store, "tiny@champion").card.class_names
    assert len(find_study("tiny", store).trials) == 3
    with sqlite3.connect(home / "mlflow.db") as connection:
        places = [place for (place,) in connection.execute("SELECT artifact_location FROM logged_models")]
    connection.close()
    assert places
    assert all(place.startswith((home / "artifacts").as_uri()) for place in places)


@pytest.mark.parametrize("other_disk", [False, True])
def test_a_store_is_moved_with_its_paths(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_disk: bool
) -> None:
    if other_disk:
        rename = Path.rename

        def fails(path: Path, target: Path) -> Path:
            if path == home:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return rename(path, target)

        monkeypatch.setattr(store_folder, "_rename", fails)
    new = tmp_path / "other disk" / "what?x=1 %2"
    result = call("store", "move", new)
    assert result.exit_code == 0, result.output
    assert f"The store is now {new}. Use it with SSLWEAR_HOME='{new}'\n" in result.stdout
    assert not home.exists()
    monkeypatch.setenv(HOME_VARIABLE, str(new))
    assert call("models", "list").exit_code == 0
    assert not home.exists()
    checked = call("store", "check")
    assert checked.exit_code == 0, checked.output
    assert "no problems." in checked.stdout
    with sqlite3.connect(new / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert new.as_uri() in str(connection.execute("SELECT artifact_uri FROM runs").fetchone())
    connection.close()


def test_a_move_that_fails_leaves_the_store_where_it_is(home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fails(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(store_folder, "_rename", fails)
    monkeypatch.setattr(shutil, "copytree", full)
    new = tmp_path / "new"
    assert f"cannot move the store to {new} (No space left on device). It is still in" in refusal("store", "move", new)
    assert not new.exists()
    monkeypatch.undo()
    uses(home)


def test_a_store_in_use_is_not_moved(home: Path, tmp_path: Path) -> None:
    locks = home / "locks"
    locks.mkdir(exist_ok=True)
    with FileLock(locks / f"process-{platform.node()}-0123456789ab.lock"):  # as a process that writes runs holds it
        assert "another process is writing to the store" in refusal("store", "move", tmp_path / "new")
    with sqlite3.connect(home / "mlflow.db", isolation_level=None) as reader:  # as sslwear ui has it open
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        assert "is open in another program, such as sslwear ui" in refusal("store", "move", tmp_path / "new")
    reader.close()
    uses(home)


def test_places_that_cannot_be_the_new_folder_are_refused(home: Path, tmp_path: Path) -> None:
    assert "is the store itself or a folder inside of it" in refusal("store", "move", home / "new")
    assert "is the store itself" in refusal("store", "move", home)
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_text("")
    assert "exists already and is no empty folder" in refusal("store", "move", full)
    assert "exists already and is no empty folder" in refusal("store", "move", full / "file")
    assert "cannot move the store to" in refusal("store", "move", full / "file" / "new")
    assert "is the store itself" in refusal("store", "backup", "--out", home / "backup")
    assert "exists already" in refusal("store", "backup", "--out", full)
    assert "cannot write the backup to" in refusal("store", "backup", "--out", full / "file" / "new")
    uses(home)


def test_a_store_elsewhere_or_without_content_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:9")
    assert "so it cannot be moved as a whole" in refusal("store", "move", tmp_path / "new")
    assert "so it cannot be backed up as a whole" in refusal("store", "backup")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "empty"))
    assert "nothing can be moved" in refusal("store", "move", tmp_path / "new")


def test_a_backup_of_a_store_in_use_is_a_store(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "backup"
    with sqlite3.connect(home / "mlflow.db", isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        result = call("store", "backup", "--out", out)
    reader.close()
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["artifacts", "mlflow.db", "optuna.db"]
    shutil.rmtree(home)
    uses(out)
    monkeypatch.setenv(HOME_VARIABLE, str(out))
    assert call("store", "backup").exit_code == 0
    (beside,) = tmp_path.glob("backup-backup-*")
    uses(beside)


def test_a_trial_that_ends_during_a_backup_has_its_run_there(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, copy = store_at(home), databases.copy
    study = find_study("tiny", store)
    before = study.trials[0]
    first = store.find_run(before.user_attrs["run_id"])
    assert first is not None

    def copied(path: Path, target: Path, read_only: bool = False) -> None:
        copy(path, target, read_only)
        if len(study.trials) == 3:
            run = store.client.create_run(first.info.experiment_id)
            study.add_trial(create_trial(value=0.5, user_attrs={**before.user_attrs, "run_id": run.info.run_id}))

    monkeypatch.setattr(databases, "copy", copied)
    result = call("store", "backup", "--out", tmp_path / "backup")
    assert result.exit_code == 0, result.output
    assert len(study.trials) == 4
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "backup"))
    checked = call("store", "check")
    assert checked.exit_code == 0, checked.output


def test_the_check_names_what_is_missing(home: Path) -> None:
    assert call("store", "check").exit_code == 0
    (folder,) = {path.parent for path in home.rglob("MLmodel")}
    weights = next(folder.rglob("model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    damaged = call("store", "check")
    assert damaged.exit_code == 1
    assert "PROBLEM model tiny/1:" in damaged.stdout
    assert "is damaged: its SHA-256" in damaged.stdout
    shutil.rmtree(folder)
    missing = call("store", "check")
    assert "PROBLEM checkpoint" in missing.stdout
    assert f"its folder {folder} is missing" in missing.stdout
    store = store_at(home)
    trial = find_study("tiny", store).trials[0]
    store.client.delete_run(trial.user_attrs["run_id"])
    assert "PROBLEM study tiny: 1 finished trial without a run: 0." in call("store", "check").stdout
    (home / "optuna.db").write_bytes(b"no database" * 1000)
    broken = call("store", "check")
    assert broken.exit_code == 1
    assert "PROBLEM trials: the database" in broken.stdout


def test_a_database_of_an_older_mlflow_asks_for_an_upgrade(home: Path) -> None:
    with sqlite3.connect(home / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '1b5f0d9ad7c1'")
    connection.close()
    for command in (("store", "check"), ("models", "list")):
        result = call(*command)
        assert result.exit_code == 1
        assert "needs an upgrade. Run 'sslwear store upgrade', which keeps a backup" in result.output
        assert "does not answer" not in result.output
    read_only = replace(store_at(home), read_only=True, tracking_uri=databases.url_of(home / "mlflow.db", True))
    with pytest.raises(StudyError, match=r"needs an upgrade\. Run 'sslwear store upgrade', which keeps a backup"):
        _ = read_only.client
