"""From an evaluation to a registered model: a method's networks are trained on all participants and averaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings
from sslwear.data.dataset import Dataset
from sslwear.deployment import registry
from sslwear.deployment.promotion.promotion import promote
from sslwear.errors import SettingsError, StudyError
from sslwear.evaluation.baselines import random_forest
from sslwear.evaluation.baselines.base import Baseline
from sslwear.evaluation.baselines.random_forest import RandomForest
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.evaluations.evaluated import Evaluated
from sslwear.studies.evaluations.method_networks import KIND
from sslwear.studies.setup.leakage import seen_participants
from sslwear.tracking import RUN_URI, Store
from sslwear.training import Windows
from sslwear.training.device import resolve_precision
from tests.conftest import SMALL_PARTICIPANTS, store_at

METHODS = {
    "plain": {},
    "two layers": {"head": "published"},
    "slow": {"learning_rate": 1e-6},
    "both": {"ensemble": ["plain", "two layers"]},
    "chosen": {"select_on_validation": ["slow", "plain"]},
    "forest": {"baseline": "random_forest"},
    "mixed": {"ensemble": ["plain", "forest"]},
}


@pytest.fixture(scope="module")
def evaluated_home(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a finished evaluation."""
    home = tmp_path_factory.mktemp("evaluated") / "mlruns"
    shutil.copytree(empty_home, home)
    training = {"tuning": "all", "learning_rate": 3e-3, "batch_size": 16, "max_epochs": 3, "head": "linear"}
    content = {"protocol": "k_fold", "folds": 2, "seeds": [1, 2], "methods": METHODS, "baselines": "none"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_forest, "TREES", 20)
        evaluate_study(make(encoder="cnn5", training=training, evaluation=content), store_at(home))
    return home


@pytest.fixture
def store(evaluated_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of it, for one test to change."""
    home = tmp_path / "mlruns"
    shutil.copytree(evaluated_home, home)
    monkeypatch.setenv("SSLWEAR_HOME", str(home))
    return store_at(home)


def test_an_ensemble_over_seeds_is_one_model(store: Store, small: Dataset) -> None:
    found = promote("tiny", store, method="both")
    assert (found.moved, found.version, found.method, found.trial) == (True, "1", "both", None)
    networks = store.find_runs(None, kind=KIND)
    assert sorted((run.data.tags["sslwear.method"], run.data.tags["sslwear.seed"]) for run in networks) == [
        ("plain", "1"), ("plain", "2"), ("two layers", "1"), ("two layers", "2")
    ]  # fmt: skip
    assert all(run.data.params["train_participants"].split() == list(map(str, SMALL_PARTICIPANTS)) for run in networks)
    windows = small.gather(np.arange(7), 150).transpose(1, 2).numpy()
    model = registry.load_model(store, "tiny@champion")
    assert sorted(model.card.heads) == ["linear", "linear", "published", "published"]
    each = [registry.load_model(store, f"{RUN_URI}{run.info.run_id}").probabilities(windows) for run in networks]
    np.testing.assert_allclose(model.probabilities(windows), np.mean(each, axis=0), atol=1e-6)
    version = registry.find_version(store, "tiny@champion")
    loaded = mlflow.pyfunc.load_model(str(version.source))
    np.testing.assert_allclose(loaded.predict(windows)["p_pendulum"], model.predict(windows)["p_pendulum"], atol=1e-6)
    card = version.description or ""
    assert "the average of the class probabilities of 4 networks" in card
    assert "No participant is left to test this model" in card
    assert seen_participants(store, "models:/tiny@champion", small, SMALL_PARTICIPANTS) == list(
        map(str, SMALL_PARTICIPANTS)
    )
    again = promote("tiny", store, method="both")
    assert not again.moved
    assert "already, version 1" in again.reason


def test_scores_are_those_of_averaged_probabilities(store: Store, small: Dataset, tmp_path: Path) -> None:
    evaluated = Evaluated.open("tiny", store, tmp_path)
    table = evaluated.averaged("plain")
    assert sorted(table["participant"]) == sorted(SMALL_PARTICIPANTS)
    jobs = [run for run in evaluated.jobs.values() if run.data.tags["sslwear.method"] == "plain"]
    told = [pd.read_csv(StringIO(store.read_text(run, "test_probabilities.csv"))) for run in jobs]
    mean = pd.concat(told).groupby("row")[[f"p_{name}" for name in small.class_names]].mean()
    right = mean.to_numpy().argmax(axis=1) == small.labels[mean.index]
    for row in table.itertuples():
        assert row.accuracy == pytest.approx(right[small.pid[mean.index] == row.participant].mean())
    epochs = sorted(int(run.data.metrics["best_epoch"]) for run in jobs)
    assert evaluated.epochs(evaluated.method("plain")) == epochs[2]


def test_a_baseline_is_kept_as_arrays_and_predicts_as_its_fit_does(store: Store, small: Dataset) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_forest, "TREES", 20)
        found = promote("tiny", store, method="forest", name="trees")
        everybody, nobody = Windows.of(small, SMALL_PARTICIPANTS), Windows.of(small, ())
        forests = [
            RandomForest().probabilities(everybody, nobody, everybody, len(small.class_names), seed) for seed in (1, 2)
        ]
    assert found.moved
    model = registry.load_model(store, "trees@champion")
    assert (model.card.encoder, model.card.heads, model.card.tuning) == ("random_forest", ("trees", "trees"), "none")
    windows = np.asarray(small.windows[everybody.rows], np.float32)
    np.testing.assert_allclose(model.probabilities(windows), np.mean(forests, axis=0), atol=1e-6)
    version = registry.find_version(store, "trees@champion")
    loaded = mlflow.pyfunc.load_model(str(version.source))
    assert loaded.predict(windows)["label"].tolist() == model.predict(windows)["label"].tolist()
    card = version.description or ""
    assert "the average of the class probabilities of 2 classifiers (random_forest)" in card
    assert "the baseline random_forest" in card
    assert "already, version 1" in promote("tiny", store, method="forest", name="trees").reason


def test_an_ensemble_with_a_baseline_is_one_model(store: Store, small: Dataset) -> None:
    promote("tiny", store, method="forest", name="trees", force="test")
    promote("tiny", store, method="mixed", name="mixed")
    model = registry.load_model(store, "mixed@champion")
    assert sorted(model.card.heads) == ["linear", "linear", "trees", "trees"]
    assert model.card.encoder == "cnn5"
    windows = small.gather(np.arange(7), 150).transpose(1, 2).numpy()
    runs = [run.info.run_id for run in store.find_runs(None, kind=KIND)]
    assert len(runs) == 4  # the forests of the first promotion are found again
    each = [registry.load_model(store, f"{RUN_URI}{run}").probabilities(windows) for run in runs]
    np.testing.assert_allclose(model.probabilities(windows), np.mean(each, axis=0), atol=1e-6)


def test_what_cannot_be_kept_says_so_and_names_the_best_that_can(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RandomForest, "fitted", Baseline.fitted)
    for name, why in (("forest", "because it is"), ("mixed", "because its member 'forest' is")):
        why = rf"{why} the baseline 'random_forest', whose plug-in does not define `fitted`\. Promote the best one"
        with pytest.raises(StudyError, match=rf"the method '{name}' cannot be promoted, {why}"):
            promote("tiny", store, method=name)
    with pytest.raises(StudyError, match=r"has no method 'nothing'\. It has 'plain', 'two layers', 'slow'"):
        promote("tiny", store, method="nothing")
    with pytest.raises(SettingsError, match="Leave one of them out"):
        promote("tiny", store, 1, "plain")
    assert not store.find_runs(None, kind=KIND)
    assert Evaluated.open("tiny", store, tmp_path).selected("chosen") == "plain"


def test_a_champion_is_compared_by_the_same_evaluation_only(
    store: Store, make: Callable[..., Settings], tmp_path: Path
) -> None:
    promote("tiny", store, method="plain")
    refused = promote("tiny", store, method="slow")
    assert not refused.moved
    assert "against version 1" in refused.reason
    assert refused.differences["kappa"].interval.participants == len(SMALL_PARTICIPANTS)
    assert len(store.find_runs(None, kind=KIND)) == 2  # nothing is trained for a method that is worse
    code = CliRunner().invoke(app, ["promote", "tiny", "--method", "slow"])
    assert code.exit_code == 1
    assert "rank" in code.output
    forced = promote("tiny", store, method="slow", force="for the test")
    assert forced.moved
    version = registry.find_version(store, "tiny@champion")
    store.client.set_model_version_tag("tiny", version.version, "sslwear.tested_on", "another protocol")
    with pytest.raises(StudyError, match="cannot be compared: it was not evaluated on the same participants"):
        promote("tiny", store, method="plain", score="f1")
    assert promote("tiny", store, method="plain", force="for the test").moved
    champion = registry.find_version(store, "tiny@champion")
    shutil.rmtree(store.client.get_run(champion.run_id).info.artifact_uri.removeprefix("file://"))
    with pytest.raises(StudyError, match="cannot be compared: the scores of its participants are not in this store"):
        promote("tiny", store, method="slow")
    assert promote("tiny", store, method="slow", force="for the test").moved


def test_a_method_is_promoted_in_the_precision_of_its_evaluation(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a machine on which `precision: auto` is another one."""
    (evaluation,) = store.find_runs(None, kind="cross_validation")
    precision = evaluation.data.params["precision"]
    other = {} if precision == "bf16" else {"amx_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: other)
    assert resolve_precision("auto", torch.device("cpu")) != precision
    assert promote("tiny", store, method="plain").moved
    assert {run.data.params["precision"] for run in store.find_runs(None, kind=KIND)} == {precision}


def test_an_unfinished_evaluation_is_not_promoted(store: Store) -> None:
    (first, *_) = store.find_runs(None, kind="cross_validation_job")
    store.client.delete_run(first.info.run_id)
    with pytest.raises(StudyError, match="1 of 28 jobs of the evaluation of 'tiny' did not finish"):
        promote("tiny", store)
