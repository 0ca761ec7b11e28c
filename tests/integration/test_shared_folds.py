"""Folds of one trial that several processes train, and what becomes of the trial when one of them is killed.

Each epoch of a fold takes a while (`benchmarks/stub_worker.py`); all else is as in a study. Heartbeats are a second
apart.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from optuna.trial import TrialState

from sslwear.studies.database.failures import counted, interrupted_trials
from sslwear.studies.database.optuna_storage import find_study, open_storage
from sslwear.studies.database.trials import PEOPLE
from sslwear.studies.workers.claims import CLAIMS, Claims
from sslwear.studies.workers.fold_epochs import EPOCHS, FoldEpochs
from sslwear.tracking import Store
from tests.conftest import store_at
from tests.integration.conftest import statuses
from tests.integration.test_workers import (
    Start,
    Worker,
    check,
    in_hand,
    made,
    on_postgres,
    postgres,
    shared,
    start,
    trials,
    waiting,
)

__all__ = ["on_postgres", "postgres", "shared", "start"]  # fixtures
FOLDS, MAX_EPOCHS = 4, 9
SLOW = {"REAL": "1", "STUB_EPOCH_S": "0.25"}

pytestmark = pytest.mark.slow


def study_of(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A study file of one trial, which is trained in several folds."""
    training = {**content["training"], "tuning": "layer5", "max_epochs": MAX_EPOCHS, "patience": MAX_EPOCHS}
    given = {
        **{key: content[key] for key in ("study", "data", "encoder", "pruner")},
        "training": training,
        "split": {"test": 0.2, "folds": FOLDS},
        "search": {"learning_rate": [1e-3, 3e-3]},
        "trials": 1,
        "threads": 1,
    }
    return {**given, **changes}


@pytest.fixture
def file(content: dict[str, Any], tmp_path: Path) -> Path:
    """The study file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(study_of(content)))
    return path


def result(store: Store) -> dict[str, Any]:
    """What Optuna and MLflow keep of the only trial that counts, but for durations and identities."""
    (trial,) = counted(find_study("tiny", store))
    run = store.client.get_run(trial.user_attrs["run_id"])
    names = [name for name in run.data.metrics if not name.startswith("system/") and name != "epoch_seconds"]
    history = {name: store.client.get_metric_history(run.info.run_id, name) for name in names}
    return {
        "values": trial.values,
        "reported": trial.intermediate_values,
        "kept": {name: trial.user_attrs[name] for name in ("best_epoch", PEOPLE, "measured")},
        "metrics": {name: [(one.step, one.value) for one in found] for name, found in history.items()},
        "params": run.data.params,
        "tables": [store.read_text(run, name) for name in ("participants.csv", "validation_confusion.csv")],
    }


@pytest.fixture(scope="module")
def alone(content: dict[str, Any], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Result of the trial of one worker."""
    folder = tmp_path_factory.mktemp("alone")
    file, store = folder / "tiny.yaml", store_at(folder / "mlruns")
    shutil.copytree(empty_home, store.home)
    file.write_text(yaml.safe_dump(study_of(content)))
    places = {"SSLWEAR_HOME": str(store.home), "SSLWEAR_STORAGE": store.storage_url}
    worker = Worker(store, ("study", "worker", str(file)), folder / "out.txt", {"REAL": "1", **places})
    worker.ended()
    return result(store)


def written(store: Store, process: Worker, trial: int, epochs: int = 2) -> None:
    """Wait until a helper has written some epochs of a trial."""
    table = FoldEpochs(open_storage(store).engine)
    waiting(lambda: any(fold >= 0 and done >= epochs for fold, done in table.progress(trial).items()), process)


def with_helper(store: Store, file: Path, start: Start) -> tuple[Worker, Worker]:
    """A worker that runs the only trial, and one that helps."""
    owner = start(store, file, **SLOW)
    trial = in_hand(store, owner)
    helper = start(store, file, **SLOW)
    waiting(lambda: "helps with the folds of trial 0" in helper.out(), owner)
    written(store, owner, trial._trial_id)
    return owner, helper


def helpers(store: Store) -> str:
    """What the run of the trial that counts says about helpers."""
    (trial,) = counted(find_study("tiny", store))
    return store.client.get_run(trial.user_attrs["run_id"]).data.tags.get("sslwear.helpers", "")


def nothing_is_left(store: Store) -> None:
    """Check that no epochs of folds and no rights to train them are left."""
    with open_storage(store).engine.connect() as connection:
        assert connection.execute(sa.select(EPOCHS.c.fold)).all() == []
        assert connection.execute(sa.select(CLAIMS.c.owner).where(CLAIMS.c.name.startswith("fold:"))).all() == []


def test_a_right_is_taken_at_once(shared: Store) -> None:
    claims = [Claims(open_storage(shared).engine, owner, lambda *_: False) for owner in ("one", "other")]
    assert [one.take("x") for one in claims] == [True, False]
    assert claims[0].release("x")


def test_a_trial_with_a_helper_is_that_of_one_worker_to_the_bit(
    shared: Store, file: Path, start: Start, alone: dict[str, Any]
) -> None:
    both = with_helper(shared, file, start)
    for worker in both:
        worker.ended()
    study = check(shared, 1)
    owner = study.trials[0].user_attrs["process"]
    named = helpers(shared)
    assert "fold 4: " in named
    assert "fold 1: " not in named
    assert owner not in named
    assert result(shared) == alone
    nothing_is_left(shared)


def test_a_trial_whose_helper_was_killed_is_that_of_one_worker(
    store: Store, file: Path, start: Start, alone: dict[str, Any]
) -> None:
    owner, helper = with_helper(store, file, start)
    helper.send(signal.SIGKILL)
    owner.ended()
    check(store, 1)
    assert result(store) == alone
    nothing_is_left(store)


def test_another_worker_takes_the_folds_of_a_killed_helper(
    store: Store, file: Path, start: Start, alone: dict[str, Any]
) -> None:
    owner, helper = with_helper(store, file, start)
    helper.send(signal.SIGKILL)
    other = start(store, file, **SLOW)
    waiting(lambda: "helps with the folds of trial 0" in other.out(), owner)
    owner.ended()
    other.ended()
    check(store, 1)
    assert result(store) == alone


@pytest.mark.parametrize(
    ("kind", "number"), [("sqlite", signal.SIGKILL), ("postgresql", signal.SIGKILL), ("sqlite", signal.SIGINT)]
)
def test_a_helper_runs_the_trial_that_its_owner_gave_up(
    request: pytest.FixtureRequest, file: Path, start: Start, alone: dict[str, Any], kind: str, number: int
) -> None:
    shared = request.getfixturevalue("store") if kind == "sqlite" else made(request.getfixturevalue("on_postgres"))
    owner, helper = with_helper(shared, file, start)
    owner.send(number)
    out = helper.ended()
    assert "#1 " in out
    assert interrupted_trials(check(shared, 1)) == {0}
    assert result(shared) == alone
    assert statuses(shared)["trial"] == ["KILLED", "FINISHED"]
    nothing_is_left(shared)


def test_a_helper_ends_when_it_is_asked_to(store: Store, file: Path, start: Start, alone: dict[str, Any]) -> None:
    owner, helper = with_helper(store, file, start)
    helper.send(signal.SIGINT)
    assert "interrupted; finished trials are kept" in helper.ended(130, within_s=10)
    assert trials(store, TrialState.RUNNING)[0].number == 0
    owner.ended()
    check(store, 1)
    assert result(store) == alone
    nothing_is_left(store)


def test_a_helper_leaves_for_a_trial_that_waits(
    store: Store, content: dict[str, Any], file: Path, start: Start
) -> None:
    file.write_text(yaml.safe_dump(study_of(content, trials=2)))
    owners = [start(store, file, **SLOW) for _ in range(2)]
    for owner in owners:
        waiting(lambda owner=owner: "started" in owner.out(), owner)
    helper = start(store, file, **SLOW)
    waiting(lambda: "helps with the folds of trial" in helper.out(), owners[0])
    helped = helper.out().split("folds of trial ")[1][0]
    kept, lost = sorted(owners, key=lambda one: f"#{helped} " not in one.out())
    lost.send(signal.SIGKILL)
    waiting(lambda: "#2 " in helper.out(), kept)
    assert [run.data.tags["sslwear.trial"] for run in store.find_runs(None, kind="trial", outcome="finished")] == []
    kept.ended()
    helper.ended()
    check(store, 2)
    nothing_is_left(store)


def test_each_fold_is_pre_trained_once(store: Store, content: dict[str, Any], file: Path, start: Start) -> None:
    training = {**study_of(content)["training"], "pretext": "reverse"}
    changed = study_of(content, training=training, pretraining={"max_epochs": 1})
    file.write_text(yaml.safe_dump(changed))
    both = with_helper(store, file, start)
    for worker in both:
        worker.ended()
    check(store, 1)
    assert "fold 4: " in helpers(store)
    done = statuses(store)["pretraining"]
    assert done == ["FINISHED"] * (FOLDS + 1)  # and one for the selected trial
