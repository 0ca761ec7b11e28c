"""Optuna's storage: open it, find studies in it, and turn failures of a store into an error for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from filelock import FileLock
from mlflow.exceptions import MlflowException
from optuna.exceptions import StorageInternalError
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from sslwear.errors import StudyError
from sslwear.tracking import Store, write_ahead
from sslwear.utils.masking import masked, one_line


def open_storage(store: Store) -> optuna.storages.RDBStorage:
    """Open Optuna's storage, created if it does not exist.

    Raises:
        StudyError: when it cannot be opened.
    """
    if optuna.logging.get_verbosity() == optuna.logging.INFO:  # Optuna's default, a line a trial; progress says it
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    store.home.mkdir(parents=True, exist_ok=True)
    with FileLock(store.home / ".initialise.lock"):  # two processes that create the tables at once would both fail
        try:
            storage = optuna.storages.RDBStorage(store.storage_url)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise StudyError(
                f"cannot open the Optuna storage {masked(store.storage_url)} ({one_line(error)}). "
                "Check SSLWEAR_STORAGE, or unset it to use the embedded store"
            ) from error
        if store.storage_url == f"sqlite:///{store.home / 'optuna.db'}":
            write_ahead(store.home / "optuna.db")
    return storage


@contextmanager
def store_errors(store: Store) -> Iterator[None]:
    """Turn a store's failure in the block (server stopped, disk full, database removed) into an error for the user.

    Raises:
        StudyError: when a store failed.
    """
    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, StorageInternalError) as error:
        ours = isinstance(error, MlflowException | RequestException)
        which = f"MLflow store {store.tracking_uri}" if ours else f"Optuna storage {store.storage_url}"
        raise StudyError(
            f"the {masked(which)} became unavailable ({one_line(error)}). Fix it and run the same command again"
        ) from error


def all_studies(store: Store) -> list[optuna.Study]:
    """All studies of a store, by name."""
    storage = open_storage(store)
    names = sorted(optuna.get_all_study_names(storage))
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def find_study(name: str, store: Store) -> optuna.Study:
    """Open a study by name.

    Raises:
        StudyError: when there is none of that name; the message lists the studies.
    """
    storage = open_storage(store)
    names = optuna.get_all_study_names(storage)
    if name not in names:
        there = f"It has {', '.join(sorted(names))}" if names else "It has none yet: run make study first"
        raise StudyError(f"there is no study {name!r} in {masked(store.storage_url)}. {there}")
    return optuna.load_study(study_name=name, storage=storage)
