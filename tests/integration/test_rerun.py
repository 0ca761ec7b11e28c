"""Trainings repeated from what was logged of them: the same to the bit, or told."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow.entities import Run as MlflowRun
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings
from sslwear.deployment.promotion.promotion import promote
from sslwear.errors import DataError, StudyError
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.leakage import training_provenance
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.single_run import train_once
from sslwear.tracking import HOME_VARIABLE, Store
from tests.conftest import store_at
from tests.integration.conftest import Hearing

TRAINING = {"tuning": "layer5", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 2, "pretext": "reverse"}
SEARCH = {
    "learning_rate": {"low": 1e-3, "high": 1e-2},
    "pretext": ["none", "reverse"],
    "augment": [["tempo(0.15)", "mask"], False],
}


@pytest.fixture(scope="module")
def done(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a study with and without a pretext task, whose second trial was pruned, and a single training."""
    home = tmp_path_factory.mktemp("rerun") / "mlruns"
    shutil.copytree(empty_home, home)
    store = store_at(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number == 1)
        run_study(make(training=TRAINING, search=SEARCH, trials=4), store, ProgressCallback())
    single = {**TRAINING, "pretext": "none", "augment": ["rotate(20)", "jitter(0.02)"]}
    train_once(make(study="single", training=single), store, ProgressCallback())
    return store


def logged(store: Store, kind: str, **params: str) -> list[MlflowRun]:
    """Runs of a kind with these parameters, oldest first."""
    found = reversed(store.find_runs(None, kind=kind))
    return [run for run in found if all(run.data.params.get(name) == value for name, value in params.items())]


def histories(store: Store, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """All that a run measured, read in another way than the code does it."""
    with sqlite3.connect(store.home / "mlflow.db") as database:
        rows = database.execute("SELECT key, step, value FROM metrics WHERE run_uuid = ?", (run_id,)).fetchall()
    found: dict[str, list[tuple[int, float]]] = {}
    for key, step, value in rows:
        if not key.startswith(("system/", "learning_parameters/")) and key != "epoch_seconds":
            found.setdefault(key, []).append((step, value))
    return {key: sorted(values) for key, values in found.items()}


@pytest.mark.parametrize("pretext", ["none", "reverse"])
def test_a_trial_is_repeated_to_the_bit(done: Store, pretext: str) -> None:
    trial = next(run for run in logged(done, "trial", pretext=pretext) if run.info.status == "FINISHED")
    listener = Hearing()
    found = rerun(trial, done, listener)
    assert found.differing is None
    assert histories(done, found.run_id) == histories(done, trial.info.run_id)
    assert found.values == sum(map(len, histories(done, found.run_id).values()))
    new = done.client.get_run(found.run_id)
    assert new.data.tags["sslwear.rerun_of"] == trial.info.run_id
    assert new.data.tags["sslwear.kind"] == "rerun"
    assert "mlflow.parentRunId" not in new.data.tags  # or it would count among the trials
    assert new.data.params == trial.data.params
    assert new.data.tags.get("sslwear.pretraining_run") == trial.data.tags.get("sslwear.pretraining_run")
    assert not [text for text in listener.warnings if "uncommitted" not in text]


def test_the_network_of_the_selected_trial_is_repeated_with_what_leakage_checks_need(done: Store) -> None:
    (winner,) = logged(done, "winner")
    listener = Hearing()
    found = rerun(winner, done, listener)
    assert found.differing is None
    assert histories(done, found.run_id) == histories(done, winner.info.run_id) != {}
    assert done.client.get_run(found.run_id).data.params == winner.data.params
    steps = [training_provenance(done, f"runs:/{run_id}") for run_id in (winner.info.run_id, found.run_id)]
    assert steps[0] == steps[1]
    assert steps[0][0].sources
    assert not [text for text in listener.warnings if "uncommitted" not in text]


def test_metrics_that_were_added_after_the_training_are_not_compared(
    done: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "mlruns"
    shutil.copytree(done.home, home)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    store = store_at(home)
    best = store.find_runs(None, kind="study")[0].data.tags["sslwear.best_trial"]
    promote("tiny", store)
    trial = next(run for run in logged(store, "trial") if run.data.tags["sslwear.trial"] == best)
    store.client.log_metric(trial.info.run_id, "val_kappa", 2.0, step=1)
    result = CliRunner().invoke(app, ["rerun", "tiny", "--trial", best])
    assert result.exit_code == 0, result.output
    assert f"repeats {trial.info.run_id} " in result.stdout
    (single,) = logged(store, "train")
    with sqlite3.connect(home / "mlflow.db") as database:  # while it trained
        database.execute("UPDATE metrics SET value = 2 WHERE run_uuid = ? AND key = 'val_kappa'", (single.info.run_id,))
    assert rerun(single, store, ProgressCallback()).differing is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny", "--trial", "9"], "there is no trial 9 in the study 'tiny'. It has the trials 0 to 3"),
        (["none", "--trial", "0"], "there is no study 'none'"),
        (["tiny"], "'tiny' is not the id of a run. Give its 32 letters 0-9 and a-f, the first ones, or a study with"),
    ],
)
def test_a_trial_that_does_not_exist_is_refused(
    done: Store, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(done.home))
    result = CliRunner().invoke(app, ["rerun", *arguments])
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_pruned_trial_is_ended_where_it_was(done: Store) -> None:
    (pruned,) = (run for run in logged(done, "trial") if run.data.tags["sslwear.outcome"] == "pruned")
    found = rerun(pruned, done, ProgressCallback())
    assert found.differing is None
    assert histories(done, found.run_id) == histories(done, pruned.info.run_id)
    assert [step for step, _ in histories(done, found.run_id)["train_loss"]] == [1]


def test_a_trial_is_repeated_with_or_without_its_checkpoint_whatever_later_commands_kept(
    make: Callable[..., Settings], store: Store
) -> None:
    for trials, keep in ((1, False), (2, True)):
        run_study(make(search={"tuning": ["head", "layer5"]}, trials=trials, keep_checkpoints=keep), store)
    for trial in logged(store, "trial"):
        assert rerun(trial, store, ProgressCallback()).differing is None


def test_a_pretraining_is_repeated_to_the_bit_and_not_taken_for_one(done: Store) -> None:
    first, *_ = logged(done, "pretraining")
    found = rerun(first, done, ProgressCallback())
    assert found.differing is None
    assert histories(done, found.run_id) == histories(done, first.info.run_id) != {}
    key = first.data.tags["sslwear.pretraining_key"]
    assert [run.info.run_id for run in done.find_runs(None, pretraining_key=key)] == [first.info.run_id]


def test_the_command_says_that_all_is_identical_and_what_may_make_a_difference(
    done: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(done.home))
    (single,) = logged(done, "train")
    same = single.data.tags["sslwear.versions"]
    assert "torch 2." in same
    done.client.set_tag(single.info.run_id, "sslwear.versions", "python 2.7")
    result = CliRunner().invoke(app, ["rerun", single.info.run_id[:12]])
    done.client.set_tag(single.info.run_id, "sslwear.versions", same)
    assert result.exit_code == 0, result.output
    assert "metrics are identical in every bit" in result.stdout
    assert f"other libraries: python 2.7 then, {same} now" in result.output


def test_a_metric_that_was_changed_is_told(done: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(done.home))
    (single,) = logged(done, "train")
    where = "run_uuid = ? AND key = 'val_loss' AND step = 1"
    with sqlite3.connect(done.home / "mlflow.db") as database:
        (value,) = database.execute(f"SELECT value FROM metrics WHERE {where}", (single.info.run_id,)).fetchone()
        changed = value * (1 + 2**-50)  # in the last bits only
        database.execute(f"UPDATE metrics SET value = ? WHERE {where}", (changed, single.info.run_id))
    result = CliRunner().invoke(app, ["rerun", single.info.run_id])
    with sqlite3.connect(done.home / "mlflow.db") as database:
        database.execute(f"UPDATE metrics SET value = ? WHERE {where}", (value, single.info.run_id))
    assert result.exit_code == 1
    shown = f"{value:.6g}"  # the last of 16 digits differ, which nobody could see
    assert (
        f"first in val_loss at step 1: {shown} then, {shown} now, a difference of {value - changed:.1e}."
        in result.stdout
    )


def test_other_data_are_refused(done: Store) -> None:
    (single,) = logged(done, "train")
    right = single.data.tags["sslwear.fingerprint"]
    done.client.set_tag(single.info.run_id, "sslwear.fingerprint", "f" * 64)
    with pytest.raises(DataError, match=rf"its fingerprint is {right[:12]} and was ffffffffffff\. Restore the data"):
        rerun(done.client.get_run(single.info.run_id), done, ProgressCallback())
    done.client.set_tag(single.info.run_id, "sslwear.fingerprint", right)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (
            {"kind": "study"},
            "its kind is study. Choose a run of train, trial, winner, pretraining, cross",
        ),
        ({"kind": "rerun", "rerun_of": "abc"}, "because it repeats abc"),
        ({"kind": "trial", "outcome": "interrupted"}, "did not finish"),
        ({"kind": "trial", "outcome": "finished", "duplicate_of": "abc"}, "copies the result of abc. Repeat that run"),
        (
            {"kind": "cross_validation_job", "outcome": "finished", "chosen_run": "abc"},
            "it selected abc. Repeat that run",
        ),
        ({"kind": "trial", "outcome": "finished", "study": "gone"}, "the store has no settings of the run .*"),
    ],
)
def test_what_cannot_be_repeated_is_refused(store: Store, tags: dict[str, Any], message: str) -> None:
    run = store.create_run(store.experiment("tiny"), "some", **tags)
    with pytest.raises(StudyError, match=message):
        rerun(store.client.get_run(run.id), store, ProgressCallback())


@pytest.fixture(scope="module")
def evaluated(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a small evaluation."""
    home = tmp_path_factory.mktemp("evaluated") / "mlruns"
    shutil.copytree(empty_home, home)
    store = store_at(home)
    methods = {"pre-trained": {"pretext": "reverse"}, "forest": {"baseline": "random_forest"}}
    content = {"protocol": "k_fold", "folds": 2, "seeds": [1, 2], "methods": methods, "baselines": "none"}
    training = {"tuning": "layer5", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 1}
    evaluate_study(make(training=training, evaluation=content), store)
    return store


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cross_validation_job", "pretraining"])
def test_a_part_of_an_evaluation_is_repeated_in_its_fold_with_its_seed(evaluated: Store, kind: str) -> None:
    for run in logged(evaluated, kind)[-2:]:
        listener = Hearing()
        found = rerun(run, evaluated, listener)
        assert found.differing is None
        assert histories(evaluated, found.run_id) == histories(evaluated, run.info.run_id) != {}
        again = evaluated.client.get_run(found.run_id)
        assert again.data.params == run.data.params  # participants and seed among them
        assert "mlflow.parentRunId" not in again.data.tags
        assert not [text for text in listener.warnings if "uncommitted" not in text]


def test_a_trial_of_a_search_inside_of_a_fold_is_repeated_with_its_job_only(
    make: Callable[..., Settings], store: Store
) -> None:
    methods = {"search": {"search": {"learning_rate": [1e-3, 1e-2]}, "trials": 1}}
    evaluation = {"protocol": "hold_out", "baselines": "none", "methods": methods}
    evaluate_study(make(search={}, evaluation=evaluation), store)
    (job,) = store.find_runs(None, kind="cross_validation_job")
    for kind in ("trial", "winner"):
        (nested,) = store.find_runs(None, kind=kind)
        with pytest.raises(
            StudyError, match=f"cannot be repeated alone. Repeat the whole search, the run {job.info.run_id}"
        ):
            rerun(nested, store, ProgressCallback())


def test_a_part_that_the_settings_no_longer_name_is_refused(evaluated: Store) -> None:
    (run, *_) = logged(evaluated, "cross_validation_job")
    evaluated.client.set_tag(run.info.run_id, "sslwear.method", "gone")
    with pytest.raises(StudyError, match="has no such job, so the run cannot be repeated"):
        rerun(evaluated.client.get_run(run.info.run_id), evaluated, ProgressCallback())


@pytest.mark.slow
def test_the_networks_of_a_promoted_method_are_repeated(evaluated: Store) -> None:
    promote("tiny", evaluated, method="pre-trained", force="test")
    promote("tiny", evaluated, method="forest", force="test")
    forest = logged(evaluated, "method_network", baseline="random_forest")[0]
    with pytest.raises(StudyError, match="fitted the baseline random_forest, and has no metrics to compare"):
        rerun(forest, evaluated, ProgressCallback())
    networks = logged(evaluated, "method_network", pretext="reverse")
    above = [run.data.tags["mlflow.parentRunId"] for run in networks]
    assert len(networks) == 2
    pretrainings = [run for run in logged(evaluated, "pretraining") if run.data.tags["mlflow.parentRunId"] in above]
    for run in [*networks, *pretrainings]:
        found = rerun(run, evaluated, ProgressCallback())
        assert found.differing is None
        assert histories(evaluated, found.run_id) == histories(evaluated, run.info.run_id) != {}
        assert evaluated.client.get_run(found.run_id).data.params == run.data.params
    assert pretrainings
