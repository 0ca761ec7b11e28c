"""Where a study's first weights may come from: the hub, a published file, a registered model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from sslwear.config import Settings, load
from sslwear.encoders import weights
from sslwear.encoders.harnet import Harnet5
from sslwear.errors import WeightsError
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.single_run import train_once
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import load_weights, logged_checkpoints
from sslwear.training.device import seeded
from tests.integration.conftest import tiny_content

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
HUBCONF = """
dependencies = ["torch"]
import torch
from pathlib import Path

class Published(torch.nn.Module):
    def __init__(self, state):
        super().__init__()
        self.state = state
    def state_dict(self, *args, **kwargs):
        return self.state

def harnet5(pretrained=False, **kwargs):
    assert pretrained
    return Published(torch.load(Path(__file__).parent / "weights.mdl", weights_only=True))
"""


@pytest.fixture(scope="module")
def content(small_folder: Path) -> dict[str, Any]:
    """A study file with an encoder that has published weights."""
    return {**tiny_content(small_folder), "encoder": "harnet5"}


@pytest.fixture
def published() -> dict[str, torch.Tensor]:
    """A state dict as it is published: a prefix, and heads."""
    with seeded(9):
        state = Harnet5().state_dict()
    return {
        **{f"module.{key}": value for key, value in state.items()},
        "module.aot_h.linear1.weight": torch.ones(2, 512),
    }


def first_conv(state: Any) -> torch.Tensor:
    tensor: torch.Tensor = state["feature_extractor.layer1.0.weight"]
    return tensor


def start_of(settings: Settings, store: Store) -> torch.Tensor:
    return first_conv(StudyContext.open(settings, store).new_encoder().state_dict())


def test_training_starts_from_a_published_checkpoint(
    make: Callable[..., Settings], store: Store, published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(published, tmp_path / "harnet5.mdl")
    start = start_of(make(weights=str(tmp_path / "harnet5.mdl")), store)
    assert torch.equal(start, published["module.feature_extractor.layer1.0.weight"])
    assert not torch.equal(start, start_of(make(), store))


def test_hub_weights_are_loaded_through_torch_hub(
    make: Callable[..., Settings],
    store: Store,
    published: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    torch.save(published, tmp_path / "weights.mdl")
    local = partial(weights.from_hub, repository=str(tmp_path), source="local")
    monkeypatch.setattr(weights, "from_hub", local)
    start = start_of(make(weights="hub"), store)
    assert torch.equal(start, published["module.feature_extractor.layer1.0.weight"])
    assert "academic use only" in caplog.text


def test_a_registered_model_is_found_by_alias_and_by_version(make: Callable[..., Settings], store: Store) -> None:
    run, result = train_once(make(), store, ProgressCallback())
    (checkpoint,) = logged_checkpoints(store, store.client.get_run(run.id))
    store.client.create_registered_model("wrist")
    version = store.client.create_model_version(
        "wrist", checkpoint.artifact_location, run.id, model_id=checkpoint.model_id
    )
    store.client.set_registered_model_alias("wrist", "champion", version.version)
    expected = first_conv(result.network.state_dict())
    for origin in ("models:/wrist@champion", "models:/wrist/1", f"runs:/{run.id}"):
        assert torch.equal(start_of(make(weights=origin), store), expected)
    context = StudyContext.open(make(weights="models:/wrist@champion"), store)
    for of in (context, context.in_fold(context.split)):  # also when somebody moves the alias meanwhile
        assert of.runtime_params()["weights"] == "models:/wrist/1"
        store.client.delete_registered_model_alias("wrist", "champion")
    for origin in ("models:/wrist@nobody", "models:/wrist/7", "models:/wrist", "runs:/nothing"):
        with pytest.raises(WeightsError, match="has no sslwear checkpoint"):
            start_of(make(weights=origin), store)


def test_a_run_without_weights_is_answered_with_the_one_that_has_them(store: Store) -> None:
    trial = store.create_run(store.experiment("study"), "#0", "trial")
    with pytest.raises(WeightsError, match="study show NAME names that of the selected trial"):
        load_weights(store, f"runs:/{trial.id}")


def test_the_published_benchmark_runs_from_a_checkpoint_in_the_published_format(
    published: dict[str, torch.Tensor], small_folder: Path, store: Store, tmp_path: Path
) -> None:
    torch.save(published, tmp_path / "harnet5.mdl")
    small = {
        "data": small_folder,
        "encoder": "harnet5",
        "weights": tmp_path / "harnet5.mdl",
        "training.max_epochs": 1,
        "evaluation.protocol": "k_fold",  # fewer trainings than with everybody alone
        "evaluation.folds": 2,
        "evaluation.baselines": "none",
        "evaluation.keep_checkpoints": "true",
    }
    settings = load(EXPERIMENTS / "published_adl.yaml", [f"{key}={value}" for key, value in small.items()])
    table = evaluate_study(settings, store)
    rows = {"all layers tuned", "convolutions frozen", "from scratch", "random forest"}
    assert set(table["method"]) == rows
    assert table.groupby("method")["participant"].nunique().tolist() == [6] * 4
    assert not table["supervised"].any()
    for run in store.find_runs(None, kind="cross_validation_job", method="convolutions frozen"):
        state = load_weights(store, f"runs:/{run.info.run_id}")
        kept = {f"module.{key}": value for key, value in state.items() if key.startswith("feature_extractor")}
        assert kept.keys() == {key for key in published if "feature_extractor" in key}
        assert all(torch.equal(value, published[key]) for key, value in kept.items())
    for run in store.find_runs(None, kind="cross_validation_job", method="from scratch"):
        start = first_conv(load_weights(store, f"runs:/{run.info.run_id}"))
        assert (start - published["module.feature_extractor.layer1.0.weight"]).abs().mean() > 0.01
