"""Weights and cards of runs and of registered models, by their MLflow address."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel
from mlflow.entities import Run as MlflowRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from torch import Tensor

from sslwear.encoders import weights
from sslwear.encoders.classifier import CARD, CHECKPOINT, MODEL_ARTIFACTS
from sslwear.errors import WeightsError
from sslwear.tracking import CLASSIFIER, MODEL_URI, RUN_URI, Store
from sslwear.utils.masking import masked, one_line


def load_weights(store: Store, uri: str) -> dict[str, Tensor]:
    """Read the checkpoint of a run (``runs:/ID``) or of a registered model (``models:/NAME@alias`` or
    ``models:/NAME/VERSION``) of ours.

    Raises:
        WeightsError: when there is none.
    """
    with model_folder(store, uri, (CHECKPOINT,)) as folder:
        return weights.read(folder / CHECKPOINT)


@contextmanager
def model_folder(store: Store, uri: str, names: Sequence[str] = (CHECKPOINT, CARD)) -> Iterator[Path]:
    """A folder with the weights and the card of a run or of a registered model, see `load_weights`.

    Nothing but these files is fetched, under their own names, whatever else the run holds.

    Raises:
        WeightsError: when they are not there.
    """
    with tempfile.TemporaryDirectory() as temporary:
        try:
            folder = _fetch(store, _location(store, uri).rstrip("/"), names, Path(temporary))
        except (MlflowException, OSError) as error:
            raise WeightsError(
                f"weights: {uri} has no checkpoint of ours in {masked(store.tracking_uri)} ({one_line(error)}); "
                "copy a run's id from the UI, or give models:/NAME@alias"
            ) from error
        yield folder


def _fetch(store: Store, location: str, names: Sequence[str], place: Path) -> Path:
    """The folder of some files of a model, which are read where they are when the store is on this machine."""
    for inside in (f"/{MODEL_ARTIFACTS}", ""):  # of a registered model, of a run's checkpoint
        with suppress(MlflowException, OSError) if inside else nullcontext():
            fetched = [
                Path(
                    download_artifacts(
                        artifact_uri=f"{location}{inside}/{name}",
                        tracking_uri=store.tracking_uri,
                        dst_path=None if location.startswith(("file:", "/")) else str(place),
                    )
                )
                for name in names
            ]
            return fetched[0].parent
    raise AssertionError("the last attempt either returns or raises")


def _location(store: Store, uri: str) -> str:
    if uri.startswith(RUN_URI):
        run = store.client.get_run(uri.removeprefix(RUN_URI).strip("/"))
        models = checkpoints(store, run)
        if not models:
            raise OSError("the run logged no checkpoint")
        return models[0].artifact_location
    version = registered(store, uri)
    return str(store.client.get_model_version_download_uri(version.name, str(version.version)))


def resolved(store: Store, uri: str) -> str:
    """What a study file's ``weights:`` means now: a version in place of an alias, which may move; else as it is."""
    if uri.startswith(MODEL_URI):
        with suppress(MlflowException, OSError):
            version = registered(store, uri)
            return f"{MODEL_URI}{version.name}/{version.version}"
    return uri


def registered(store: Store, uri: str) -> ModelVersion:
    """The registered version that ``models:/NAME@alias`` or ``models:/NAME/VERSION`` means.

    Raises:
        OSError: when it is written in another way.
        MlflowException: when there is none.
    """
    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", uri)
    if match is None:
        raise OSError("write models:/NAME@alias or models:/NAME/VERSION")
    name, alias, version = match.groups()
    if alias is not None:
        return store.client.get_model_version_by_alias(name, alias)
    return store.client.get_model_version(name, version)


def checkpoints(store: Store, run: MlflowRun) -> list[LoggedModel]:
    """Checkpoints that a run logged, newest first; models made of them are none, and neither is one half-made."""
    logged = store.client.search_logged_models(
        [run.info.experiment_id],
        f"source_run_id = '{run.info.run_id}'",
        order_by=[{"field_name": "creation_time", "ascending": False}],
    )
    return [found for found in logged if found.status == "READY" and found.model_type != CLASSIFIER]
