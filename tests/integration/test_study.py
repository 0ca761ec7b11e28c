"""A study from its settings to what MLflow and Optuna keep of it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from filelock import FileLock
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from optuna.trial import TrialState

from sslwear.config import Settings, from_yaml
from sslwear.data.arrays import write_dataset
from sslwear.data.dataset import Dataset
from sslwear.deployment import model_aliases
from sslwear.errors import DataError, StudyError
from sslwear.studies.database.failures import counted, interrupted_trials
from sslwear.studies.database.trials import kept_settings, network_run, winner
from sslwear.studies.results.mlflow_page import lines
from sslwear.studies.search.optimise import alone, run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial import judging
from sslwear.studies.trial.single_run import train_once
from sslwear.tracking import Run, Store
from sslwear.tracking.checkpoints import load_weights, logged_checkpoints
from sslwear.utils import interrupts
from tests.conftest import store_at
from tests.integration.conftest import Interrupting, statuses

QUIET = ProgressCallback()


def runs(store: Store, kind: str) -> list[MlflowRun]:
    return list(reversed(store.find_runs(store.experiment("tiny"), kind=kind)))


def artifacts(store: Store, run: MlflowRun) -> set[str]:
    return {item.path for item in store.client.list_artifacts(run.info.run_id)}


def read(store: Store, run: MlflowRun, path: str) -> str:
    local = download_artifacts(run_id=run.info.run_id, artifact_path=path, tracking_uri=store.tracking_uri)
    with open(local) as file:  # noqa: PTH123 - a path as text is what MLflow gives
        return file.read()


def outcome(study: optuna.Study) -> list[tuple[dict[str, Any], float | None]]:
    """Parameters and values of the trials that count."""
    interrupted = interrupted_trials(study)
    return [(t.params, t.value) for t in study.trials if t.number not in interrupted]


def interrupting_start(kind: str) -> Callable[..., Run]:
    """`Store.create_run` with a user who presses Ctrl-C when the run of that kind has just been made."""
    real = Store.create_run

    def start(store: Store, context: str, name: str, its: str, *args: Any, **tags: str) -> Run:
        run = real(store, context, name, its, *args, **tags)
        if its == kind:
            os.kill(os.getpid(), signal.SIGINT)
        return run

    return start


@pytest.fixture(scope="module")
def done(
    make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[optuna.Study, Store]:
    """A finished study and its store, for tests that leave both as they are."""
    home = tmp_path_factory.mktemp("done") / "mlruns"
    shutil.copytree(empty_home, home)
    store = store_at(home)
    return run_study(make(), store, QUIET), store


def test_everything_lands_where_a_user_looks_for_it(done: tuple[optuna.Study, Store], small: Dataset) -> None:
    study, store = done
    (parent,) = runs(store, "study")
    trials = runs(store, "trial")
    assert statuses(store) == {
        "study": ["FINISHED"],
        "trial": ["FINISHED"] * 3,
        "pretraining": ["FINISHED"] * 2,  # of the training participants, and of all that are not test participants
        "winner": ["FINISHED"],
    }
    for run in [*trials, *runs(store, "pretraining")]:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert artifacts(store, parent) == {
        "groups.png",
        "learning_curves.png",
        "participants.png",
        "settings.yaml",
        "study.html",
        "trials.png",
        "test_confusion.png",
        "test_participants.csv",
    }
    settings = from_yaml(read(store, parent, "settings.yaml"))
    assert settings["training"]["patience"] == 5
    tracked = parent.inputs.dataset_inputs[0].dataset
    assert json.loads(tracked.profile)["fingerprint"] == small.fingerprint
    page = read(store, parent, "study.html")
    assert "<script" not in page  # MLflow's UI runs none
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert len(parent.data.tags["mlflow.source.git.commit"]) == 40
    best = winner(study)
    assert best is not None
    assert parent.data.metrics["best_kappa"] == best.value


def test_a_trial_keeps_parameters_epochs_scores_pictures_and_checkpoint(done: tuple[optuna.Study, Store]) -> None:
    study, store = done
    for trial, run in zip(study.trials, runs(store, "trial"), strict=True):
        assert run.data.params["learning_rate"] == str(trial.params["learning_rate"])
        assert run.data.params["tuning"] == trial.params["tuning"]
        assert run.info.run_name.startswith(f"#{trial.number} {trial.params['tuning']} ")
        for name in ("train_loss", "val_loss", "val_kappa", "val_f1"):
            history = store.client.get_metric_history(run.info.run_id, name)
            assert [metric.step for metric in history] == [1, 2]
        assert {"precision", "recall", "f1", "kappa"} <= set(run.data.metrics)
        assert run.data.metrics["kappa"] == trial.value
        pictures = {"confusion.png", "learning_curves.png", "participants.png"}
        assert artifacts(store, run) == {*pictures, "participants.csv", "validation_confusion.csv"}
        table = pd.read_csv(io.StringIO(read(store, run, "participants.csv")))
        assert {"participant", "windows", "kappa", "f1", "f1_all_classes"} <= set(table.columns)
        assert logged_checkpoints(store, run) == []
    (run,) = runs(store, "winner")
    (checkpoint,) = logged_checkpoints(store, run)
    assert checkpoint.status == "READY"
    scores = {metric.key: metric.value for metric in checkpoint.metrics or []}
    best = winner(study)
    assert best is not None
    assert scores["kappa"] == best.value
    assert network_run(study, best) == run.info.run_id
    assert len(load_weights(store, f"runs:/{run.info.run_id}")) == 40
    split = StudyContext.open(kept_settings(study), store).split
    learnt = sorted(map(str, (*split.train, *split.validation)))
    assert sorted(run.data.params["train_participants"].split()) == learnt
    assert int(run.data.params["best_epoch"]) == best.user_attrs["best_epoch"]


def test_every_run_and_the_experiment_say_what_they_are(done: tuple[optuna.Study, Store], small: Dataset) -> None:
    study, store = done
    (parent,), (pretraining, _) = runs(store, "study"), runs(store, "pretraining")
    trials = runs(store, "trial")
    for run in [parent, pretraining, *trials]:
        tags = run.data.tags
        assert (tags["sslwear.study"], tags["sslwear.dataset"]) == ("tiny", "small")
        assert tags["sslwear.fingerprint"] == small.fingerprint
        assert run.inputs.dataset_inputs[0].dataset.name == "small"
    for trial, run in zip(study.trials, trials, strict=True):
        note = run.data.tags["mlflow.note.content"]
        assert note.startswith(f"Fine-tunes `{trial.params['tuning']}` at a learning rate of ")
        assert "epochs, under the published head." in note
        assert f"kappa {trial.value:.3f} (standard error" in note
    assert "on the pretext task `reverse`" in pretraining.data.tags["mlflow.note.content"]
    best = winner(study)
    assert best is not None
    assert parent.data.metrics["kappa"] == best.value
    context = store.client.get_experiment(parent.info.experiment_id)
    assert context.tags["mlflow.note.content"].startswith("Study **tiny**: how to fine-tune cnn5")
    assert json.loads(context.tags["mlflow.sharedViewState.best-first"])["orderByKey"] == "metrics.`kappa`"
    assert lines("http://127.0.0.1:5000", store)[0] == "tiny: http://127.0.0.1:5000/study/tiny"


def test_a_studys_charts_are_pictures_and_a_page_that_needs_no_network(done: tuple[optuna.Study, Store]) -> None:
    study, store = done
    (parent,) = runs(store, "study")
    pictures = {name for name in artifacts(store, parent) if name.endswith(".png")}
    assert pictures == {  # too few trials for importances
        *("trials.png", "groups.png", "participants.png", "learning_curves.png", "test_confusion.png"),
    }
    page = read(store, parent, "study.html")
    best = winner(study)
    assert best is not None
    assert f"Trial {best.number}" in page
    assert "<svg" in page


def test_only_the_winner_is_scored_on_test_participants_and_only_once(
    done: tuple[optuna.Study, Store], make: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, store = done
    (parent,) = runs(store, "study")
    best = winner(study)
    assert best is not None
    assert list(study.user_attrs["tested"]) == [str(best.number)]
    assert {"test_kappa", "test_f1", "test_precision", "test_recall"} <= set(parent.data.metrics)
    for run in [*runs(store, "trial"), *runs(store, "pretraining")]:
        assert not [name for name in run.data.metrics if name.startswith("test")]
    table = pd.read_csv(io.StringIO(read(store, parent, "test_participants.csv")))
    assert sorted(map(str, table["participant"])) == sorted(parent.data.params["test_participants"].split())
    for name in ("kappa", "f1"):  # a test score is the mean over participants, and so called everywhere
        assert parent.data.metrics[f"test_{name}"] == pytest.approx(table[name].mean())
        assert study.user_attrs["tested"][str(best.number)][name] == parent.data.metrics[f"test_{name}"]
    assert f"{table['kappa'].mean():.3f}" in parent.data.tags["mlflow.note.content"]
    assert parent.data.metrics["pooled_test_accuracy"] == pytest.approx(
        np.average(table["accuracy"], weights=table["windows"])
    )
    monkeypatch.setattr("sslwear.studies.search.final_test.score_network", lambda *_: pytest.fail("scored again"))
    again = run_study(make(), store, QUIET)
    assert len(again.trials) == 3
    assert statuses(store)["study"] == ["FINISHED"]


def test_trials_is_the_total_so_that_only_missing_ones_are_run(
    done: tuple[optuna.Study, Store], make: Callable[..., Settings], store: Store
) -> None:
    run_study(make(trials=1), store, QUIET)
    more = run_study(make(), store, QUIET)
    assert outcome(more) == outcome(done[0])
    assert len(more.trials) == 3
    assert len(runs(store, "study")) == 1
    assert len(runs(store, "pretraining")) <= 2  # of the training participants, and of all for the winner


def test_the_files_own_settings_are_the_first_trial(done: tuple[optuna.Study, Store]) -> None:
    study, _ = done
    assert study.trials[0].params == {"tuning": "head", "learning_rate": 1e-3, "pretext": "none"}


@pytest.mark.parametrize("epochs", [1, 4])
def test_an_interrupted_study_ends_where_an_uninterrupted_one_does(
    done: tuple[optuna.Study, Store], make: Callable[..., Settings], tmp_path: Any, empty_home: Any, epochs: int
) -> None:
    study, _ = done
    home = tmp_path / "other"
    shutil.copytree(empty_home, home)
    other = store_at(home)
    with pytest.raises(KeyboardInterrupt):
        run_study(make(), other, Interrupting(epochs))
    found = statuses(other)
    assert found["study"] == ["KILLED"]
    assert not [status for kind in found.values() for status in kind if status == "RUNNING"]
    assert found["trial"][-1] == "KILLED"
    resumed = run_study(make(), other, QUIET)
    assert outcome(resumed) == outcome(study)
    assert statuses(other)["study"] == ["FINISHED"]


@pytest.mark.parametrize("kind", ["study", "trial", "pretraining"])
def test_an_interruption_while_a_run_is_opened_leaves_none_running(
    done: tuple[optuna.Study, Store],
    make: Callable[..., Settings],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    signal.signal(signal.SIGINT, interrupts.raise_keyboard_interrupt)
    with monkeypatch.context() as patched:
        patched.setattr(Store, "create_run", interrupting_start(kind))
        with pytest.raises(KeyboardInterrupt):
            run_study(make(), store, QUIET)
    assert statuses(store)[kind] == ["KILLED"]
    assert "RUNNING" not in {status for kind in statuses(store).values() for status in kind}
    assert outcome(run_study(make(), store, QUIET)) == outcome(done[0])
    assert len(runs(store, "study")) == 1
    assert runs(store, "study")[0].data.params["test_participants"]


def test_an_interruption_while_a_training_is_opened_leaves_none_running(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGINT, interrupts.raise_keyboard_interrupt)
    monkeypatch.setattr(Store, "create_run", interrupting_start("train"))
    with pytest.raises(KeyboardInterrupt):
        train_once(make(), store, QUIET)
    assert statuses(store) == {"train": ["KILLED"]}


def test_a_process_that_died_while_proposing_proposes_the_same_again(
    done: tuple[optuna.Study, Store], make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = optuna.Study.ask

    def die(study: optuna.Study, distributions: dict[str, optuna.distributions.BaseDistribution]) -> None:
        real(study, {"tuning": distributions["tuning"]})
        raise KeyboardInterrupt

    run_study(make(trials=1), store, QUIET)
    with monkeypatch.context() as patched:
        patched.setattr(optuna.Study, "ask", die)
        with pytest.raises(KeyboardInterrupt):
            run_study(make(), store, QUIET)
    assert outcome(run_study(make(), store, QUIET)) == outcome(done[0])


def test_runs_that_are_gone_are_not_copied_and_a_winner_without_checkpoint_is_said(
    make: Callable[..., Settings], store: Store
) -> None:
    settings = make(search={"tuning": ["head"]})
    run_study(settings.model_copy(update={"trials": 1}), store, QUIET)
    (first,) = runs(store, "trial")
    store.client.delete_run(first.info.run_id)
    study = run_study(settings.model_copy(update={"trials": 2}), store, QUIET)
    assert "duplicate_of" not in study.trials[1].user_attrs
    study.set_user_attr("tested", {})
    shutil.rmtree(store.home / "artifacts" / "tiny")
    with pytest.raises(StudyError, match="the checkpoint of trial 0 cannot be used"):
        run_study(settings, store, QUIET)
    assert "RUNNING" not in {status for kind in statuses(store).values() for status in kind}


def test_a_study_that_something_else_made_is_left_alone(make: Callable[..., Settings], store: Store) -> None:
    other = optuna.create_study(study_name="tiny", storage=store.storage_url)
    other.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(StudyError, match=r"the study 'tiny' was not created by sslwear\. Choose another name"):
        run_study(make(), store, QUIET)
    assert statuses(store) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": {"test": 0.5, "validation": 0.6}}, "pre-training needs at least 2 training participants"),
        ({"search": {}, "data": "one-class"}, "only the class 'pendulum', on which kappa cannot tell models apart"),
        ({"search": {}, "data": "one-class", "objective": "f1"}, "on which f1 cannot tell models apart"),
    ],
)
def test_data_on_which_no_trial_could_succeed_are_refused_before_there_is_a_study(
    make: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    if changes.get("data"):
        names = np.array(small.class_names)[small.labels]
        names[np.isin(small.pid, StudyContext.open(make(), store).split.validation)] = "pendulum"
        changes = {**changes, "data": str(tmp_path / "data")}
        write_dataset(tmp_path / "data", small.windows, names, small.pid, small.start, small.description)
    with pytest.raises(DataError, match=words):
        run_study(make(**changes), store, QUIET)
    assert statuses(store) == {}
    assert optuna.get_all_study_names(store.storage_url) == []


def test_a_store_that_fails_meanwhile_is_one_sentence(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise MlflowException("the disk is full")

    monkeypatch.setattr(Run, "metrics", refuse)
    monkeypatch.setattr(Run, "text", refuse)
    with pytest.raises(
        StudyError, match=r"the MLflow store sqlite:.* became unavailable \(the disk is full\)\. Fix it"
    ):
        run_study(make(), store, QUIET)
    assert "RUNNING" not in {status for kind in statuses(store).values() for status in kind}


def test_a_crashed_trial_is_failed_with_its_traceback_and_the_study_goes_on(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = judging.fit_folds, []

    def crash_once(*args: Any, **named: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("out of luck")
        return real(*args, **named)

    monkeypatch.setattr(judging, "fit_folds", crash_once)
    study = run_study(make(), store, QUIET)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert statuses(store)["trial"] == ["FAILED", "FINISHED", "FINISHED"]
    failed = runs(store, "trial")[0]
    assert "RuntimeError: out of luck" in read(store, failed, "traceback.txt")
    assert failed.data.tags["sslwear.outcome"] == "failed"


def test_a_study_of_which_nothing_finished_says_so(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*arguments: Any, **_: Any) -> None:
        raise RuntimeError(f"out of {['luck', 'ideas', 'range'][len(runs(store, 'trial')) - 1]}")

    monkeypatch.setattr(judging, "fit_folds", crash)
    with pytest.raises(StudyError, match="none of the 3 trials of 'tiny' finished"):
        run_study(make(), store, QUIET)
    assert statuses(store)["study"] == ["FAILED"]


def test_a_pruned_trial_is_killed_and_tagged(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number == 1)
    study = run_study(make(), store, QUIET)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE]
    pruned = runs(store, "trial")[1]
    assert pruned.info.status == "KILLED"
    assert pruned.data.tags["sslwear.outcome"] == "pruned"
    assert list(study.trials[1].intermediate_values) == [1]


def test_the_median_pruner_is_fed_and_leaves_warm_up_epochs_alone(make: Callable[..., Settings], store: Store) -> None:
    training = {"tuning": "layer5", "learning_rate": 3e-3, "batch_size": 32, "max_epochs": 4, "patience": 4}
    search = {"learning_rate": {"low": 1e-9, "high": 3e-3}}
    pruner = {"name": "median", "startup_trials": 1, "warmup_epochs": 2}
    study = run_study(make(training=training, search=search, pruner=pruner, trials=4), store, QUIET)
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        assert len(trial.intermediate_values) >= 3


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"seed": 1}, "seed"), ({"objective": "f1"}, "objective"), ({"search": {"tuning": ["head"]}}, "search.tuning")],
)
def test_a_study_is_not_resumed_with_other_settings(
    make: Callable[..., Settings], store: Store, changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(make(), store, Interrupting(1))
    with pytest.raises(StudyError, match=f"was started with another {key}.*--set study=tiny-2"):
        run_study(make(**changes), store, QUIET)


def test_a_study_is_resumed_on_data_that_were_moved_or_copied(
    make: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Path
) -> None:
    before, after, copy = (tmp_path / name for name in ("before", "after", "copy"))
    copy_with(small, before, np.array(small.windows))
    with pytest.raises(KeyboardInterrupt):
        run_study(make(data=str(before)), store, Interrupting(1))
    before.rename(after)
    study = run_study(make(data=str(after)), store, QUIET)
    assert [trial.state for trial in study.trials].count(TrialState.COMPLETE) == 3
    assert kept_settings(study).data == str(after)
    shutil.copytree(after, copy)
    assert kept_settings(run_study(make(data=str(copy)), store, QUIET)).data == str(after)


def test_a_study_is_not_resumed_on_other_data(
    make: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Any
) -> None:
    folder = tmp_path / "data"
    copy_with(small, folder, np.array(small.windows))
    with pytest.raises(KeyboardInterrupt):
        run_study(make(data=str(folder)), store, Interrupting(1))
    shutil.rmtree(folder)
    copy_with(small, folder, np.array(small.windows)[:, ::-1])
    with pytest.raises(StudyError, match="was started with other data"):
        run_study(make(data=str(folder)), store, QUIET)


def test_a_study_is_not_resumed_with_another_mlflow_store(
    make: Callable[..., Settings], store: Store, tmp_path: Any
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(make(), store, Interrupting(1))
    elsewhere = store_at(tmp_path / "elsewhere")
    other = Store(elsewhere.home, elsewhere.tracking_uri, store.storage_url)
    with pytest.raises(StudyError, match=r"are not in the MLflow store sqlite.*Set MLFLOW_TRACKING_URI or --tracking"):
        run_study(make(), other, QUIET)
    assert len(counted(run_study(make(), store, QUIET))) == 3


def test_an_experiment_that_another_machine_creates_at_the_same_moment_is_used(store: Store, monkeypatch: Any) -> None:
    look, theirs = store.client.get_experiment_by_name, []

    def late(name: str) -> Any:
        found = look(name)
        if not theirs:
            theirs.append(store.client.create_experiment(name))
        return found

    monkeypatch.setattr(store.client, "get_experiment_by_name", late)
    assert store.experiment("tiny") == theirs[0]


def test_a_study_is_run_by_one_process_at_a_time(make: Callable[..., Settings], store: Store) -> None:
    (store.home / "locks").mkdir(exist_ok=True)
    with (
        FileLock(store.home / "locks" / "study-tiny.lock"),
        pytest.raises(StudyError, match="another process on this machine is running the study"),
    ):
        run_study(make(), store, QUIET)


def test_the_lock_of_a_study_is_no_other_lock(store: Store) -> None:
    with alone(store, "folder"):  # the lock of the store's own id had this name
        assert store.process()
    with alone(store, "model-a"), model_aliases.locked(store, "a"):
        pass


def test_what_test_participants_did_makes_no_difference_to_a_run(
    make: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Any
) -> None:
    settings = make(training={"tuning": "layer5", "max_epochs": 2, "pretext": "reverse"})
    split = StudyContext.open(settings, store).split
    _, result = train_once(settings, store, QUIET)
    poisoned = np.array(small.windows)
    test_rows = np.isin(small.pid, split.test)
    poisoned[test_rows] = np.random.default_rng(0).normal(0.6, 0.1, poisoned[test_rows].shape)
    copy_with(small, tmp_path / "poisoned", poisoned)
    other = make(training={"tuning": "layer5", "max_epochs": 2, "pretext": "reverse"}, data=str(tmp_path / "poisoned"))
    _, again = train_once(other, store, QUIET)
    assert [replace(r, seconds=0) for r in again.history] == [replace(r, seconds=0) for r in result.history]


def test_pre_training_sees_training_participants_only(make: Callable[..., Settings], store: Store) -> None:
    settings = make(training={"tuning": "head", "max_epochs": 1, "pretext": "permutation"})
    split = StudyContext.open(settings, store).split
    train_once(settings, store, QUIET)
    (run,) = runs(store, "pretraining")
    seen = run.data.params["train_participants"].split() + run.data.params["held_out_participants"].split()
    assert sorted(seen) == sorted(map(str, split.train))


def test_any_set_of_blocks_can_be_searched(make: Callable[..., Settings], store: Store) -> None:
    study = run_study(make(search={"tuning": "any"}, trials=2), store, QUIET)
    assert set(study.trials[1].params) == {f"tune_layer{i}" for i in range(1, 6)}
    assert study.trials[0].user_attrs["settings"]["tuning"] == "head"


def test_windows_of_another_length_in_seconds_are_warned_about(
    make: Callable[..., Settings], small_folder: Path, store: Store
) -> None:
    (warning,) = StudyContext.open(make(encoder="harnet10"), store).data_warnings()
    assert warning.startswith(f"{small_folder} has windows of 5 s and harnet10 expects 10 s")
    assert StudyContext.open(make(), store).data_warnings() == []


def test_so_are_those_that_are_pre_trained_on(
    make: Callable[..., Settings], small_folder: Path, store: Store, tmp_path: Path
) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(small_folder, longer)
    about = json.loads((longer / "dataset.json").read_text())
    (longer / "dataset.json").write_text(json.dumps({**about, "window_s": 10, "rate_hz": 15}))
    warnings = StudyContext.open(make(pretraining={"data": str(longer)}), store).data_warnings()
    assert any(warning.startswith(f"{longer} has windows of 10 s and cnn5 expects 5 s") for warning in warnings)


def copy_with(dataset: Dataset, folder: Any, windows: Any) -> None:
    names = np.array(dataset.class_names)[dataset.labels]
    write_dataset(folder, windows, names, dataset.pid, dataset.start, dataset.description)
