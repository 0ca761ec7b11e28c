"""Store of runs, studies and prepared data sets."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import Timeout
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.entities.lifecycle_stage import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode

from sslwear.config import Settings
from sslwear.data.dataset import Dataset
from sslwear.data.loading import open_data, open_windows
from sslwear.data.pretraining import PretrainingData, open_pretraining_data
from sslwear.data.shards import Shards
from sslwear.errors import StudyError
from sslwear.tracking import addresses, databases, open_runs
from sslwear.tracking.client import TRACKING_VARIABLE, all_pages, end_runs, open_client
from sslwear.tracking.environment import set_defaults
from sslwear.tracking.offline_records import KeptRecords, kept_records
from sslwear.tracking.provenance import PREFIX, provenance
from sslwear.tracking.run import NOTE, OLD_KINDS, Run, managed
from sslwear.training import FeatureCache
from sslwear.utils.locks import file_lock
from sslwear.utils.masking import masked, one_line
from sslwear.utils.paths import user_path

HOME_VARIABLE = "SSLWEAR_HOME"
STORAGE_VARIABLE = "SSLWEAR_STORAGE"


@dataclass(frozen=True)
class Store:
    """Store of runs, studies and prepared data sets.

    Attributes:
        home: folder of the embedded databases, artifacts and prepared data sets.
        tracking_uri: URI of MLflow's store.
        storage_url: URL of Optuna's storage.
        read_only: whether the embedded databases are only read, because this user may not write to them.
    """

    home: Path
    tracking_uri: str
    storage_url: str
    read_only: bool = False

    def __post_init__(self) -> None:
        set_defaults()

    @classmethod
    def from_environment(cls, write: bool = True, settings: Settings | None = None) -> Store:
        """Store of ``SSLWEAR_HOME`` (default ``mlruns``), ``MLFLOW_TRACKING_URI`` and ``SSLWEAR_STORAGE``.

        Args:
            write: whether the caller writes to the store; reading alone needs no permission to write.
            settings: a study file's, whose addresses are used where the environment has none.

        Raises:
            StudyError: when the folder cannot be written to, or an address has no meaning.
        """
        home = Path(os.path.realpath(user_path(os.environ.get(HOME_VARIABLE) or "mlruns")))
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"cannot create the folder {home} ({error.strerror}). Set {HOME_VARIABLE} to another folder"
            ) from error
        files = [home / "mlflow.db", home / "optuna.db"]
        read_only = not all(os.access(path, os.W_OK) for path in [home, *filter(Path.exists, files)])
        if read_only and write:
            raise StudyError(f"cannot write to the store in {home}. Set {HOME_VARIABLE} to another folder")
        runs, trials = (databases.url_of(path, read_only) for path in files)
        tracking, storage = os.environ.get(TRACKING_VARIABLE), os.environ.get(STORAGE_VARIABLE)
        if tracking:
            addresses.check_tracking(TRACKING_VARIABLE, tracking)
        elif settings is not None and (tracking := settings.tracking):
            addresses.check_tracking("tracking of the study file", tracking)
        if storage:
            addresses.check_database(STORAGE_VARIABLE, storage)
        elif settings is not None and (storage := settings.storage):
            addresses.check_database("storage of the study file", storage)
        return cls(home, tracking or runs, storage or trials, read_only)

    def open_dataset(self, data: str) -> Dataset:
        """Open what a study file's ``data:`` names, see `sslwear.data.loading.open_data`.

        Windows of a source that ships its recordings are prepared in this store, once.

        Args:
            data: path of a data set directory, or name of such a source.

        Raises:
            DataError: when it is neither, or cannot be used.
        """
        return open_data(data, self.home)

    def open_windows(self, data: str) -> Dataset | Shards:
        """Open a data set or a directory of unlabelled shards, see `sslwear.data.loading.open_windows`.

        Raises:
            DataError: when it is neither, or cannot be used.
        """
        return open_windows(data, self.home)

    def open_pretraining_data(self, places: Sequence[str], include_nonwear: bool = False) -> PretrainingData:
        """Open what a study file's ``pretraining.data:`` names.

        Raises:
            DataError: when a place cannot be used.
        """
        return open_pretraining_data(places, self.home, include_nonwear)

    def feature_cache(self, memory_gb: float, disk_gb: float) -> FeatureCache:
        """Cache of the outputs of frozen blocks, shared by all studies of this store."""
        return FeatureCache(self.home / "cache" / "features", int(memory_gb * 1e9), int(disk_gb * 1e9))

    @property
    def embedded(self) -> bool:
        """Whether runs are stored in the folder `home`."""
        path = self.home / "mlflow.db"
        return self.tracking_uri in (databases.url_of(path), databases.url_of(path, read_only=True))

    @property
    def remote(self) -> bool:
        """Whether runs are on a server, which may be away for a while."""
        return databases.path_of(self.tracking_uri) is None and not self.embedded

    @cached_property
    def kept(self) -> KeptRecords | None:
        """What runs of this process log while the server is away; None for a file, which is never away."""
        return kept_records(self.home, self.tracking_uri) if self.remote else None

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow client; a missing database is created, and runs that a killed process left open are ended.

        Raises:
            StudyError: when the store does not answer, or must be upgraded.
        """
        return open_client(self)

    def initialising(self) -> AbstractContextManager[None]:
        """Lock under which databases are created, upgraded and moved, and runs of killed processes are ended."""
        return file_lock(self.home / ".initialise.lock")

    def process(self) -> str:
        """Name of this process in tags of runs that it writes, see `sslwear.tracking.open_runs`."""
        with self.initialising():
            return open_runs.own_name(self.home / "locks")

    def experiment(self, name: str) -> str:
        """Id of the experiment of a name; a missing experiment is created.

        Raises:
            StudyError: when the experiment was deleted in the UI.
        """
        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = (self.home / "artifacts" / name).as_uri() if self.embedded else None
            try:
                return self.client.create_experiment(name, artifact_location=location)
            except MlflowException as error:
                if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                    raise
                return self.experiment(name)  # another machine has just created it
        if found.lifecycle_stage == "deleted":
            raise StudyError(
                f"the MLflow experiment {name!r} was deleted. Restore it with 'mlflow experiments restore "
                f"--experiment-id {found.experiment_id}', or give the study another name with --set study=NAME"
            )
        return found.experiment_id

    def create_run(
        self, experiment: str, name: str, kind: str, parent: str | None = None, note: str | None = None, **tags: str
    ) -> Run:
        """New run.

        Args:
            experiment: id of the experiment.
            name: name of the run in the UI.
            kind: ``study``, ``trial``, ``pretraining``, ``train``, ``cross_validation`` or
                ``cross_validation_job``.
            parent: id of the parent run.
            note: description of the run, Markdown.
            tags: more tags, by name without the prefix ``sslwear.``.
        """
        ours = {"kind": kind, "host": platform.node(), "process": self.process(), **tags}
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
        """New run that ends with the block: finished, interrupted (also by an outage) or failed; see `create_run`."""
        with managed(lambda: self.create_run(experiment, name, kind, parent, note, **tags)) as run:
            yield run

    def find_run(self, run_id: str) -> MlflowRun | None:
        """Run by id; None if it does not exist or was deleted in the UI."""
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise
        return run if run.info.lifecycle_stage == LifecycleStage.ACTIVE else None

    def find_runs(self, experiment: str | None, **tags: str) -> list[MlflowRun]:
        """Runs of an experiment, or of all, with some tags (names without ``sslwear.``), newest first."""
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
        """Runs of some experiments that match an MLflow query, newest first."""
        client = self.client
        return all_pages(
            lambda token: client.search_runs(
                list(experiments), query, ViewType.ACTIVE_ONLY, max_results=1000, page_token=token
            )
        )

    def read_text(self, run: MlflowRun, path: str) -> str:
        """Content of a text file of a run.

        Raises:
            StudyError: when the file does not exist.
        """
        location = f"{run.info.artifact_uri.rstrip('/')}/{path}"
        with tempfile.TemporaryDirectory() as temporary:
            place = (
                None if location.startswith(("file:", "/")) else temporary
            )  # a file on this machine is read in place
            try:
                local = download_artifacts(artifact_uri=location, tracking_uri=self.tracking_uri, dst_path=place)
                return Path(local).read_bytes().decode()  # MLflow writes UTF-8 in every locale
            except (MlflowException, OSError) as error:
                raise StudyError(
                    f"{path} of the run {run.info.run_id} cannot be read ({one_line(error)}). If it was deleted, "
                    "delete the run in the UI and repeat the command"
                ) from error

    @contextmanager
    def lock(self, name: str, busy: str) -> Iterator[None]:
        """Lock between processes of this store on this machine; it is released when its process ends.

        Args:
            name: name of the lock.
            busy: message of the error if another process holds it.

        Raises:
            StudyError: when another process holds the lock, or its file belongs to another user.
        """
        try:
            with file_lock(self.home / "locks" / f"{name}.lock", 0):
                yield
        except Timeout as error:
            raise StudyError(busy) from error

    def close_leftovers(self, experiment: str, parent: str) -> None:
        """End open child runs of this process, and of processes of this machine that have ended."""
        query = f"tags.mlflow.parentRunId = '{parent}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([experiment], query, max_results=1000):
            writer = run.data.tags.get(f"{PREFIX}process")
            free = writer in (None, self.process()) or self.is_dead(str(writer)) is True
            if free and run.data.tags.get(f"{PREFIX}host") == platform.node():
                Run(self, run.info.run_id, experiment).end("KILLED", "interrupted")

    def is_dead(self, process: str) -> bool | None:
        """Whether a process that writes runs has ended; None if this machine cannot know."""
        return open_runs.is_dead(self.home / "locks", process)

    def end_runs(self, process: str) -> None:
        """End the open runs of a process that has ended, or that was given up."""
        end_runs(self.client, process)
