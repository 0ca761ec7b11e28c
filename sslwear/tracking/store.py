"""The store: where runs, studies and prepared data sets are kept, and how runs are opened and found in it."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.entities.lifecycle_stage import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.entities import PagedList

from sslwear.errors import StudyError
from sslwear.tracking.environment import set_defaults
from sslwear.tracking.provenance import PREFIX, provenance
from sslwear.tracking.run import NOTE, OLD_KINDS, Run
from sslwear.utils.masking import masked, one_line
from sslwear.utils.signals import signals_deferred

HOME_VARIABLE = "SSLWEAR_HOME"
STORAGE_VARIABLE = "SSLWEAR_STORAGE"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Store:
    """Where runs, studies and prepared data sets are kept.

    Attributes:
        home: a folder; the embedded databases, artifacts and prepared data sets lie below it.
        tracking_uri: MLflow's store.
        storage_url: Optuna's store.
    """

    home: Path
    tracking_uri: str
    storage_url: str

    def __post_init__(self) -> None:
        set_defaults()

    @classmethod
    def from_environment(cls) -> Store:
        """The store that ``SSLWEAR_HOME`` (default ``mlruns``), ``MLFLOW_TRACKING_URI`` and ``SSLWEAR_STORAGE`` name.

        Raises:
            StudyError: when the folder cannot be written to, or ``MLFLOW_TRACKING_URI`` is a folder, which MLflow no
                longer supports.
        """
        home = Path(os.environ.get(HOME_VARIABLE) or "mlruns").expanduser().resolve()
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"cannot make the folder {home} ({error.strerror}); set {HOME_VARIABLE}") from error
        if not os.access(home, os.W_OK):
            raise StudyError(f"cannot write to the folder {home}; set {HOME_VARIABLE} to one of your own")
        tracking = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}"
        if "://" not in tracking:
            raise StudyError(
                f"MLFLOW_TRACKING_URI is {masked(tracking)!r}, and MLflow no longer keeps runs in plain folders; "
                "set it to http://HOST:PORT or sqlite:///PATH, or unset it"
            )
        storage = os.environ.get(STORAGE_VARIABLE) or f"sqlite:///{home / 'optuna.db'}"
        return cls(home, tracking, storage)

    @property
    def embedded(self) -> bool:
        """Whether runs are kept in the folder `home`."""
        return self.tracking_uri == f"sqlite:///{self.home / 'mlflow.db'}"

    @cached_property
    def client(self) -> MlflowClient:
        """The client, with the database made where there is none yet.

        Raises:
            StudyError: when the store does not answer.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with FileLock(self.home / ".initialise.lock"):  # two processes that make the tables at once both fail
            try:
                client = MlflowClient(self.tracking_uri, self.tracking_uri)
                client.search_experiments(max_results=1)
            except MlflowException as error:
                raise StudyError(
                    f"the MLflow store {masked(self.tracking_uri)} does not answer ({one_line(error)}); "
                    "check MLFLOW_TRACKING_URI, or unset it to use the embedded store"
                ) from error
            if self.embedded:
                write_ahead(self.home / "mlflow.db")
        return client

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, made where there is none.

        Raises:
            StudyError: when it was deleted in the UI.
        """
        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = (self.home / "artifacts" / name).as_uri() if self.embedded else None
            return self.client.create_experiment(name, artifact_location=location)
        if found.lifecycle_stage == "deleted":
            raise StudyError(
                f"the MLflow experiment {name!r} was deleted; restore it with 'mlflow experiments restore "
                f"--experiment-id {found.experiment_id}', or give the study another name with --set study=NAME"
            )
        return found.experiment_id

    def create_run(
        self, experiment: str, name: str, kind: str, parent: str | None = None, note: str | None = None, **tags: str
    ) -> Run:
        """Start a run.

        Args:
            experiment: the experiment's id.
            name: what the UI calls it.
            kind: ``study``, ``trial``, ``pretraining``, ``train``, ``cross_validation`` or
                ``cross_validation_job``.
            parent: id of the run that it is nested under.
            note: the run's description (Markdown).
            tags: more tags, by name without the prefix ``sslwear.``.
        """
        ours = {"kind": kind, "host": platform.node(), **tags}
        all_tags = {**{f"{PREFIX}{key}": value for key, value in ours.items()}, **provenance()}
        if parent is not None:
            all_tags["mlflow.parentRunId"] = parent
        if note is not None:
            all_tags[NOTE] = masked(note)
        run = self.client.create_run(experiment, run_name=name, tags=all_tags)
        return Run(self, run.info.run_id, experiment)

    @contextmanager
    def start_run(
        self, experiment: str, name: str, kind: str, parent: str | None = None, note: str | None = None, **tags: str
    ) -> Iterator[Run]:
        """Keep a run open in a block, see `start`; it ends as the block does: finished, interrupted by the user, or
        failed with the traceback.
        """
        with self.managed_run(lambda: self.create_run(experiment, name, kind, parent, note, **tags)) as run:
            yield run

    @contextmanager
    def managed_run(self, opened: Callable[[], Run], clear: Callable[[Run], None] | None = None) -> Iterator[Run]:
        """Keep a run open in a block, and leave nothing running behind, however the block ends.

        Args:
            opened: gives the run; signals wait until it has.
            clear: ends what the block left under the run when it raises; None for a run that is alone, which keeps the
                traceback of what failed itself.
        """
        run: Run | None = None
        try:
            with signals_deferred():
                run = opened()
            yield run
            with signals_deferred():
                run.end("FINISHED", "finished")
        except BaseException as error:
            with signals_deferred():
                if run is not None and isinstance(error, KeyboardInterrupt):
                    run.end("KILLED", "interrupted")
                elif run is not None and clear is None:
                    run.fail(error)
                elif run is not None:
                    run.end("FAILED", "failed")
                if run is not None and clear is not None:
                    clear(run)
            raise

    def find_run(self, run_id: str) -> MlflowRun | None:
        """What is kept of a run; None where it is not there any more, or was deleted in the UI."""
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise
        return run if run.info.lifecycle_stage == LifecycleStage.ACTIVE else None

    def find_runs(self, experiment: str | None, **tags: str) -> list[MlflowRun]:
        """Runs of an experiment, or of all, that have all these tags (names without ``sslwear.``), newest first."""
        for old, kind in OLD_KINDS.items():
            if tags.get("kind") == kind:
                found = self.find_runs(experiment, **{**tags, "kind": old}) + self._tagged(experiment, tags)
                return sorted(found, key=lambda run: run.info.start_time, reverse=True)
        return self._tagged(experiment, tags)

    def _tagged(self, experiment: str | None, tags: Mapping[str, str]) -> list[MlflowRun]:
        query = " and ".join(f"tags.`{PREFIX}{key}` = '{value}'" for key, value in tags.items())
        among = [experiment] if experiment else [e.experiment_id for e in self.client.search_experiments()]
        return self.search_runs(among, query)

    def search_runs(self, experiments: Sequence[str], query: str = "") -> list[MlflowRun]:
        """All runs of some experiments that an MLflow query finds, newest first."""
        client = self.client
        return all_pages(
            lambda token: client.search_runs(
                list(experiments), query, ViewType.ACTIVE_ONLY, max_results=1000, page_token=token
            )
        )

    def read_text(self, run: MlflowRun, path: str) -> str:
        """Read a text file that a run logged.

        Raises:
            StudyError: when it is not there.
        """
        location = f"{run.info.artifact_uri.rstrip('/')}/{path}"
        with tempfile.TemporaryDirectory() as temporary:
            place = None if location.startswith(("file:", "/")) else temporary  # a file here is read where it is
            try:
                local = download_artifacts(artifact_uri=location, tracking_uri=self.tracking_uri, dst_path=place)
                return Path(local).read_text()
            except (MlflowException, OSError) as error:
                raise StudyError(
                    f"{path} of the run {run.info.run_id} is gone ({one_line(error)}); delete the run in the UI and "
                    "give the same command again"
                ) from error

    def lock(self, name: str, timeout_s: float = -1) -> FileLock:
        """A lock of this store's processes on this machine, which the system takes back when its holder dies.

        Args:
            name: what is locked.
            timeout_s: how long to wait for it before `filelock.Timeout` is raised; for ever when negative.
        """
        folder = self.home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock", timeout=timeout_s)

    def close_leftovers(self, experiment: str, parent: str) -> None:
        """End the runs under a parent that this machine left open; call it only when nothing writes to them."""
        query = f"tags.mlflow.parentRunId = '{parent}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([experiment], query, max_results=1000):
            if run.data.tags.get(f"{PREFIX}host") == platform.node():
                Run(self, run.info.run_id, experiment).end("KILLED", "interrupted")


def all_pages(search: Callable[[str | None], PagedList[Item]]) -> list[Item]:
    """Everything that a search of MLflow's client finds, page by page.

    Args:
        search: searches from a page's token on.
    """
    page = search(None)
    found = list(page)
    while page.token:
        page = search(page.token)
        found += page
    return found


def write_ahead(database: Path) -> None:
    """Switch an SQLite file to write-ahead logging, with which readers and a writer do not wait for each other."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
