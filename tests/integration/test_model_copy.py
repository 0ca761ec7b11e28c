"""``sslwear models copy``: to a real MLflow server, and to another embedded store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities.model_registry import ModelVersion

from deploy.throwaway import free_port
from sslwear.config import Settings
from sslwear.deployment import model_aliases, registry
from sslwear.deployment.promotion.promotion import promote
from sslwear.deployment.registry import load_model
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.evaluations.results import PARTICIPANTS
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.leakage import training_provenance
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import HOME_VARIABLE, Store
from tests.bad_inputs.answers import call, refusal
from tests.conftest import store_at
from tests.integration.forked_server import ForkedMlflowServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an MLflow server with a database and artifacts of its own."""
    folder = tmp_path_factory.mktemp("server")
    with ForkedMlflowServer(f"sqlite:///{folder / 'mlflow.db'}", folder) as running:
        yield running.address


@pytest.fixture(scope="module")
def pretrained(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the champion of a study whose trial was pre-trained."""
    home = tmp_path_factory.mktemp("pretrained") / "mlruns"
    shutil.copytree(empty_home, home)
    training = {"tuning": "head", "max_epochs": 1, "pretext": "reverse"}
    settings = make(training=training, search={"tuning": ["head"]}, trials=1, split={"test": 0.2, "validation": 0.25})
    run_study(settings, store_at(home), ProgressCallback())
    promote("tiny", store_at(home))
    return store_at(home)


def steps(store: Store, reference: str) -> list[object]:
    return [(step.sources, step.people, step.labels) for step in training_provenance(store, reference)]


def test_a_copied_method_tells_on_whom_its_networks_were_pretrained(
    make: Callable[..., Settings], home: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = home("here"), home("there")
    methods = {"pre-trained": {"pretext": "reverse"}}
    evaluation = {"protocol": "k_fold", "folds": 2, "seeds": [1], "methods": methods, "baselines": "none"}
    evaluate_study(make(training={"max_epochs": 1}, evaluation=evaluation), here)
    promote("tiny", here, evaluation=True)
    monkeypatch.setenv(HOME_VARIABLE, str(here.home))
    result = call("models", "copy", "tiny@champion", "--to", there.tracking_uri)
    assert result.exit_code == 0, result.output
    assert len(steps(here, "models:/tiny/1")) == 3
    assert steps(there, "models:/tiny/1") == steps(here, "models:/tiny/1")
    scores = [scores_of(registry.find_version(one, "tiny/1"), one) for one in (here, there)]
    assert scores[0] == scores[1]


def scores_of(version: ModelVersion, store: Store) -> str:
    """Scores of the participants of a promoted method, with which others are compared."""
    return store.read_text(store.client.get_run(str(version.run_id)), PARTICIPANTS)


@pytest.mark.slow
def test_a_model_is_copied_to_a_server_with_what_it_was_trained_on(
    pretrained: Store, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(pretrained.home))
    result = call("models", "copy", "tiny@champion", "--to", server)
    assert result.exit_code == 0, result.output
    assert f"tiny/1 of {server} is a copy." in result.stdout
    assert "tiny@champion there is version 1; it was not set." in result.stdout
    target = Store(tmp_path / "home", server, pretrained.storage_url)
    windows = np.random.default_rng(0).normal(0, 0.3, (4, 150, 3)).astype(np.float32) + np.float32([0, 0, 1])
    here, there = (load_model(store, "tiny@champion") for store in (pretrained, target))
    np.testing.assert_array_equal(there.probabilities(windows), here.probabilities(windows))
    origin, copied = (registry.find_version(store, "tiny@champion") for store in (pretrained, target))
    assert copied.description == origin.description
    for tag in ("study", "fingerprint", "test_participants", "train_participants", "test_kappa"):
        assert copied.tags[f"sslwear.{tag}"] == origin.tags[f"sslwear.{tag}"]
    assert len(steps(pretrained, "models:/tiny/1")) == 2
    assert steps(target, "models:/tiny/1") == steps(pretrained, "models:/tiny/1")
    (step,) = model_aliases.history(target, "tiny", "champion")
    assert step["why"].startswith("copied from tiny/1 of sqlite:///")
    again = call("models", "copy", "tiny@champion", "--to", server)
    assert "tiny/1" in again.stdout
    assert "is that model already" in again.stdout
    assert len(registry.versions(target, "tiny")) == 1
    other = call("models", "copy", "tiny/1", "--to", server, "--name", "other", "--alias", "challenger")
    assert "other@challenger there is version 1" in other.stdout
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    target.client.create_registered_model("registered-elsewhere")
    target.client.create_model_version("registered-elsewhere", "s3://lab/model")
    listed = call("models", "list")
    assert listed.exit_code == 0, listed.output
    assert "tiny@champion" in listed.stdout


@pytest.mark.slow
def test_a_model_is_copied_to_another_embedded_store(
    pretrained: Store, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(pretrained.home))
    result = call("models", "copy", "tiny/1", "--to", store.tracking_uri)
    assert result.exit_code == 0, result.output
    version = registry.find_version(store, "tiny/1")
    assert version.aliases == []
    assert load_model(store, "tiny/1").card.class_names
    assert version.source is not None
    assert str(store.home) in version.source
    assert steps(store, "models:/tiny/1") == steps(pretrained, "models:/tiny/1")
    moved = call("models", "copy", "tiny@champion", "--to", store.tracking_uri)
    assert "tiny@champion there is version 1; it was not set." in moved.stdout


@pytest.mark.slow
def test_a_model_of_a_server_is_copied_to_an_embedded_store_that_exists(
    pretrained: Store, server: str, empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(pretrained.home))
    assert call("models", "copy", "tiny@champion", "--to", server).exit_code == 0
    shutil.copytree(empty_home, tmp_path / "there")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "here"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    there = store_at(tmp_path / "there")
    result = call("models", "copy", "tiny/1", "--to", there.tracking_uri)
    assert result.exit_code == 0, result.output
    assert registry.versions(there, "tiny")


def test_copies_that_cannot_be_made_are_refused(
    pretrained: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "mlruns"
    shutil.copytree(pretrained.home, home)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    same = store_at(home).tracking_uri
    assert "is the store that the model is in" in refusal("models", "copy", "tiny@champion", "--to", same)
    assert "there is no registered model 'other'" in refusal("models", "copy", "other@champion", "--to", same)
    assert "Write http://HOST:PORT" in refusal("models", "copy", "tiny/1", "--to", "sqlite:////tmp/x/other.db")
    assert "--to is" in refusal("models", "copy", "tiny/1", "--to", "/tmp/folder")
    nobody = f"http://127.0.0.1:{free_port()}"
    dead = refusal("models", "copy", "tiny/1", "--to", nobody)
    assert f"{nobody} does not answer" in dead
    assert "Check --to" in dead
    bad = ("models", "copy", "tiny/1", "--to", nobody, "--alias", "v1")
    assert "cannot be an alias" in refusal(*bad)
    _ = store_at(home).client
    (weights,) = set(home.rglob("artifacts/model/model.safetensors"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other = tmp_path / "other" / "mlflow.db"
    assert "is damaged" in refusal("models", "copy", "tiny/1", "--to", f"sqlite:///{other}")
