"""Copies of registered models in another MLflow store, with their card, tags and training provenance."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as MlflowRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from sslwear.deployment import model_aliases, registry
from sslwear.encoders import checksums
from sslwear.encoders.card import CARD, CHECKPOINT, ENCODER, Card
from sslwear.errors import StudyError, WeightsError
from sslwear.studies.database.optuna_storage import store_errors
from sslwear.studies.evaluations.results import PARTICIPANTS
from sslwear.studies.setup.leakage import MAX_STEPS
from sslwear.tracking import MODEL_URI, RUN_URI, Store, addresses, databases
from sslwear.tracking.checkpoints import MODEL_ARTIFACTS, registered_version
from sslwear.tracking.provenance import PREFIX
from sslwear.utils.digests import sha256
from sslwear.utils.masking import masked

EXPERIMENT = "copied-models"
"""Experiment of the other store with a run for each copied version and for each run that it depends on."""
KIND = "copy"
DIGEST = f"{PREFIX}copy_of"
"""Tag of a copied version with the digest of its weights and card."""


@dataclass(frozen=True)
class Copied:
    """Result of a copy.

    Attributes:
        version: the version in the other store.
        existed: whether the other store had it already.
        alias: alias that was set; None for none.
        before: version that the alias had before; None if it was not set.
    """

    version: ModelVersion
    existed: bool
    alias: str | None
    before: str | None


def copy_model(store: Store, reference: str, to: str, name: str | None = None, alias: str | None = None) -> Copied:
    """Copy a registered version to another store, and set an alias there.

    A version that was copied before is not copied again. The runs that tell on whom the model was trained are copied as
    far as this store knows them, so that leakage is checked in the other store too.

    Args:
        store: the store that has it.
        reference: ``NAME@alias`` or ``NAME/VERSION``.
        to: address of the other store: ``http://HOST:PORT``, or ``sqlite:///FOLDER/mlflow.db`` for an embedded store.
        name: name of the model there; by default the same.
        alias: alias there; by default that of the reference, and none for ``NAME/VERSION``.

    Raises:
        StudyError: when a store does not answer, or there is no such model.
        WeightsError: when its files are missing or damaged.
    """
    alias = alias or (reference.partition("@")[2] or None)
    for value, check in ((name, registry.check_name), (alias, model_aliases.check_alias)):
        if value is not None:
            check(value)
    with store_errors(store):
        version = registry.find_version(store, reference)
    name = name or version.name
    with tempfile.TemporaryDirectory() as temporary, _opened(to, store) as target:
        with store_errors(store):
            folder, digest = _fetch(store, version, Path(temporary))
        with store_errors(target), model_aliases.locked(target, name):
            found, existed = _find_copy(target, name, digest), True
            if found is None:
                found, existed = _publish(store, version, folder, digest, target, name), False
            before = _set_alias(target, name, alias, str(found.version), store, version) if alias else None
    return Copied(found, existed, alias, before)


@contextmanager
def _opened(to: str, store: Store) -> Iterator[Store]:
    """The other store; locks of a server's store are in a temporary folder."""
    addresses.check_tracking("--to", to)
    if to.startswith(addresses.SERVERS):
        with tempfile.TemporaryDirectory() as home:
            other = Store(Path(home), to, store.storage_url)
            with _named_errors():
                _ = other.client
            yield other
        return
    path = databases.path_of(to)
    if path is None or path.name != "mlflow.db":
        raise StudyError(
            f"--to is {masked(to)!r}. Write http://HOST:PORT of an MLflow server, or sqlite:////FOLDER/mlflow.db of an "
            "embedded store"
        )
    path = path.absolute()
    other = Store(path.parent, databases.url_of(path), databases.url_of(path.with_name("optuna.db")))
    own = databases.path_of(store.tracking_uri)
    if own is not None and own.exists() and path.exists() and path.samefile(own):
        raise StudyError("--to is the store that the model is in. Give another one")
    with _named_errors():
        _ = other.client
    yield other


@contextmanager
def _named_errors() -> Iterator[None]:
    """Errors about the other store, which do not come from the environment."""
    try:
        yield
    except StudyError as error:
        reason = str(error).replace("Check MLFLOW_TRACKING_URI, or unset it to use the embedded store", "Check --to")
        raise StudyError(reason) from error


def _fetch(store: Store, version: ModelVersion, place: Path) -> tuple[Path, str]:
    """Folder with all files of a version, and the digest of its weights and card.

    Raises:
        WeightsError: when they are missing or damaged.
    """
    uri = registry.uri_of(version)
    try:
        location = store.client.get_model_version_download_uri(version.name, str(version.version))
        folder = Path(
            download_artifacts(artifact_uri=location, tracking_uri=store.tracking_uri, dst_path=str(place / "model"))
        )
    except (MlflowException, OSError) as error:
        raise WeightsError(f"the files of {uri} cannot be read. Run sslwear store check") from error
    model = folder / MODEL_ARTIFACTS
    if not (model / CHECKPOINT).is_file():
        raise WeightsError(f"{uri} was not made by sslwear promote, so it cannot be copied")
    if (model / ENCODER).is_file() and f"{PREFIX}run" not in version.tags:
        raise WeightsError(f"{uri} was not made by sslwear promote and contains code, so it cannot be copied")
    checksums.verify(model)
    Card.read(model / CARD)
    return folder, hashlib.sha256(f"{sha256(model / CHECKPOINT)} {sha256(model / CARD)}".encode()).hexdigest()


def _find_copy(target: Store, name: str, digest: str) -> ModelVersion | None:
    """The version of a model that is a copy with a digest; None if there is none."""
    if name not in {model.name for model in registry.models(target)}:
        return None
    return next((found for found in registry.versions(target, name) if found.tags.get(DIGEST) == digest), None)


def _publish(store: Store, version: ModelVersion, folder: Path, digest: str, target: Store, name: str) -> ModelVersion:
    experiment = target.experiment(EXPERIMENT)
    origin = _run_of(store, registry.uri_of(version))
    title = f"{version.name}/{version.version}"
    run_id = _copy_run(store, origin, target, experiment, title, 0)
    tags = {**version.tags, f"{PREFIX}run": f"{RUN_URI}{run_id}", DIGEST: digest}
    tags[f"{PREFIX}copied_from"] = masked(f"{title} of {store.tracking_uri}")
    about = registry.find_model(store, version.name).description or ""
    return registry.publish(target, name, run_id, folder, about, version.description or "", tags, {})


def _copy_run(store: Store, origin: MlflowRun | None, target: Store, experiment: str, title: str, depth: int) -> str:
    """Copy what a run says about its training, and the runs whose weights it started from.

    Returns:
        Id of the new run.
    """
    tags = {} if origin is None else {key.removeprefix(PREFIX): value for key, value in origin.data.tags.items()}
    params = {} if origin is None else dict(origin.data.params)
    linked = {}
    if depth < MAX_STEPS:
        if (before := _run_of(store, f"{RUN_URI}{tags.get('pretraining_run', '')}")) is not None:
            linked["pretraining_run"] = _copy_run(
                store, before, target, experiment, f"{title}, pre-training", depth + 1
            )
        if (before := _run_of(store, params.get("weights", ""))) is not None:
            copied = _copy_run(store, before, target, experiment, f"{title}, weights", depth + 1)
            params["weights"] = f"{RUN_URI}{copied}"
        members = [_run_of(store, f"{RUN_URI}{member}") for member in tags.get("members", "").split()]
        if members:  # the classifiers of a method, each of which may have been pre-trained
            what = f"{title}, member"
            linked["members"] = " ".join(
                _copy_run(store, one, target, experiment, what, depth + 1) for one in members if one is not None
            )
    kind = tags.get("repeats") or tags.get("kind", "")
    with target.start_run(experiment, title, KIND, repeats=kind, **linked) as run:
        run.params(params)
        run.tags(copied_run="" if origin is None else origin.info.run_id)
        if origin is not None and "members" in tags:
            with suppress(StudyError):  # without these scores, no other method can be compared with it there
                run.text(store.read_text(origin, PARTICIPANTS), PARTICIPANTS)
        if origin is not None and origin.inputs is not None:
            target.client.log_inputs(run.id, origin.inputs.dataset_inputs)
    return run.id


def _run_of(store: Store, weights: str) -> MlflowRun | None:
    """The run of a value of ``weights:``, or of a registered version; None if the store does not know it."""
    with suppress(MlflowException, OSError):
        if weights.startswith(MODEL_URI):
            version = registered_version(store, weights)
            weights = version.tags.get(f"{PREFIX}run") or f"{RUN_URI}{version.run_id}"
        if weights.startswith(RUN_URI) and weights != RUN_URI:
            return store.client.get_run(weights.removeprefix(RUN_URI).strip("/"))
    return None


def _set_alias(target: Store, name: str, alias: str, version: str, store: Store, origin: ModelVersion) -> str | None:
    """Set an alias, which keeps a history; returns the version that it had before."""
    now = registry.find_model(target, name).aliases.get(alias)
    before = None if now is None else str(now)
    if before != version:
        why = f"copied from {origin.name}/{origin.version} of {masked(store.tracking_uri)}"
        model_aliases.move_alias(target, name, alias, version, why, before)
    return before
