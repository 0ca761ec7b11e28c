"""Optuna's storage: open it, find studies in it, and turn failures of a store into an error for the user."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from sslwear.errors import StudyError
from sslwear.studies.database.content_check import check_content
from sslwear.studies.database.trial_reader import ReadingStorage
from sslwear.tracking import STORAGE_VARIABLE, Store, addresses, databases, mlflow_database, open_runs, outages
from sslwear.tracking.retry import PatientStorage, patient
from sslwear.utils.masking import masked, one_line

NESTED = "/"
"""Character in the names of the studies inside of evaluations, which no study file may have."""


class PatientReadingStorage(PatientStorage, ReadingStorage):
    """Storage on a server, whose calls wait while the server restarts."""

    _get_trials = patient(ReadingStorage._get_trials)


def open_storage(store: Store) -> RDBStorage:
    """Open Optuna's storage, created if it does not exist.

    Raises:
        StudyError: when it cannot be opened, or must be upgraded.
    """
    if optuna.logging.get_verbosity() == optuna.logging.INFO:  # Optuna's default, a line a trial; progress says it
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        if store.read_only:
            return _checked(_read_only(store))
        with store.initialising():  # two processes that create the tables at once would both fail
            if (path := databases.path_of(store.storage_url)) is not None:
                _prepare(path)
            return _checked(_connected(store.storage_url))
    except ImportError as error:
        raise StudyError(addresses.without_driver(STORAGE_VARIABLE, store.storage_url, error)) from error
    except (SQLAlchemyError, StorageInternalError, ValueError) as error:
        raise StudyError(
            f"cannot open the Optuna storage {masked(store.storage_url)} ({one_line(error)}). "
            f"Check {STORAGE_VARIABLE}, or unset it to use the embedded store"
        ) from error


def upgrade_store(store: Store) -> list[tuple[Path, Path | None]]:
    """Bring the SQLite databases of a store to the schemas of the installed versions of MLflow and Optuna.

    Returns:
        Each database with its backup, which is None if there was nothing to upgrade.

    Raises:
        StudyError: when another process uses the store, or a database cannot be upgraded, or all are on servers.
    """
    upgraded = []
    with store.initialising():
        if open_runs.others_alive(store.home / "locks"):
            raise StudyError(f"another process is writing to the store {store.home}. Wait for it or stop it")
        for address, upgrade in ((store.tracking_uri, mlflow_database.upgrade), (store.storage_url, upgrade_storage)):
            if (path := databases.path_of(address)) is not None and path.exists():
                upgraded.append((path, upgrade(path)))
    if not upgraded:
        raise StudyError(
            "this store has no database on this machine. Back up the ones on the server, then run "
            "'mlflow db upgrade ADDRESS' and 'optuna storage upgrade --storage ADDRESS'"
        )
    return upgraded


def upgrade_storage(path: Path) -> Path | None:
    """Bring an Optuna database to the schema of the installed version, as `mlflow_database.upgrade` does for MLflow."""
    databases.check(path)
    storage = _connected(databases.url_of(path))
    current, newest, known = storage.get_current_version(), storage.get_head_version(), storage.get_all_versions()
    storage.engine.dispose()
    if current == newest:
        return None
    if current not in known:
        raise StudyError(_newer(str(path)))
    databases.check_unused(path)
    backup = databases.back_up(path)
    with databases.replaced(path) as making:
        databases.copy(path, making)
        upgraded = _connected(databases.url_of(making))
        try:
            upgraded.upgrade()
        except Exception as error:  # a migration may raise anything
            raise StudyError(
                f"Optuna could not upgrade {path} ({type(error).__name__}: {error}). It is unchanged"
            ) from error
        finally:
            upgraded.engine.dispose()
    return backup


def _prepare(path: Path) -> None:
    """Create a missing database, and replace one whose creation was interrupted."""
    if path.exists():
        databases.check(path)
        if databases.revision(path) is not None or not databases.is_empty(path):
            return
        databases.set_aside(path)
    with databases.replaced(path) as making:
        _connected(databases.url_of(making)).engine.dispose()


def _connected(url: str) -> RDBStorage:
    """Storage of an address, of any version of the schema; on a server its calls wait while the server restarts."""
    if url.startswith("sqlite"):
        options = {"connect_args": {"timeout": databases.LOCKED_S}}
        return ReadingStorage(url, engine_kwargs=options, skip_compatibility_check=True)
    with databases.one_at_a_time(url):
        return PatientReadingStorage(url, engine_kwargs={"pool_pre_ping": True}, skip_compatibility_check=True)


def _read_only(store: Store) -> RDBStorage:
    path = store.home / "optuna.db"
    if not path.exists():
        raise StudyError(f"there is no study in {store.home}, and this user cannot write to it")
    databases.check(path, read_only=True)
    return _connected(store.storage_url)


def _checked(storage: RDBStorage) -> RDBStorage:
    """The storage, if the installed Optuna can use its schema.

    Raises:
        StudyError: when another version of Optuna made it.
    """
    current, shown = storage.get_current_version(), masked(storage.url)
    if current == storage.get_head_version():
        return storage
    if current not in storage.get_all_versions():
        if sa.inspect(storage.engine).has_table("experiments"):
            raise StudyError(
                f"{shown} is MLflow's database, and Optuna needs one of its own. Correct {STORAGE_VARIABLE}"
            )
        raise StudyError(_newer(shown))
    raise StudyError(
        f"the Optuna storage {shown} was made by an older Optuna than the installed {optuna.__version__}, and needs "
        f"an upgrade. {mlflow_database.UPGRADE}"
    )


def _newer(shown: str) -> str:
    return (
        f"the Optuna storage {shown} was made by a newer Optuna than the installed {optuna.__version__}. "
        "Update it with pip install -U optuna"
    )


@contextmanager
def store_errors(store: Store) -> Iterator[None]:
    """Turn an outage in the block (server stopped, disk or memory full, database removed) into an error for the user.

    Raises:
        StudyError: when a store, a disk, the memory or the device failed.
    """
    try:
        yield
        if store.kept is not None and store.kept.waiting:
            store.kept.settle(store.client)
    except BrokenPipeError:  # nobody reads the output any more
        raise
    except outages.STORE_ERRORS as error:
        ours = isinstance(error, MlflowException | RequestException) or _raised_in("mlflow", error)
        lost = "Fix it and run the same command again"
        if store.kept is not None and store.kept.waiting:
            lost = store.kept.sentence()
        which = masked(f"MLflow store {store.tracking_uri}" if ours else f"Optuna storage {store.storage_url}")
        if (reason := databases.failure(error)) is not None:
            raise StudyError(f"the {which} {reason}, and run the same command again") from error
        raise StudyError(f"the {which} became unavailable ({one_line(error)}). {lost}") from error
    except ImportError as error:
        if not _raised_in("mlflow", error):
            raise
        raise StudyError(
            f"files of runs are in a storage for which MLflow needs a package ({one_line(error)}). "
            f"Install it with pip install {error.name}"
        ) from error
    except Exception as error:
        if (text := outages.advice(error)) is None:
            raise
        raise StudyError(text) from error


def _raised_in(package: str, error: BaseException) -> bool:
    """Whether an error passed through the code of a package."""
    modules = (str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(name.partition(".")[0] == package for name in modules)


def all_studies(store: Store) -> list[optuna.Study]:
    """All studies of a store, by name."""
    storage = open_storage(store)
    names = sorted(name for name in optuna.get_all_study_names(storage) if NESTED not in name)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def find_study(name: str, store: Store) -> optuna.Study:
    """Open a study by name.

    Raises:
        StudyError: when there is none of that name; the message lists the studies. Also when its content cannot be
            read.
    """
    storage = open_storage(store)
    names = [one for one in optuna.get_all_study_names(storage) if NESTED not in one]
    if name not in names:
        experiment = store.client.get_experiment_by_name(name)
        if experiment is not None and store.find_runs(experiment.experiment_id, kind="cross_validation"):
            raise StudyError(
                f"{name!r} is an evaluation, which has jobs and no trials. Ids of its runs are in the REPORT.json of "
                f"'sslwear study report {name} --out DIR'"
            )
        there = f"It has {', '.join(sorted(names))}" if names else "It is empty. Run sslwear study run FILE first"
        raise StudyError(f"there is no study {name!r} in {masked(store.storage_url)}. {there}")
    study = optuna.load_study(study_name=name, storage=storage)
    check_content(study)
    return study
