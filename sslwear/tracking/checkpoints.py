"""Weights and cards of runs and of registered models, found by their MLflow URI, and initial weights from anywhere."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel
from mlflow.entities import Run as MlflowRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from torch import Tensor

from sslwear.encoders import checksums, weights
from sslwear.encoders.base import Encoder
from sslwear.encoders.card import CARD, CHECKPOINT, ENCODER, encoder_class
from sslwear.errors import WeightsError
from sslwear.tracking import CLASSIFIER, MODEL_URI, RUN_URI, Store
from sslwear.utils.masking import masked, one_line
from sslwear.utils.paths import user_path

MODEL_ARTIFACTS = "artifacts/model"
"""Folder of the weights and the card in an MLflow model."""


def load_weights(store: Store, uri: str) -> dict[str, Tensor]:
    """Weights of a run or of a registered model, by tensor name.

    Args:
        store: the store.
        uri: ``runs:/ID``, ``models:/NAME@alias`` or ``models:/NAME/VERSION``.

    Raises:
        WeightsError: when there is no checkpoint of this package, or it is damaged.
    """
    with model_folder(store, uri, (CHECKPOINT,)) as folder:
        checksums.verify(folder)
        return weights.read(folder / CHECKPOINT)


def initial_weights(origin: str, encoder: type[Encoder], store: Store) -> Mapping[str, Tensor] | None:
    """Read initial weights and check that they fit the encoder; None for ``none``.

    Args:
        origin: the value of ``weights:``.
        encoder: class of the encoder.
        store: store of runs and registered models.

    Raises:
        WeightsError: when it cannot be read or does not fit.
    """
    if origin == "none":
        return None
    if origin == "hub":
        state = weights.from_hub(encoder.name)
    elif origin.startswith((RUN_URI, MODEL_URI)):
        state = load_weights(store, origin)
    else:
        state = weights.read(user_path(origin))
    weights.load_encoder(encoder(), state, origin)
    return state


def load_encoder(store: Store, uri: str, name: str) -> Encoder:
    """Encoder with the weights of a run or of a registered model, whose files have its class if it is a file plug-in.

    Args:
        store: the store.
        uri: see `load_weights`.
        name: name of the encoder.

    Raises:
        SettingsError: when there is no such encoder.
        WeightsError: when there is no checkpoint of this package, or it does not fit.
    """
    with model_folder(store, uri, (CHECKPOINT,)) as folder:
        checksums.verify(folder)
        encoder = encoder_class(name, folder)()
        weights.load_encoder(encoder, weights.read(folder / CHECKPOINT), uri)
    return encoder


@contextmanager
def model_folder(store: Store, uri: str, names: Sequence[str] = (CHECKPOINT, CARD)) -> Iterator[Path]:
    """Temporary folder with the weights and the card of a run or of a registered model.

    Only these files and their checksums are downloaded.

    Args:
        store: the store.
        uri: see `load_weights`.
        names: names of the files.

    Raises:
        WeightsError: when a file does not exist.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if store.kept is not None and uri.startswith(RUN_URI):
            kept = store.kept.copy_checkpoint(uri.removeprefix(RUN_URI).strip("/"), Path(temporary))
            if kept is not None:
                yield kept
                return
        try:
            folder = _fetch(store, _location(store, uri).rstrip("/"), names, Path(temporary))
        except (MlflowException, OSError) as error:
            raise WeightsError(
                f"weights: {uri} has no sslwear checkpoint in {masked(store.tracking_uri)} ({one_line(error)}). "
                "Give models:/NAME@alias, or a run with weights: sslwear study show NAME names that of the selected "
                "trial, and other trials keep none without keep_checkpoints: true"
            ) from error
        yield folder


def _fetch(store: Store, location: str, names: Sequence[str], place: Path) -> Path:
    """Folder of some files of a model; files on this machine are read in place, others are downloaded."""
    for folder in (f"/{MODEL_ARTIFACTS}", ""):  # registered model, checkpoint of a run
        with suppress(MlflowException, OSError) if folder else nullcontext():
            fetched = [_download(store, f"{location}{folder}/{name}", place) for name in names]
            for name in (checksums.CHECKSUMS, ENCODER):  # checksums since version 0.2; the code of a file plug-in
                with suppress(MlflowException, OSError):
                    _download(store, f"{location}{folder}/{name}", place)
            return fetched[0].parent
    raise AssertionError("the last attempt either returns or raises")


def _download(store: Store, uri: str, place: Path) -> Path:
    """A file of a model, in place if it is on this machine."""
    local = uri.startswith(("file:", "/"))
    return Path(
        download_artifacts(artifact_uri=uri, tracking_uri=store.tracking_uri, dst_path=None if local else str(place))
    )


def _location(store: Store, uri: str) -> str:
    if uri.startswith(RUN_URI):
        run = store.client.get_run(uri.removeprefix(RUN_URI).strip("/"))
        models = logged_checkpoints(store, run)
        if not models:
            raise OSError("the run logged no checkpoint")
        return models[0].artifact_location
    version = registered_version(store, uri)
    return str(store.client.get_model_version_download_uri(version.name, str(version.version)))


def resolve_alias(store: Store, uri: str) -> str:
    """A ``weights:`` value of a study file with the current version in place of an alias, which may move later."""
    if uri.startswith(MODEL_URI):
        with suppress(MlflowException, OSError):
            version = registered_version(store, uri)
            return f"{MODEL_URI}{version.name}/{version.version}"
    return uri


def registered_version(store: Store, uri: str) -> ModelVersion:
    """Registered version of a URI ``models:/NAME@alias`` or ``models:/NAME/VERSION``.

    Raises:
        OSError: when the URI has another form.
        MlflowException: when there is no such version.
    """
    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", uri)
    if match is None:
        raise OSError("write models:/NAME@alias or models:/NAME/VERSION")
    name, alias, version = match.groups()
    if alias is not None:
        return store.client.get_model_version_by_alias(name, alias)
    return store.client.get_model_version(name, version)


def logged_checkpoints(store: Store, run: MlflowRun) -> list[LoggedModel]:
    """Complete checkpoints of a run, newest first, without registered models made from them."""
    logged = store.client.search_logged_models(
        [run.info.experiment_id],
        f"source_run_id = '{run.info.run_id}'",
        order_by=[{"field_name": "creation_time", "ascending": False}],
    )
    return [found for found in logged if found.status == "READY" and found.model_type != CLASSIFIER]
