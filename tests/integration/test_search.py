"""Studies that search settings of pre-training, a grid, and for a limited time."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow.artifacts import download_artifacts
from typer.testing import CliRunner

from sslwear.api.study_result import StudyResult
from sslwear.cli.app import app
from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.studies.database import budget
from sslwear.studies.database.failures import interrupted_trials
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.database.trials import winner
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.results.verdict import report
from sslwear.studies.search import search_trial
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import HOME_VARIABLE, Store
from tests.conftest import store_at
from tests.integration.conftest import Hearing, Interrupting

QUIET = ProgressCallback()
SHORT = {"tuning": "head", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 1}
GRID = {
    "encoder": "cnn5",
    "training": SHORT,
    "pretraining": {"max_epochs": 1},
    "search": {
        "pretext": ["none", "reverse"],
        "pretraining.max_epochs": [1, 2],
        "training.patience": {"low": 3, "high": 5, "step": 2},
    },
    "sampler": {"name": "grid"},
}


@pytest.fixture(scope="module")
def done(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a grid over keys of pre-training and training, interrupted once."""
    home = tmp_path_factory.mktemp("grid") / "mlruns"
    shutil.copytree(empty_home, home)
    store = store_at(home)
    settings = make(**{**GRID, "trials": 1000})
    with pytest.raises(KeyboardInterrupt):
        run_study(settings, store, Interrupting(3))
    run_study(settings, store, QUIET)
    return store


def trials(store: Store) -> list[optuna.trial.FrozenTrial]:
    """Trials that count."""
    study = find_study("tiny", store)
    return [trial for trial in study.trials if trial.number not in interrupted_trials(study)]


def test_a_grid_runs_each_combination_once_and_the_cheapest_first(done: Store) -> None:
    found = [trial.params for trial in trials(done)]
    assert len(found) == len({str(params) for params in found}) == 8
    assert found[0] == {"pretext": "none", "pretraining.max_epochs": 1, "training.patience": 5}  # the file's own
    assert [params["pretext"] for params in found] == ["none"] * 4 + ["reverse"] * 4
    assert [params["pretraining.max_epochs"] for params in found[4:]] == [1, 1, 2, 2]


def test_trials_with_other_settings_of_pre_training_do_not_share_an_encoder(done: Store) -> None:
    origins: dict[int, set[str]] = {}
    for trial in trials(done):
        run = done.client.get_run(trial.user_attrs["run_id"])
        origin = run.data.tags.get("sslwear.pretraining_run")
        if trial.params["pretext"] == "none":
            assert origin is None
            assert "pretraining.max_epochs" not in run.data.params
        else:
            epochs = trial.params["pretraining.max_epochs"]
            origins.setdefault(epochs, set()).add(origin)
            assert run.data.params["pretraining.max_epochs"] == str(epochs)
            assert done.client.get_run(origin).data.params["max_epochs"] == str(epochs)
    assert {epochs: len(runs) for epochs, runs in origins.items()} == {1: 1, 2: 1}
    assert origins[1] != origins[2]


def test_without_pre_training_its_settings_do_not_make_another_trial(done: Store) -> None:
    found = trials(done)
    copies = [trial for trial in found if "duplicate_of" in trial.user_attrs]
    assert len(copies) == 2
    for trial in copies:
        first = next(one for one in found if one.number == trial.user_attrs["duplicate_of"])
        assert trial.params["pretext"] == first.params["pretext"] == "none"
        assert trial.params["training.patience"] == first.params["training.patience"]


def test_a_trial_with_its_own_pre_training_is_repeated(done: Store) -> None:
    trial = next(one for one in trials(done) if one.user_attrs.get("pretraining") == {"max_epochs": 2})
    original, listener = done.client.get_run(trial.user_attrs["run_id"]), Hearing()
    found = rerun(original, done, listener)
    assert found.differing is None
    assert done.client.get_run(found.run_id).data.params == original.data.params
    assert not [text for text in listener.warnings if "uncommitted" not in text]
    pretraining = done.client.get_run(original.data.tags["sslwear.pretraining_run"])
    assert rerun(pretraining, done, QUIET).differing is None


def test_the_searched_settings_are_shown_everywhere(done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(done.home))
    monkeypatch.setenv("COLUMNS", "250")
    study = find_study("tiny", done)
    result = StudyResult(study)
    assert set(result.trials["pretraining.max_epochs"].dropna()) == {1, 2}
    assert result.best.settings.pretraining.max_epochs in (1, 2)
    assert {trial.searched["pretraining.max_epochs"] for trial in report(study).trials} == {None, 1, 2}
    shown = CliRunner().invoke(app, ["study", "show", "tiny"]).stdout
    assert shown.splitlines()[0].split() == ["pretraining"]
    assert {"max_epochs", "patience"} <= set(shown.splitlines()[1].split())
    assert "Ended by the number of trials: 8 trials." in shown
    compared = CliRunner().invoke(app, ["study", "compare", "tiny", "tiny"]).stdout
    assert "patience" in compared
    (parent,) = done.find_runs(done.experiment("tiny"), kind="study")
    experiment = done.client.get_experiment(parent.info.experiment_id)
    columns = experiment.tags["mlflow.sharedViewState.best-first"]
    assert "params.`pretraining.max_epochs`" in columns
    assert "params.`patience`" in columns
    assert "training.patience (3 to 5 in steps of 2)" in experiment.tags["mlflow.note.content"]
    page = download_artifacts(run_id=parent.info.run_id, artifact_path="study.html", tracking_uri=done.tracking_uri)
    assert "pretraining.max_epochs" in Path(page).read_text()


class _Clock:
    """A clock that each trial puts on by 20 minutes."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    made, real = _Clock(), search_trial.judge
    monkeypatch.setattr(budget, "time", made)

    def judge(*arguments: Any) -> Any:
        made.now += 1200
        return real(*arguments)

    monkeypatch.setattr(search_trial, "judge", judge)
    return made


def test_a_study_ends_when_its_hours_are_spent_over_all_sessions(
    make: Callable[..., Settings], store: Store, clock: _Clock
) -> None:
    def settings(**changes: Any) -> Settings:
        search = {"learning_rate": {"low": 1e-4, "high": 1e-2}}
        return make(encoder="cnn5", training=SHORT, search=search, **changes)

    assert len(run_study(settings(trials=1, hours=1), store, QUIET).trials) == 1
    clock.now += 10**6
    said: list[str] = []
    listener = ProgressCallback()
    listener.note = said.append  # type: ignore[method-assign]
    study = run_study(settings(trials=9, hours=1), store, listener)
    assert len(study.trials) == 3
    assert "Ended by time: 1 h were spent after 3 of 9 trials." in said
    (parent,) = store.find_runs(store.experiment("tiny"), kind="study")
    assert "Ended by time: 1 h" in parent.data.tags["mlflow.note.content"]
    assert parent.info.status == "FINISHED"
    assert len(run_study(settings(trials=9, hours=1), store, QUIET).trials) == 3
    assert len(run_study(settings(trials=9, hours=1.5), store, QUIET).trials) == 5
    assert len(run_study(settings(trials=6), store, QUIET).trials) == 6


def test_a_study_whose_hours_are_spent_before_a_trial_ended_says_so(
    make: Callable[..., Settings], store: Store, clock: _Clock
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(make(training=SHORT, hours=0.2), store, Interrupting(1))
    with pytest.raises(StudyError, match=r"no trial of 'tiny' ended before its hours were spent\."):
        run_study(make(training=SHORT, hours=0.2), store, QUIET)


def test_a_study_cannot_go_on_with_another_sampler(make: Callable[..., Settings], store: Store) -> None:
    settings = make(encoder="cnn5", training=SHORT, search={"tuning": ["head", "layer5"]}, trials=1)
    run_study(settings, store, QUIET)
    other = make(
        encoder="cnn5", training=SHORT, search={"tuning": ["head", "layer5"]}, trials=2, sampler={"name": "random"}
    )
    with pytest.raises(StudyError, match=r"was started with another sampler\.name \('tpe', and now 'random'\)"):
        run_study(other, store, QUIET)


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_samplers_know_which_trials_keep_the_constraint(make: Callable[..., Settings], store: Store, name: str) -> None:
    limit, search = 2_000, {"tuning": ["head", "all"], "learning_rate": [1e-3, 1e-2]}
    settings = make(
        search=search,
        trials=5,
        sampler={"name": name, "startup_trials": 2},
        constraint={"trainable_parameters": limit},
        training={"tuning": "head", "max_epochs": 1, "batch_size": 32, "head": "linear"},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        study = run_study(settings, store, QUIET)
    assert {trial.params["tuning"] for trial in study.trials} == {"head", "all"}
    assert [list(trial.constraints) for trial in study.trials] == [["0"]] * 5
    for trial in study.trials:
        assert (trial.constraints["0"] <= 0) == (trial.params["tuning"] == "head")
    best = winner(study)
    assert best is not None
    assert best.params["tuning"] == "head"
