"""MLflow: the store, and runs written through explicit run ids, metrics in batches."""

from __future__ import annotations

import json
import logging
import os
import platform
import shlex
import sqlite3
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock
from matplotlib.figure import Figure

from sslwear.data.dataset import Dataset
from sslwear.data.shards import Shards
from sslwear.encoders import weights
from sslwear.encoders.base import Network
from sslwear.errors import StudyError
from sslwear.interruption import undisturbed
from sslwear.model import CARD, CHECKPOINT, Card
from sslwear.provenance import PREFIX, provenance
from sslwear.secrets import masked, one_line
from sslwear.training import EpochRecord

for _variable, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # before mlflow is imported, or it looks up a host
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # a server that is not there is told after seconds, not minutes
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}.items():
    os.environ.setdefault(_variable, _value)
for _name in ("alembic", "mlflow.pyfunc", "mlflow.store.db.utils"):
    logging.getLogger(_name).setLevel(logging.WARNING)

from mlflow import MlflowClient  # noqa: E402
from mlflow.artifacts import download_artifacts  # noqa: E402
from mlflow.entities import (  # noqa: E402
    Dataset as TrackedDataset,
)
from mlflow.entities import (  # noqa: E402
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from mlflow.entities import Run as MlflowRun  # noqa: E402
from mlflow.entities.lifecycle_stage import LifecycleStage  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode  # noqa: E402

HOME_VARIABLE = "SSLWEAR_HOME"
STORAGE_VARIABLE = "SSLWEAR_STORAGE"
NOTE = "mlflow.note.content"
SYSTEM_METRICS = "system/"
CLASSIFIER = "classifier"
"""Type of the logged models that are registered, which are made of a checkpoint."""
RUN_URI, MODEL_URI = "runs:/", "models:/"
MAX_PARAM = 5000
"""Characters of a parameter that are kept; MLflow would refuse more than 6,000."""


def people(**sides: Iterable[object]) -> dict[str, str]:
    """Parameters that say who is on which side, such as ``train_participants``, as far as there is room; names with
    spaces are quoted.
    """
    return {f"{side}_participants": shlex.join(map(str, who))[:MAX_PARAM] for side, who in sides.items()}


def named(text: str) -> list[str] | None:
    """The names in what `people` gives; None where they did not all fit."""
    return None if len(text) >= MAX_PARAM else shlex.split(text)


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

    def start(
        self, experiment: str, name: str, kind: str, parent: str | None = None, note: str | None = None, **tags: str
    ) -> Run:
        """Start a run.

        Args:
            experiment: the experiment's id.
            name: what the UI calls it.
            kind: ``study``, ``trial``, ``pretraining``, ``train``, ``evaluated`` or ``evaluation``.
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
    def running(
        self, experiment: str, name: str, kind: str, parent: str | None = None, note: str | None = None, **tags: str
    ) -> Iterator[Run]:
        """Keep a run open in a block, see `start`; it ends as the block does: finished, interrupted by the user, or
        failed with the traceback.
        """
        with self.accounted_for(lambda: self.start(experiment, name, kind, parent, note, **tags)) as run:
            yield run

    @contextmanager
    def accounted_for(self, opened: Callable[[], Run], clear: Callable[[Run], None] | None = None) -> Iterator[Run]:
        """Keep a run open in a block, and leave nothing running behind, however the block ends.

        Args:
            opened: gives the run; signals wait until it has.
            clear: ends what the block left under the run when it raises; None for a run that is alone, which keeps the
                traceback of what failed itself.
        """
        run: Run | None = None
        try:
            with undisturbed():
                run = opened()
            yield run
            with undisturbed():
                run.end("FINISHED", "finished")
        except BaseException as error:
            with undisturbed():
                if run is not None and isinstance(error, KeyboardInterrupt):
                    run.end("KILLED", "interrupted")
                elif run is not None and clear is None:
                    run.fail(error)
                elif run is not None:
                    run.end("FAILED", "failed")
                if run is not None and clear is not None:
                    clear(run)
            raise

    def run(self, run_id: str) -> MlflowRun | None:
        """What is kept of a run; None where it is not there any more, or was deleted in the UI."""
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise
        return run if run.info.lifecycle_stage == LifecycleStage.ACTIVE else None

    def find(self, experiment: str | None, **tags: str) -> list[MlflowRun]:
        """Runs of an experiment, or of all, that have all these tags (names without ``sslwear.``), newest first."""
        query = " and ".join(f"tags.`{PREFIX}{key}` = '{value}'" for key, value in tags.items())
        among = [experiment] if experiment else [e.experiment_id for e in self.client.search_experiments()]
        found: list[MlflowRun] = []
        token = None
        while True:
            page = self.client.search_runs(among, query, ViewType.ACTIVE_ONLY, max_results=1000, page_token=token)
            found += page
            if not (token := page.token):
                return found

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


@dataclass(frozen=True)
class Run:
    """One MLflow run, written by its id."""

    store: Store
    id: str
    experiment: str

    @property
    def _client(self) -> MlflowClient:
        return self.store.client

    def params(self, params: Mapping[str, Any]) -> None:
        """Log parameters in one call."""
        self._client.log_batch(self.id, params=[Param(key, masked(str(value))) for key, value in params.items()])

    def has_params(self) -> bool:
        """Whether parameters were logged."""
        return bool(self._client.get_run(self.id).data.params)

    def metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics at a step in one call."""
        now = int(time.time() * 1000)
        self._client.log_batch(self.id, metrics=[Metric(key, value, now, step) for key, value in metrics.items()])

    def epochs(self) -> Callable[[EpochRecord], None]:
        """What logs one epoch after another at its step: losses, scores, and what learnt how fast where that is new."""
        before: EpochRecord | None = None

        def log(record: EpochRecord) -> None:
            nonlocal before
            found = {"train_loss": record.train_loss, "val_loss": record.validation_loss}
            found |= {f"val_{name}": value for name, value in record.scores.items()}
            if before is None or record.learning != before.learning:
                found |= {f"learning_rate/{part}": how.rate for part, how in record.learning.items()}
                found |= {f"learning_parameters/{part}": how.parameters for part, how in record.learning.items()}
            self.metrics({**found, "epoch_seconds": record.seconds}, record.epoch)
            before = record

        return log

    def tags(self, **tags: str) -> None:
        """Set tags, by name without the prefix ``sslwear.``."""
        self._client.log_batch(self.id, tags=[RunTag(f"{PREFIX}{key}", masked(value)) for key, value in tags.items()])

    def copy(self, origin: str) -> None:
        """Log another run's parameters, last metrics and data set as this one's."""
        run = self._client.get_run(origin)
        step = int(run.data.metrics.get("best_epoch", 0))
        self.params(run.data.params)
        measured = {key: value for key, value in run.data.metrics.items() if not key.startswith(SYSTEM_METRICS)}
        self.metrics(measured, step)
        if run.inputs is not None:
            self._client.log_inputs(self.id, run.inputs.dataset_inputs)

    def describe(self, text: str) -> None:
        """Set the run's description (Markdown)."""
        self._client.set_tag(self.id, NOTE, masked(text))

    def text(self, text: str, path: str) -> None:
        """Log a text file, passwords masked."""
        self._client.log_text(self.id, masked(text), path)

    def page(self, html: str, path: str) -> None:
        """Log a page of our own making as it is: the programs in it are full of what looks like passwords."""
        self._client.log_text(self.id, html, path)

    def figure(self, figure: Figure, path: str) -> None:
        """Log a picture."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / Path(path).name
            figure.savefig(local, dpi=130)
            self._client.log_artifact(self.id, str(local), str(Path(path).parent) if "/" in path else None)

    def dataset(self, dataset: Dataset | Shards, windows: Mapping[str, int]) -> None:
        """Log the data set with its fingerprint, and how many of its windows are used for what (such as ``train``)."""
        self.datasets([dataset], windows)

    def datasets(self, parts: Iterable[Dataset | Shards], windows: Mapping[str, int]) -> None:
        """Log data sets that are used together, and how many windows in all are used for what."""
        context = InputTag("mlflow.data.context", ", ".join(windows))  # MLflow shows one context a data set
        self._client.log_inputs(self.id, [DatasetInput(self._tracked(part), [context]) for part in parts])
        self.params({f"{side}_windows": count for side, count in windows.items()})

    @staticmethod
    def _tracked(dataset: Dataset | Shards) -> TrackedDataset:
        description = dataset.description
        source = {"uri": dataset.folder.resolve().as_uri(), "source": masked(description.source or "")}
        profile = {
            "windows": len(dataset),
            "participants": len(dataset.participants),
            "classes": dataset.class_names,
            "fingerprint": dataset.fingerprint,
        }
        return TrackedDataset(
            name=description.name,
            digest=dataset.fingerprint[:12],
            source_type="local",
            source=json.dumps(source),
            profile=json.dumps(profile),
        )

    def checkpoint(self, network: Network, card: Card, metrics: Mapping[str, float], step: int) -> None:
        """Log a network as a model with its scores, without pickling.

        Args:
            network: what to save.
            card: what is needed to build it again, written beside it as JSON.
            metrics: its scores.
            step: the epoch that it is from.
        """
        model = self._client.create_logged_model(
            self.experiment, name=card.encoder, source_run_id=self.id, model_type=card.encoder
        )
        with tempfile.TemporaryDirectory() as folder:
            weights.save(network, Path(folder) / CHECKPOINT)
            (Path(folder) / CARD).write_text(card.to_json())
            self._client.log_model_artifacts(model.model_id, folder)
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(self.id, [LoggedModelOutput(model.model_id, step)])
        now = int(time.time() * 1000)
        scored = [Metric(key, value, now, step, model_id=model.model_id) for key, value in metrics.items()]
        self._client.log_batch(self.id, metrics=scored)

    def end(self, status: str, outcome: str) -> None:
        """End the run.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            outcome: the same in our words, kept as a tag: ``finished``, ``pruned``, ``failed``, ``interrupted``.
        """
        self.tags(outcome=outcome)
        self._client.set_terminated(self.id, status)

    def fail(self, error: BaseException) -> None:
        """End the run as failed, with the error's traceback as a text file."""
        self.end("FAILED", "failed")
        self.text("".join(traceback.format_exception(error)), "traceback.txt")

    def reopen(self) -> None:
        """Let an ended run go on."""
        self._client.update_run(self.id, status="RUNNING")


def write_ahead(database: Path) -> None:
    """Switch an SQLite file to write-ahead logging, with which readers and a writer do not wait for each other."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
