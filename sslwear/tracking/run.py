"""MLflow runs, written by id and in batches, through `sslwear.tracking.records`."""

from __future__ import annotations

import json
import shlex
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Dataset as TrackedDataset
from mlflow.entities import DatasetInput, InputTag

from sslwear.data.dataset import Dataset
from sslwear.data.shards import Shards
from sslwear.encoders import checksums, weights
from sslwear.encoders.base import Network
from sslwear.encoders.card import CARD, CHECKPOINT, Card, write_encoder
from sslwear.reports.plain_text import any_letters
from sslwear.tracking import records
from sslwear.tracking.outages import is_interruption
from sslwear.tracking.provenance import PREFIX
from sslwear.tracking.records import Record
from sslwear.training import EpochRecord
from sslwear.utils import plugins
from sslwear.utils.csv_cells import csv_text
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.masking import masked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sslwear.tracking.store import Store

NOTE = "mlflow.note.content"
SYSTEM_METRICS = "system/"
CLASSIFIER = "classifier"
"""MLflow model type of registered models; a run's own checkpoints have another type."""
OLD_KINDS = {"evaluated": "cross_validation", "evaluation": "cross_validation_job"}
"""Kinds of runs in stores of version 0.1, and their current names."""
RUN_URI, MODEL_URI = "runs:/", "models:/"
PLUGINS = "plugins"
"""Folder of a run with its plug-in files."""
MAX_PARAM = 5000
"""Maximum length of a parameter in characters; MLflow refuses more than 6,000."""


def participant_params(**sides: Iterable[object]) -> dict[str, str]:
    """Parameters with the participants of each side of a split, such as ``train_participants``.

    Names with spaces are quoted, and long lists are cut off.

    Args:
        sides: participants by side, such as ``train`` and ``validation``.
    """
    return {f"{side}_participants": shlex.join(map(str, who))[:MAX_PARAM] for side, who in sides.items()}


def participant_names(text: str) -> list[str] | None:
    """Names in a parameter of `participant_params`; None if the list was cut off."""
    return None if len(text) >= MAX_PARAM else shlex.split(text)


@dataclass(frozen=True)
class Run:
    """MLflow run.

    Attributes:
        store: the store.
        id: id of the run.
        experiment: id of its experiment.
    """

    store: Store
    id: str
    experiment: str

    @property
    def _client(self) -> MlflowClient:
        return self.store.client

    def params(self, params: Mapping[str, Any]) -> None:
        """Log parameters in one request."""
        self._write(records.batch(self.id, params={key: masked(str(value)) for key, value in params.items()}))

    def has_params(self) -> bool:
        """Whether the run has parameters."""
        return bool(self._client.get_run(self.id).data.params)

    def metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics of a step in one request."""
        self._write(records.batch(self.id, metrics=metrics, step=step))

    def epochs(self) -> Callable[[EpochRecord], None]:
        """Callback of `sslwear.training.fit` that logs losses, scores and changed learning rates of each epoch.

        Numbers of learning parameters of the first epoch are parameters of the run; later changes are metrics.
        """
        before: EpochRecord | None = None

        def log(record: EpochRecord) -> None:
            nonlocal before
            found = {"train_loss": record.train_loss, "val_loss": record.validation_loss}
            found |= {f"val_{name}": value for name, value in record.scores.items()}
            if before is None or record.learning != before.learning:
                found |= {f"learning_rate/{part}": how.rate for part, how in record.learning.items()}
                counts = {f"learning_parameters/{part}": how.parameters for part, how in record.learning.items()}
                if before is None:
                    self.params(counts)
                elif [how.parameters for how in before.learning.values()] != list(counts.values()):
                    found |= counts
            self.metrics({**found, "epoch_seconds": record.seconds}, record.epoch)
            before = record

        return log

    def tags(self, **tags: str) -> None:
        """Set tags, by name without the prefix ``sslwear.``."""
        self._write(records.batch(self.id, tags={f"{PREFIX}{key}": masked(value) for key, value in tags.items()}))

    def copy(self, origin: str) -> None:
        """Copy the parameters, last metrics and data sets of another run to this one."""
        run = self._client.get_run(origin)
        step = int(run.data.metrics.get("best_epoch", 0))
        self.params(run.data.params)
        metrics = {key: value for key, value in run.data.metrics.items() if not key.startswith(SYSTEM_METRICS)}
        self.metrics(metrics, step)
        if run.inputs is not None:
            self._write(records.datasets(self.id, run.inputs.dataset_inputs))

    def describe(self, text: str) -> None:
        """Set the description of the run, Markdown."""
        self._write(records.tag(self.id, NOTE, masked(text)))

    def text(self, text: str, path: str) -> None:
        """Log a text file with passwords masked."""
        self._write(records.text(self.id, masked(text), path))

    def table(self, table: pd.DataFrame, path: str) -> None:
        """Log a table as a CSV file that is safe to open in a spreadsheet, with passwords masked."""
        self.text(csv_text(table), path)

    def plugins(self, paths: Iterable[str]) -> None:
        """Log the loaded content of plug-in files, in the folder ``plugins``, numbered as in the settings."""
        for number, path in enumerate(paths):
            self._write(records.text(self.id, plugins.content(path).decode(), f"{PLUGINS}/{number}.py"))

    def page(self, html: str, path: str) -> None:
        """Log a generated HTML page without masking, which would damage its scripts."""
        self._write(records.text(self.id, html, path))

    def figure(self, figure: Figure, path: str) -> None:
        """Log a figure as an image file."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / Path(path).name
            with any_letters():
                figure.savefig(local, dpi=130)
            self._write(records.file(self.id, Path(folder), str(Path(path).parent) if "/" in path else None))

    def dataset(self, dataset: Dataset | Shards, windows: Mapping[str, int]) -> None:
        """Log a data set with its fingerprint, and the number of windows by use, such as ``train``."""
        self.datasets([dataset], windows)

    def datasets(self, parts: Iterable[Dataset | Shards], windows: Mapping[str, int]) -> None:
        """Log several data sets with their fingerprints, and the total number of windows by use."""
        context = InputTag("mlflow.data.context", ", ".join(windows))  # MLflow shows one context for a data set
        self._write(records.datasets(self.id, [DatasetInput(self._tracked(part), [context]) for part in parts]))
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
        """Log a network as an MLflow model with its scores, without pickling.

        Args:
            network: network with the weights.
            card: description of the network, written beside it as JSON.
            metrics: scores of the network.
            step: epoch of the weights.
        """
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            weights.save(network, folder / CHECKPOINT)
            (folder / CARD).write_text(card.to_json(), encoding="utf-8")
            write_encoder(folder, card)
            checksums.write(folder)
            known = self.store.kept is not None
            self._write(records.checkpoint(self.id, self.experiment, card.encoder, folder, metrics, step, known))

    def end(self, status: str, outcome: str) -> None:
        """End the run.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            outcome: value of the tag ``outcome``: ``finished``, ``pruned``, ``failed`` or ``interrupted``.
        """
        self.tags(outcome=outcome)
        self._write(records.end(self.id, status))

    def fail(self, error: BaseException) -> None:
        """End the run as failed, and log the traceback as a text file."""
        self.end("FAILED", "failed")
        self.text("".join(traceback.format_exception(error)), "traceback.txt")

    def reopen(self) -> None:
        """Set the status of an ended run to running, as a run of this process."""
        self.tags(process=self.store.process())
        self._write(records.reopened(self.id))

    def _write(self, record: Record) -> None:
        """Log something; while a server cannot be reached, it is kept on disk."""
        if self.store.kept is None:
            records.send(self._client, record)
        else:
            self.store.kept.write(self._client, record, self.store.process)


@contextmanager
def managed(create: Callable[[], Run]) -> Iterator[Run]:
    """Run that ends with the block; an error's traceback is logged.

    Args:
        create: creates the run; signals are deferred during the call.
    """
    run: Run | None = None
    try:
        with signals_deferred():
            run = create()
        yield run
        with signals_deferred():
            run.end("FINISHED", "finished")
    except BaseException as error:
        with signals_deferred():
            if run is not None and is_interruption(error):
                run.end("KILLED", "interrupted")
            elif run is not None:
                run.fail(error)
        raise
