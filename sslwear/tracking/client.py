"""MLflow's client of a store: opening it, and reading results that come in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from sqlalchemy.exc import SQLAlchemyError

from sslwear.errors import StudyError
from sslwear.tracking import addresses, databases, mlflow_database, open_runs
from sslwear.tracking.offline_records import FOLDER, waiting_records
from sslwear.tracking.outages import is_interruption
from sslwear.tracking.provenance import PREFIX
from sslwear.tracking.retry import PatientClient, impatient, while_ending
from sslwear.utils.masking import masked, one_line
from sslwear.utils.words import count

if TYPE_CHECKING:
    from sslwear.tracking.store import Store

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
OUT_OF_DATE = "out-of-date database schema"
"""Words of MLflow's error about a database of an older version, which has no class of its own."""
Item = TypeVar("Item")
_files: dict[Path, tuple[int, int]] = {}
"""Device and inode of each SQLite file when it was last opened in this process."""


def open_client(store: Store) -> MlflowClient:
    """MLflow client of a store; a missing database is created, and runs that a killed process left open are ended.

    Raises:
        StudyError: when the store does not answer, or must be upgraded.
    """
    if store.read_only:
        if store.embedded:
            databases.check(store.home / "mlflow.db", read_only=True)
        return _connected(store)
    with store.initialising():  # two processes that create the tables at the same time both fail
        if (path := databases.path_of(store.tracking_uri)) is not None:
            mlflow_database.prepare(path)
        elif addresses.is_database(store.tracking_uri):
            addresses.check_answers("MLflow store", TRACKING_VARIABLE, store.tracking_uri)
        if store.embedded:
            artifacts = store.home / "artifacts"
            artifacts.mkdir(mode=0o700, exist_ok=True)
            mlflow_database.relocate(store.home / "mlflow.db", artifacts)
        client = _connected(store)
        if store.kept is not None:
            for process in store.kept.upload(client):  # before the runs of killed processes are ended
                end_runs(client, process)  # it may have been interrupted
        open_runs.end_abandoned(store.home / "locks", lambda process: end_runs(client, process))
    if isinstance(client, PatientClient) and store.kept is not None:
        client.before = partial(store.kept.flush, client)
    return client


def all_pages(search: Callable[[str | None], PagedList[Item]]) -> list[Item]:
    """Results of all pages of a search with MLflow's client.

    Args:
        search: returns the page of a token, or the first page for None.
    """
    page = search(None)
    found = list(page)
    while page.token:
        page = search(page.token)
        found += page
    return found


def _connected(store: Store) -> MlflowClient:
    try:
        with databases.one_at_a_time(store.tracking_uri):
            kind = PatientClient if store.remote else MlflowClient
            client = kind(store.tracking_uri, store.tracking_uri)
            _open_anew(client, store)
            with impatient():  # a wrong address is reported at once
                client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        if OUT_OF_DATE in str(error):
            raise StudyError(
                f"the MLflow store {masked(store.tracking_uri)} was made by an older MLflow than the installed "
                f"{mlflow.__version__} and needs an upgrade. {mlflow_database.UPGRADE}"
            ) from error
        raise StudyError(
            f"the MLflow store {masked(store.tracking_uri)} does not answer ({one_line(error)}). "
            f"Check {TRACKING_VARIABLE}, or unset it to use the embedded store{_kept(store)}"
        ) from error
    return client


def _open_anew(client: MlflowClient, store: Store) -> None:
    """Let MLflow open a database whose file was replaced, as after its folder was deleted or moved.

    Its connections last as long as the process, and would go on with the file of before.
    """
    path = databases.path_of(store.tracking_uri)
    if path is None or not path.exists():
        return
    status = path.stat()
    file = status.st_dev, status.st_ino
    if _files.setdefault(path, file) != file:
        registry = client._get_registry_client()  # type: ignore[no-untyped-call]
        for part in (client._tracking_client, registry):
            part.store.engine.dispose()
        _files[path] = file


def _kept(store: Store) -> str:
    """What waits for a server that does not answer, as a sentence behind another one."""
    runs = waiting_records(store.home).get(store.kept.server) if store.kept is not None else None
    return f". What {count(len(runs), 'run')} logged waits for it in {store.home / FOLDER}" if runs else ""


@contextmanager
def unless_away(store: Store, error: BaseException) -> Iterator[None]:
    """Block that ends runs after an error; if the server is away, the next command ends them.

    Args:
        store: store of the runs.
        error: the error.
    """
    waits = not is_interruption(error) and (store.kept is None or not store.kept.waiting)
    with nullcontext() if waits else while_ending():
        yield


def end_runs(client: MlflowClient, process: str) -> None:
    """End the open runs of a process."""
    experiments = all_pages(lambda token: client.search_experiments(page_token=token))
    query = f"tags.`{PREFIX}process` = '{process}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([each.experiment_id for each in experiments], query, max_results=1000):
        client.set_tag(run.info.run_id, f"{PREFIX}outcome", "interrupted")
        client.set_terminated(run.info.run_id, "KILLED")
