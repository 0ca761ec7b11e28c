"""Model registry: registered models and versions, and loading of models."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from sslwear.deployment import model_package
from sslwear.encoders.base import Network
from sslwear.encoders.card import ENCODER, Card
from sslwear.encoders.classifier import Model
from sslwear.errors import StudyError
from sslwear.evaluation.intervals import Interval
from sslwear.tracking import CLASSIFIER, MODEL_URI, RUN_URI, Store, all_pages
from sslwear.tracking.checkpoints import model_folder
from sslwear.tracking.provenance import PREFIX
from sslwear.utils.masking import masked

CHAMPION = "champion"
LONGEST_TEXT = 5000
"""Characters of a description, and of a registered model's tag, in MLflow's tables; only SQLite takes longer ones."""
WHOLE_CARD = f"The model card goes on in {model_package.MODEL_CARD} among the files of the model."


def load_model(store: Store, reference: str, device: torch.device | None = None) -> Model:
    """Classifier by name.

    Args:
        store: the store.
        reference: ``NAME@alias``, ``NAME/VERSION`` (both also after ``models:/``), or ``runs:/ID`` of a run with
            weights.
        device: device of the computation.

    Raises:
        StudyError: when there is no such model, or it was not made by `promote` and contains code.
        WeightsError: when it has no checkpoint of this package.
    """
    version = None if reference.startswith(RUN_URI) else find_version(store, reference)
    with model_folder(store, reference if version is None else uri_of(version)) as folder:
        if version is not None and (folder / ENCODER).is_file() and f"{PREFIX}run" not in version.tags:
            raise StudyError(
                f"{version.name}/{version.version} was not made by sslwear promote and contains code, which would be "
                "run. Promote a trial instead"
            )
        return Model.load(folder, device)


def name_and_version(store: Store, reference: str) -> tuple[str, str]:
    """Name and version of a model by the reference that `load_model` takes; of a run its reference, and no version."""
    if reference.startswith(RUN_URI):
        return reference, ""
    version = find_version(store, reference)
    return str(version.name), str(version.version)


def uri_of(version: ModelVersion) -> str:
    """MLflow URI of a version."""
    return f"{MODEL_URI}{version.name}/{version.version}"


def find_version(store: Store, reference: str) -> ModelVersion:
    """Registered version of ``NAME@alias``, ``NAME/VERSION`` or ``NAME`` (its champion).

    Raises:
        StudyError: when it does not exist; the message lists the existing ones.
    """
    match = re.fullmatch(r"([^/:@\s]+)(?:@([^/:@\s]+)|/(\d+))?", reference.removeprefix(MODEL_URI))
    if match is None:
        raise StudyError(f"{reference!r} is not the name of a model. Write NAME@alias or NAME/VERSION")
    name, alias, number = match.groups()
    model = find_model(store, name)
    if number is None:
        alias = alias or CHAMPION
        number = model.aliases.get(alias)
        if number is None:
            existing = ", ".join(f"{name}@{known}" for known in model.aliases) or "none; set one with sslwear promote"
            raise StudyError(f"the model {name!r} has no alias {alias!r}. Existing aliases: {existing}")
    try:
        return store.client.get_model_version(name, number)
    except MlflowException as error:
        numbers = sorted(int(version.version) for version in versions(store, name))
        existing = ", ".join(f"{name}/{known}" for known in numbers) or "none"
        raise StudyError(f"the model {name!r} has no version {number}. Existing versions: {existing}") from error


def find_model(store: Store, name: str) -> RegisteredModel:
    """Registered model by name.

    Raises:
        StudyError: when it does not exist; the message lists the names.
    """
    found = {model.name: model for model in models(store)}
    if name not in found:
        advice = f"Existing models: {', '.join(found)}" if found else "Promote a study's best trial first"
        raise StudyError(f"there is no registered model {name!r} in {masked(store.tracking_uri)}. {advice}")
    return found[name]


def models(store: Store) -> list[RegisteredModel]:
    """All registered models, sorted by name."""
    return all_pages(
        lambda token: store.client.search_registered_models(max_results=1000, order_by=["name ASC"], page_token=token)
    )


def versions(store: Store, name: str) -> list[ModelVersion]:
    """Versions of a registered model, newest first."""
    found = store.client.search_model_versions(f"name = '{name}'", max_results=10_000)
    return sorted(found, key=lambda version: -int(version.version))


def aliases(store: Store, name: str) -> dict[str, list[str]]:
    """Aliases of a registered model by version."""
    found: dict[str, list[str]] = {}
    for alias, version in sorted(find_model(store, name).aliases.items()):
        found.setdefault(str(version), []).append(alias)
    return found


def check_name(name: str) -> None:
    """Check the name of a model.

    Raises:
        StudyError: when it has characters that are not allowed.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise StudyError(f"{name!r} cannot be the name of a model. Use letters, digits, '.', '_' and '-'")


def register(
    store: Store,
    name: str,
    run_id: str,
    network: Network,
    card: Card,
    example: NDArray[np.float32],
    description: str,
    tags: Mapping[str, str],
    scores: Mapping[str, Interval],
) -> ModelVersion:
    """Log a network as an MLflow model of a run, and register it as a new version.

    Args:
        store: the store.
        name: name of the registered model, which is created if it does not exist.
        run_id: id of the run that trained it.
        network: network with the weights.
        card: description of the classifier.
        example: a few example windows (N, samples, 3) in g.
        description: the model card, Markdown.
        tags: tags of the version by name without the prefix ``sslwear.``; those of card and scores are added.
        scores: means over test participants, by name; they are metrics of the model too.
    """
    about = f"Classifies windows of wrist acceleration as {', '.join(card.class_names)}; each version has a model card."
    every = {
        **tags,
        "fingerprint": card.fingerprint,
        "dataset": card.dataset,
        "classes": ", ".join(card.class_names),
        "input": f"{card.window_s:g} s at {card.rate_hz:g} Hz, {card.window_samples} samples, {card.unit}",
        **{f"test_{score}": str(found) for score, found in scores.items()},
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        text = masked(description)
        model_package.save(folder, network, card, example, text)
        ours = {f"{PREFIX}{key}": masked(value) for key, value in every.items()}
        return publish(store, name, run_id, folder, about, text, ours, _metrics(scores))


def _metrics(scores: Mapping[str, Interval]) -> dict[str, float]:
    """Metrics of the model: means and interval limits of the scores, if they are defined."""
    found: dict[str, float] = {}
    for score, one in scores.items():
        found |= {f"test_{score}": one.mean, f"test_{score}_low": one.low, f"test_{score}_high": one.high}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def publish(
    store: Store,
    name: str,
    run_id: str,
    folder: Path,
    about: str,
    description: str,
    tags: Mapping[str, str],
    scores: Mapping[str, float],
) -> ModelVersion:
    """Log the folder of an MLflow model as a model of a run, and register it as a new version.

    Args:
        store: the store.
        name: name of the registered model, which is created if it does not exist.
        run_id: id of the run that trained it.
        folder: folder of the model.
        about: description of the registered model, if it is created; it is cut off where MLflow takes no more.
        description: model card, Markdown; the version has as much of it as MLflow takes.
        tags: tags of the version.
        scores: metrics of the model.
    """
    client = store.client
    run = client.get_run(run_id)
    logged = client.create_logged_model(run.info.experiment_id, name=name, source_run_id=run_id, model_type=CLASSIFIER)
    try:
        client.log_model_artifacts(logged.model_id, str(folder))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    for key, value in scores.items():
        client.log_metric(run_id, key, value, model_id=logged.model_id)
    if name not in {model.name for model in models(store)}:
        client.create_registered_model(name, tags={f"{PREFIX}kind": "classifier"}, description=about[:LONGEST_TEXT])
    return client.create_model_version(
        name,
        source=logged.artifact_location,
        run_id=run_id,
        tags=dict(tags),
        description=_shortened(description),
        model_id=logged.model_id,
    )


def _shortened(card: str) -> str:
    """Whole lines of a model card, as many as MLflow takes, and where the whole card is."""
    if len(card) <= LONGEST_TEXT:
        return card
    beginning, _, _ = card[: LONGEST_TEXT - len(WHOLE_CARD) - 2].rpartition("\n")
    return f"{beginning}\n\n{WHOLE_CARD}"


def whole_card(store: Store, version: ModelVersion) -> str | None:
    """Model card of a version, from its files where its description is shortened; None if it has none.

    Raises:
        StudyError: when the file cannot be read.
    """
    card: str | None = version.description
    if card is None or not card.endswith(WHOLE_CARD):
        return card
    try:
        location = store.client.get_model_version_download_uri(version.name, str(version.version))
        with tempfile.TemporaryDirectory() as folder:
            uri = f"{location.rstrip('/')}/{model_package.MODEL_CARD}"
            file = download_artifacts(artifact_uri=uri, tracking_uri=store.tracking_uri, dst_path=folder)
            return Path(file).read_text(encoding="utf-8")
    except (MlflowException, OSError) as error:
        raise StudyError(f"the files of {uri_of(version)} cannot be read. Run sslwear store check") from error
