"""What a run logs, as records that can be sent at once, or kept as JSON and files and sent later.

A record can be sent twice without harm, because the answer to the first attempt may be lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)

from sslwear.tracking.provenance import PREFIX
from sslwear.tracking.retry import impatient

TOKEN = f"{PREFIX}record"
"""Tag of a model that was logged on a server: the record that it belongs to."""
STATE = {f"{PREFIX}outcome", f"{PREFIX}process"}
"""Tags of a run that belong to the process that has it."""
CHECKPOINT = "checkpoint"
"""Kind of the records with a network."""
READY = LoggedModelStatus.READY


@dataclass(frozen=True)
class Record:
    """Something that a run logs.

    Attributes:
        run: id of the run.
        kind: see `SENDERS`.
        content: its values, which JSON can express.
        files: folder with its files; None for a record without files.
    """

    run: str
    kind: str
    content: Mapping[str, Any]
    files: Path | None = None


def now_ms() -> int:
    """Time in milliseconds, as MLflow records it."""
    return int(time.time() * 1000)


def batch(
    run: str,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    step: int = 0,
) -> Record:
    """Parameters, metrics of a step, and tags, which are logged in one request; metrics have the present time."""
    values = [(key, float(value)) for key, value in (metrics or {}).items()]
    content = {"params": dict(params or {}), "metrics": values, "tags": dict(tags or {})}
    return Record(run, "batch", {**content, "step": int(step), "time": now_ms()})


def tag(run: str, key: str, value: str) -> Record:
    """One tag, whose value may be long."""
    return Record(run, "tag", {"key": key, "value": value})


def text(run: str, content: str, path: str) -> Record:
    """A text file."""
    return Record(run, "text", {"text": content, "path": path})


def file(run: str, folder: Path, place: str | None) -> Record:
    """Files of a folder.

    Args:
        run: id of the run.
        folder: folder with the files.
        place: folder of the run that receives them; None for its first one.
    """
    return Record(run, "file", {"place": place}, folder)


def datasets(run: str, given: Iterable[DatasetInput]) -> Record:
    """Data sets that the run uses."""
    return Record(run, "datasets", {"datasets": [one.to_dictionary() for one in given]})


def checkpoint(
    run: str, experiment: str, name: str, folder: Path, metrics: Mapping[str, float], step: int, known: bool
) -> Record:
    """A network as an MLflow model with its scores.

    Args:
        run: id of the run.
        experiment: id of its experiment.
        name: name and type of the model.
        folder: files of the model.
        metrics: its scores.
        step: epoch of its weights.
        known: whether the model has a tag by which a second attempt finds it.
    """
    scores = [(key, float(value)) for key, value in metrics.items()]
    content = {"experiment": experiment, "name": name, "metrics": scores, "step": int(step), "time": now_ms()}
    return Record(run, CHECKPOINT, {**content, "token": uuid4().hex if known else None}, folder)


def end(run: str, status: str) -> Record:
    """The end of a run at the present time."""
    return Record(run, "end", {"status": status, "time": now_ms()})


def reopened(run: str) -> Record:
    """A run that goes on after its end."""
    return Record(run, "reopened", {})


def send(client: MlflowClient, record: Record, again: bool = False) -> None:
    """Send a record to MLflow.

    Args:
        client: MLflow's client.
        record: the record.
        again: whether an earlier attempt may have reached the server.
    """
    SENDERS[record.kind](client, record, again)


def is_overtaken(client: MlflowClient, record: Record, process: str) -> bool:
    """Whether a record says how a run ended that another process has resumed since.

    Args:
        client: MLflow's client.
        record: the record.
        process: the one that made it.
    """
    tags = record.content.get("tags", {})
    if record.kind != "end" and not tags.keys() & STATE:
        return False
    with impatient():
        found = client.get_run(record.run).data.tags.get(f"{PREFIX}process", process)
    return found != process and tags.get(f"{PREFIX}process") != process


def _batch(client: MlflowClient, record: Record, _: bool) -> None:
    given = record.content
    client.log_batch(
        record.run,
        metrics=[Metric(key, value, given["time"], given["step"]) for key, value in given["metrics"]],
        params=[Param(key, value) for key, value in given["params"].items()],
        tags=[RunTag(key, value) for key, value in given["tags"].items()],
    )


def _tag(client: MlflowClient, record: Record, _: bool) -> None:
    client.set_tag(record.run, record.content["key"], record.content["value"])


def _text(client: MlflowClient, record: Record, _: bool) -> None:
    client.log_text(record.run, record.content["text"], record.content["path"])


def _file(client: MlflowClient, record: Record, _: bool) -> None:
    assert record.files is not None
    for path in sorted(record.files.iterdir()):
        client.log_artifact(record.run, str(path), record.content["place"])


def _datasets(client: MlflowClient, record: Record, _: bool) -> None:
    given = record.content["datasets"]
    inputs = [
        DatasetInput(Dataset(**one["dataset"]), [InputTag(key, value) for key, value in one["tags"].items()])
        for one in given
    ]
    client.log_inputs(record.run, inputs)


def _checkpoint(client: MlflowClient, record: Record, again: bool) -> None:
    assert record.files is not None
    given, run = record.content, record.run
    model = _begun(client, record) if again else None
    if model is None:
        tags = {TOKEN: given["token"]} if given["token"] is not None else None
        model = client.create_logged_model(
            given["experiment"], name=given["name"], source_run_id=run, tags=tags, model_type=given["name"]
        )
    if model.status != READY:
        client.log_model_artifacts(model.model_id, str(record.files))
        client.finalize_logged_model(model.model_id, READY)
    outputs = client.get_run(run).outputs if again else None
    if outputs is None or model.model_id not in [output.model_id for output in outputs.model_outputs]:
        client.log_outputs(run, [LoggedModelOutput(model.model_id, given["step"])])
    scored = [
        Metric(key, value, given["time"], given["step"], model_id=model.model_id) for key, value in given["metrics"]
    ]
    client.log_batch(run, metrics=scored)


def _begun(client: MlflowClient, record: Record) -> LoggedModel | None:
    """The model that an earlier attempt made; None if there is none."""
    found = client.search_logged_models([record.content["experiment"]], f"source_run_id = '{record.run}'")
    return next((model for model in found if model.tags.get(TOKEN) == record.content["token"]), None)


def _end(client: MlflowClient, record: Record, _: bool) -> None:
    client.set_terminated(record.run, record.content["status"], record.content["time"])


def _reopened(client: MlflowClient, record: Record, _: bool) -> None:
    client.update_run(record.run, status="RUNNING")


SENDERS: dict[str, Callable[[MlflowClient, Record, bool], None]] = {
    "batch": _batch,
    "tag": _tag,
    "text": _text,
    "file": _file,
    "datasets": _datasets,
    CHECKPOINT: _checkpoint,
    "end": _end,
    "reopened": _reopened,
}
"""How each kind of record is sent."""
