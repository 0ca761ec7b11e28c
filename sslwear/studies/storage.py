"""Optuna's store: open it, and find studies in it; and what is said when a store fails meanwhile."""

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

optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_storage(store: Store) -> optuna.storages.RDBStorage:
    """Open Optuna's store, made where there is none yet.

    Raises:
        StudyError: when it does not answer.
    """
    store.home.mkdir(parents=True, exist_ok=True)
    with FileLock(store.home / ".initialise.lock"):  # two processes that make the tables at once both fail
        try:
            storage = optuna.storages.RDBStorage(store.storage_url)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise StudyError(
                f"the Optuna store {masked(store.storage_url)} does not answer ({one_line(error)}); "
                "check SSLWEAR_STORAGE, or unset it to use the embedded store"
            ) from error
        if store.storage_url == f"sqlite:///{store.home / 'optuna.db'}":
            write_ahead(store.home / "optuna.db")
    return storage


@contextmanager
def store_errors(store: Store) -> Iterator[None]:
    """Say in a sentence that a store failed inside: a server that was stopped, a full disk, a database taken away.

    Raises:
        StudyError: when one did.
    """
    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, StorageInternalError) as error:
        ours = isinstance(error, MlflowException | RequestException)
        which = f"MLflow store {store.tracking_uri}" if ours else f"Optuna store {store.storage_url}"
        raise StudyError(
            f"the {masked(which)} failed meanwhile ({one_line(error)}); mend it, and give the same command again"
        ) from error


def all_studies(store: Store) -> list[optuna.Study]:
    """Open all studies to read them, by name."""
    storage = open_storage(store)
    names = sorted(optuna.get_all_study_names(storage))
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def find_study(name: str, store: Store) -> optuna.Study:
    """Open a study to read it.

    Raises:
        StudyError: when there is none of that name; the message lists the names that there are.
    """
    storage = open_storage(store)
    names = optuna.get_all_study_names(storage)
    if name not in names:
        there = f"there are {', '.join(sorted(names))}" if names else "there is none yet: start with make study"
        raise StudyError(f"there is no study {name!r} in {masked(store.storage_url)}; {there}")
    return optuna.load_study(study_name=name, storage=storage)
