"""Databases of a store: creation, repair, upgrade, addresses, damage and permissions."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.errors import StudyError
from sslwear.studies.database.optuna_storage import all_studies, open_storage, store_errors, upgrade_store
from sslwear.tracking import HOME_VARIABLE, STORAGE_VARIABLE, Store, databases, mlflow_database
from sslwear.tracking.addresses import check_answers
from tests.conftest import store_at

NAMES = ("mlflow.db", "optuna.db")


def execute(path: Path, *statements: str) -> None:
    with databases.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)


def make_half(path: Path) -> None:
    """Leave of a database what a kill during its creation leaves: some tables, and no revision."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.close()


@pytest.mark.parametrize("name", ["plain", "what?x=1", "50%25", "stöße 50% #1", "a&b;c"])
def test_an_address_leads_to_its_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "x.db"
    assert databases.path_of(databases.url_of(path)) == path
    with databases.replaced(path) as making:
        execute(making, "CREATE TABLE one (n)")
    databases.check(path)
    assert databases.is_empty(path)
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_a_database_is_private_and_complete_when_it_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.db"
    with databases.replaced(path) as making:
        assert not path.exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not making.exists()


def interrupted(path: Path) -> None:
    with databases.replaced(path) as making:
        execute(making, "CREATE TABLE one (n)")
        raise KeyboardInterrupt


def test_an_interrupted_creation_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "x.db")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_creation_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".x.db.making").write_text("part")
    (tmp_path / ".x.db.making-journal").write_text("part")
    with databases.replaced(tmp_path / "x.db"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_a_link_to_a_database_is_followed_and_a_broken_one_is_kept(tmp_path: Path) -> None:
    link, file = tmp_path / "mlflow.db", tmp_path / "disk" / "mlflow.db"
    link.symlink_to(file)
    with pytest.raises(StudyError, match=r"is a link to .*disk.*, which does not exist"), databases.replaced(link):
        pass
    assert link.is_symlink()
    file.parent.mkdir()
    file.touch()
    with databases.replaced(link) as making:
        assert making.parent == file.parent
    assert link.is_symlink()
    assert file.stat().st_size > 0


def test_half_made_databases_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    made = {name: store.home / name for name in NAMES}
    monkeypatch.setattr(mlflow_database, "_apply", lambda path, new: shutil.copy(made["mlflow.db"], path))
    half = store_at(tmp_path / "half")
    half.home.mkdir()
    for name in NAMES:
        make_half(half.home / name)
    assert half.client.search_experiments()
    assert all_studies(half) == []
    assert all((half.home / f"{name}.incomplete").exists() for name in NAMES)


def test_a_half_made_database_with_content_is_kept(store: Store) -> None:
    execute(store.home / "mlflow.db", "DELETE FROM alembic_version", "UPDATE experiments SET name = 'mine'")
    with pytest.raises(StudyError, match="incomplete"):
        _ = store.client
    assert not (store.home / "mlflow.db.incomplete").exists()


def test_databases_of_other_programs_are_kept(tmp_path: Path, store: Store) -> None:
    open_storage(store).create_new_study([StudyDirection.MAXIMIZE], "precious")
    lab = tmp_path / "lab.db"
    with sqlite3.connect(lab) as connection:
        connection.execute('CREATE TABLE "our people" (name)')
        connection.execute("INSERT INTO \"our people\" VALUES ('Ann')")
    connection.close()
    for path in (lab, store.home / "optuna.db"):
        with pytest.raises(StudyError, match=r"another program\. MLflow needs a file of its own"):
            _ = Store(store.home, databases.url_of(path), store.storage_url).client
    assert [study.study_name for study in all_studies(store)] == ["precious"]
    with pytest.raises(StudyError, match="is MLflow's database, and Optuna needs one of its own"):
        open_storage(Store(store.home, store.tracking_uri, store.tracking_uri))
    open_storage(Store(store.home, store.tracking_uri, databases.url_of(lab)))
    assert "our people" in databases.tables(lab)
    assert not [*store.home.glob("*.incomplete"), *tmp_path.glob("*.incomplete")]


def outdated(store: Store, **versions: str) -> None:
    """Give the databases content and another revision."""
    open_storage(store).create_new_study([StudyDirection.MAXIMIZE], "s")
    store.client.create_experiment("mine")
    for name, version in versions.items():
        execute(store.home / f"{name}.db", f"UPDATE alembic_version SET version_num = '{version}'")


def test_an_older_schema_is_said_and_a_newer_one_too(store: Store) -> None:
    revisions = mlflow_database._revisions()
    outdated(store, mlflow=revisions[1], optuna=open_storage(store).get_all_versions()[1])
    again = store_at(store.home)
    with pytest.raises(StudyError, match=r"older MLflow.*sslwear store upgrade"):
        _ = again.client
    with pytest.raises(StudyError, match=r"older Optuna.*sslwear store upgrade"):
        open_storage(again)
    outdated_by = "UPDATE alembic_version SET version_num = 'ffffffffffff'"
    for name in NAMES:
        execute(store.home / name, outdated_by)
    with pytest.raises(StudyError, match="newer MLflow"):
        _ = again.client
    with pytest.raises(StudyError, match="newer Optuna"):
        open_storage(again)
    with pytest.raises(StudyError, match="newer MLflow"):
        upgrade_store(again)


def test_upgrade_keeps_a_backup_and_the_content(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = mlflow_database._revisions()[0]
    outdated(store, mlflow=mlflow_database._revisions()[1])

    def migrate(path: Path, new: bool) -> None:
        assert path != store.home / "mlflow.db", "the migration works on a copy"
        execute(path, f"UPDATE alembic_version SET version_num = '{newest}'")

    monkeypatch.setattr(mlflow_database, "_apply", migrate)
    again = store_at(store.home)
    for engine in list(store.client._tracking_client.store._engine_map.values()):  # type: ignore[attr-defined]
        engine.dispose()  # as if its process had ended
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    done = CliRunner().invoke(app, ["store", "upgrade"])
    assert done.exit_code == 0, done.output
    (backup,) = store.home.glob("mlflow-*.backup.db")
    assert databases.revision(backup) == mlflow_database._revisions()[1]
    assert "optuna.db: nothing to upgrade" in done.output.replace("\n", "")
    assert again.client.get_experiment_by_name("mine") is not None


def test_a_failed_upgrade_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    old = mlflow_database._revisions()[1]
    path = store.home / "mlflow.db"
    execute(path, f"UPDATE alembic_version SET version_num = '{old}'")

    def fail(path: Path, new: bool) -> None:
        raise ValueError("no")

    monkeypatch.setattr(mlflow_database, "_apply", fail)
    with pytest.raises(StudyError, match="It is unchanged"):
        mlflow_database.upgrade(path)
    assert databases.revision(path) == old


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_or_damage_in_place_of_a_database_is_named(store: Store, name: str) -> None:
    path = store.home / name
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StudyError, match=f"{name} is damaged"):
        _ = store.client if name == "mlflow.db" else open_storage(store)
    path.unlink()
    path.mkdir()
    with pytest.raises(StudyError, match=f"{name} is a folder"):
        _ = store.client if name == "mlflow.db" else open_storage(store)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("database is locked", "locked by another program"),
        ("database or disk is full", "disk is full"),
        ("database disk image is malformed", "is damaged"),
        ("attempt to write a readonly database", "cannot be written to"),
    ],
)
def test_a_failure_is_described_by_its_cause(store: Store, message: str, shown: str) -> None:
    failed = StorageInternalError("e.g. exceeding max length")
    failed.__cause__ = sqlite3.OperationalError(message)
    with pytest.raises(StudyError, match=f"Optuna storage .*{shown}") as found, store_errors(store):
        raise failed
    assert "exceeding" not in str(found.value)


def test_optuna_waits_for_a_lock(store: Store) -> None:
    with open_storage(store).engine.connect() as connection:
        waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    assert waits == 1000 * databases.LOCKED_S


def test_reading_needs_no_permission_to_write(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    open_storage(store).create_new_study([StudyDirection.MAXIMIZE], "mine")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    with pytest.raises(StudyError, match="cannot write to the store"):
        Store.from_environment()
    before = set(store.home.iterdir())
    reading = Store.from_environment(write=False)
    assert [study.study_name for study in all_studies(reading)] == ["mine"]
    assert reading.client.search_experiments()
    assert set(store.home.iterdir()) <= before
    done = CliRunner().invoke(app, ["study", "list"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("variable", "address", "shown"),
    [
        ("MLFLOW_TRACKING_URI", "http://", "not a web address"),
        ("MLFLOW_TRACKING_URI", "http://[::1", "not a web address"),
        ("MLFLOW_TRACKING_URI", "http://h:port", "not a web address"),
        ("MLFLOW_TRACKING_URI", "mlruns", "plain folders"),
        ("MLFLOW_TRACKING_URI", "file:///tmp/x", "plain folders"),
        ("MLFLOW_TRACKING_URI", "sqlite://", "names no file"),
        ("MLFLOW_TRACKING_URI", "postgresql://lab:s3@cret@h/db", "%40"),
        (STORAGE_VARIABLE, "nonsense", "not the address"),
        (STORAGE_VARIABLE, "redis://h/0", "not known"),
        (STORAGE_VARIABLE, "postgresql://lab:s3@cret@h/db", "%40"),
        (STORAGE_VARIABLE, "postgresql://h:x/db", "not the address"),
    ],
)
def test_a_malformed_address_is_refused_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, address: str, shown: str
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv(variable, address)
    with pytest.raises(StudyError, match=shown) as found:
        Store.from_environment()
    assert "cret" not in str(found.value)


def test_a_driver_that_is_not_installed_is_named_with_the_form_of_the_address(tmp_path: Path) -> None:
    address = "postgresql+pg8000://lab:s3cret@127.0.0.1:1/optuna"
    store = Store(tmp_path, "http://127.0.0.1:1", address)
    for ask in (lambda: open_storage(store), lambda: check_answers("MLflow store", "MLFLOW_TRACKING_URI", address)):
        with pytest.raises(
            StudyError, match=r"not installed\. Run .* begin the address with postgresql\+psycopg://"
        ) as found:
            ask()
        assert "s3cret" not in str(found.value)
