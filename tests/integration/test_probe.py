"""Probes take part in an evaluation: of the study's encoder, after a pretext task, and of encoders from elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sslwear.config import Settings
from sslwear.data.dataset import Dataset
from sslwear.deployment.promotion.promotion import promote
from sslwear.encoders.base import Network, get
from sslwear.encoders.foreign.base import get as get_foreign
from sslwear.encoders.weights import save
from sslwear.errors import LeakageError, SettingsError, StudyError
from sslwear.evaluation.probe import logistic_probabilities
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.evaluations.plan import CrossValidationPlan
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.pretraining import setting_key
from sslwear.studies.trial.single_run import pretrain_once
from sslwear.tracking import Store
from sslwear.training import Windows
from sslwear.utils import plugins
from tests.conftest import SMALL_CLASSES, SMALL_PARTICIPANTS
from tests.integration.conftest import statuses
from tests.samples import foreign_encoders
from tests.samples.foreign_encoders import Moments

PLUGINS = [str(foreign_encoders.__file__)]


@pytest.fixture
def probing(make: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings of a small evaluation of some methods."""

    def settings(methods: dict[str, Any], **top: Any) -> Settings:
        evaluation = {"folds": 3, "methods": methods, "baselines": "none"}
        return make(**{"evaluation": evaluation, "precision": "float32", **top})

    return settings


def told(store: Store, method: str, fold: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows and probabilities of the test windows of a job, and the participants of its training."""
    (run,) = store.find_runs(None, kind="cross_validation_job", method=method, fold=str(fold))
    table = pd.read_csv(StringIO(store.read_text(run, "test_probabilities.csv")))
    params = run.data.params
    learnt = params["train_participants"].split() + params["validation_participants"].split()
    return table["row"].to_numpy(), table[[f"p_{name}" for name in SMALL_CLASSES]].to_numpy(), learnt


def expected(data: Dataset, features: np.ndarray, learnt: list[str], rows: np.ndarray) -> np.ndarray:
    mine = np.flatnonzero(np.isin(data.pid.astype(str), learnt))
    return logistic_probabilities(features[mine], data.labels[mine], data.pid[mine], features[rows], 3)[0]


@pytest.mark.slow
def test_a_probe_is_a_logistic_regression_on_the_features_of_the_weights(
    probing: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Path
) -> None:
    torch.manual_seed(2)
    encoder = get("cnn5")()
    save(Network(encoder, nn.Identity()), tmp_path / "weights.safetensors")
    weights = str(tmp_path / "weights.safetensors")
    methods = {"random": {"probe": "logistic"}, "file": {"probe": "logistic", "weights": weights}}
    both = {"ensemble": ["random", "file"]}
    table = evaluate_study(probing({**methods, "both": both}), store)
    assert sorted(table["participant"][table["method"] == "file"]) == sorted(map(str, SMALL_PARTICIPANTS))
    windows = torch.from_numpy(np.array(small.windows, np.float32).transpose(0, 2, 1).copy())
    with torch.no_grad():
        features = encoder.eval()(windows).numpy()
    for fold in (1, 2, 3):
        rows, found, learnt = told(store, "file", fold)
        assert not set(learnt) & set(small.pid[rows].astype(str))
        np.testing.assert_allclose(found, expected(small, features, learnt, rows), atol=0.02)
    assert table.groupby("method")["kappa"].mean()["file"] > 0.3
    run = store.find_runs(None, kind="cross_validation_job", method="file", fold="1")[0]
    assert run.data.params["probe"] == "logistic"
    assert run.data.metrics["probe_strength"] > 0
    assert rerun(run, store, ProgressCallback()).differing is None
    before = len(store.find_runs(None, kind="cross_validation_job"))
    evaluate_study(probing({**methods, "both": both}), store)
    assert len(store.find_runs(None, kind="cross_validation_job")) == before


def test_encoders_from_elsewhere_take_part_frozen_with_their_own_windows(
    probing: Callable[..., Settings], store: Store, small: Dataset
) -> None:
    methods = {name: {"probe": "logistic", "encoder": name} for name in ("moments", "random")}
    table = evaluate_study(probing(methods, plugins=PLUGINS), store)
    assert set(table["method"]) == {"moments", "random"}
    resampled = small.gather(np.arange(len(small)), 100)  # 5 s at 20 Hz, and its windows are of 2 s
    features = torch.stack([Moments()(resampled[:, :, at : at + 40]) for at in (0, 30, 60)]).mean(dim=0).numpy()
    rows, found, learnt = told(store, "moments", 1)
    np.testing.assert_allclose(found, expected(small, features, learnt, rows), atol=1e-3)
    run = store.find_runs(None, kind="cross_validation_job", method="moments", fold="1")[0]
    assert (run.data.params["encoder"], run.data.params["weights"]) == ("moments", "its own")
    assert rerun(run, store, ProgressCallback()).differing is None


def test_windows_of_less_than_half_the_rate_are_warned_about(
    probing: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = {name: {"probe": "logistic", "encoder": name} for name in ("moments", "random")}
    plugins.load_files(probing(methods, plugins=PLUGINS).plugins)
    monkeypatch.setattr(get_foreign("random"), "rate_hz", 80.0)
    found = CrossValidationPlan.build(probing(methods, plugins=PLUGINS), store).warnings()
    assert [text for text in found if "encoder" in text] == [
        "the windows have 30 Hz, and the encoder 'random' takes 80 Hz: more than half of the frequencies that it may "
        "use are missing"
    ]


@pytest.mark.slow
def test_a_probe_may_follow_a_pretext_task_in_each_fold(probing: Callable[..., Settings], store: Store) -> None:
    methods = {"reverse": {"probe": "logistic", "pretext": "reverse"}}
    settings = probing(methods, pretraining={"max_epochs": 1}, training={"pretext": "none"}, trials=1)
    evaluate_study(settings, store)
    assert statuses(store)["pretraining"] == ["FINISHED"] * 3
    job = store.find_runs(None, kind="cross_validation_job")[0]
    assert job.data.params["pretext"] == "reverse"
    assert "sslwear.pretraining_run" in job.data.tags


def test_weights_that_have_seen_those_who_are_tested_are_refused(
    make: Callable[..., Settings], probing: Callable[..., Settings], store: Store
) -> None:
    pretrained, _ = pretrain_once(make(training={"pretext": "reverse"}), store)
    methods = {"probe": {"probe": "logistic", "weights": f"runs:/{pretrained}"}}
    with pytest.raises(LeakageError):
        evaluate_study(probing(methods), store)


def test_probes_are_smoothed_without_those_who_are_tested(
    probing: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    from sslwear.studies.evaluations import job as cross_validation_job
    from sslwear.studies.evaluations import plan as cross_validation_plan
    from sslwear.studies.evaluations.probe import Probe

    fit = Probe.fit

    def spy(self: Probe, learnt: list[Windows], test: Windows) -> Any:
        asked.append((sorted(p for side in learnt for p in side.participants()), test.participants()))
        return fit(self, learnt, test)

    monkeypatch.setattr(Probe, "fit", spy)
    monkeypatch.setattr(cross_validation_plan, "check_consecutive", lambda _: None)
    monkeypatch.setattr(cross_validation_job, "fit_smoothing", lambda *_: None)
    monkeypatch.setattr(cross_validation_job, "smooth_predictions", lambda _, rows, predicted, model: predicted)
    methods = {"moments": {"probe": "logistic", "encoder": "moments"}}
    settings = probing(methods, plugins=PLUGINS)
    assert settings.evaluation is not None
    smoothed = settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"smoothing": "hmm"})})
    evaluate_study(smoothed, store)
    assert len(asked) == 6
    for (all_but, tested), (train, validation) in zip(asked[::2], asked[1::2], strict=True):
        assert sorted([*train, *validation]) == all_but
        assert not set(tested) & set(all_but)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosuch", "evaluation.methods.a.encoder: there is no 'nosuch'; choose one of broken"),
        ("broken", r"the encoder 'broken' cannot be used \(FileNotFoundError"),
        ("flat", "gives .* for two windows"),
    ],
)
def test_encoders_that_cannot_be_used_are_refused_before_anything_starts(
    probing: Callable[..., Settings], store: Store, name: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        evaluate_study(probing({"a": {"probe": "logistic", "encoder": name}}, plugins=PLUGINS), store)
    assert statuses_or_none(store) == {}


def statuses_or_none(store: Store) -> dict[str, list[str]]:
    return statuses(store) if store.client.get_experiment_by_name("tiny") is not None else {}


def test_a_probe_is_not_promoted(probing: Callable[..., Settings], store: Store) -> None:
    methods = {"probe": {"probe": "logistic"}, "both": {"ensemble": ["probe", "head"]}, "head": {"tuning": "head"}}
    evaluate_study(probing(methods), store)
    for method in ("probe", "both"):
        with pytest.raises(StudyError, match=r"is a probe, and only networks.* Promote .* --method 'head'"):
            promote("tiny", store, method=method)


def test_windows_of_another_length_are_other_jobs(
    probing: Callable[..., Settings], small_folder: Path, store: Store, tmp_path: Path
) -> None:
    shutil.copytree(small_folder, tmp_path / "data")
    description = tmp_path / "data" / "dataset.json"
    methods = {"head": {"tuning": "head", "pretext": "reverse"}, "probe": {"probe": "logistic", "pretext": "reverse"}}
    settings = probing(methods, data=str(tmp_path / "data"), encoder="multiscale", trials=1)
    keys = []
    for window_s in (5, 2.5):
        description.write_text(
            json.dumps({**json.loads(description.read_text()), "window_s": window_s, "rate_hz": 150 / window_s})
        )
        plan = CrossValidationPlan.build(settings, store)
        keys.append({setting_key(plan.context, "reverse"), *(job.key for job in plan.jobs)})
    assert not keys[0] & keys[1]
