"""A training whose process was killed or interrupted goes on, and ends as if it had not been, to the last bit."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
import torch
import yaml
from sqlalchemy.exc import OperationalError

from sslwear.config import Settings, parse
from sslwear.errors import SslwearError
from sslwear.studies.database.failures import counted
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.database.trials import PEOPLE, network_run, winner
from sslwear.studies.evaluations import job as job_module
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.search import search_trial
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.all_participants import fit_on_all, resumable_on_all
from sslwear.studies.trial.single_run import train_once
from sslwear.studies.trial.training_checkpoints import resumable
from sslwear.studies.trial.training_run import first_encoder
from sslwear.studies.workers.claims import Claims
from sslwear.studies.workers.heartbeats import heartbeat_of
from sslwear.tracking import Run, Store
from sslwear.tracking.checkpoints import load_weights
from sslwear.training import checkpoint
from sslwear.training.epochs import Training
from tests.commands import Command
from tests.conftest import store_at
from tests.integration.conftest import Interrupting, statuses

pytestmark = pytest.mark.slow


@pytest.fixture
def file(content: dict[str, Any], tmp_path: Path) -> Path:
    """A pre-training of some seconds with a checkpoint after each batch."""
    path = tmp_path / "tiny.yaml"
    kept = {key: content[key] for key in ("study", "data", "split")}
    pretraining = {"max_epochs": 6, "patience": 6, "batch_size": 4}
    training = {"pretext": "contrastive"}
    given = {**kept, "encoder": "cnn5", "checkpoint_minutes": 1e-6, "threads": 1, "device": "cpu"}
    path.write_text(yaml.safe_dump({**given, "pretraining": pretraining, "training": training}))
    return path


PATIENCE_S = 200.0


def started(store: Store, file: Path) -> Command:
    """The command that pre-trains."""
    return Command("pretrain", str(file), variables={"SSLWEAR_HOME": str(store.home), "OMP_NUM_THREADS": "1"})


def wait_for(command: Command, text: str) -> None:
    """Wait until a command has written something."""
    until = time.monotonic() + PATIENCE_S
    while text not in "".join(command.written()):
        assert command.poll() is None, command.written()
        assert time.monotonic() < until, command.written()
        time.sleep(0.01)


def ended(command: Command, code: int = 0) -> str:
    """Wait until a command ends as expected; returns what it wrote."""
    text = "".join(command.communicate(PATIENCE_S))
    assert command.returncode == code, text
    assert "Traceback" not in text
    return text


def weights(store: Store) -> dict[str, torch.Tensor]:
    """Weights of the one finished pre-training."""
    (run,) = store.find_runs(None, kind="pretraining", outcome="finished")
    return dict(load_weights(store, f"runs:/{run.info.run_id}"))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def history(store: Store, name: str = "train_loss") -> list[tuple[int, float]]:
    (run,) = store.find_runs(None, kind="pretraining", outcome="finished")
    return [(metric.step, metric.value) for metric in store.client.get_metric_history(run.info.run_id, name)]


def test_a_killed_pretraining_goes_on_to_the_last_bit(file: Path, home: Callable[[str], Store]) -> None:
    whole, broken = home("whole"), home("broken")
    ended(started(whole, file))

    killed = started(broken, file)
    wait_for(killed, "epoch 2,")
    killed.send_signal(signal.SIGKILL)
    assert "epoch 6," not in ended(killed, -signal.SIGKILL)
    assert len(list((broken.home / "checkpoints").glob("*.training"))) >= 2

    stopped = started(broken, file)
    wait_for(stopped, "epoch 4,")
    stopped.send_signal(signal.SIGTERM)
    text = ended(stopped, 130)
    assert "goes on from a checkpoint, after " in text
    assert "epoch 1," not in text
    assert "interrupted; the same command goes on from the last checkpoint" in text

    (newest,) = (broken.home / "checkpoints").glob("[!.]" + "[!.]" * 31 + ".training")
    newest.write_bytes(newest.read_bytes()[:-100])
    text = ended(started(broken, file))
    assert f"the checkpoint {newest} is damaged or of another version, so it is not used" in text
    assert "goes on from a checkpoint, after " in text
    assert same(weights(broken), weights(whole))
    assert history(broken) == history(whole)
    assert [step for step, _ in history(broken)] == list(range(1, 7))
    assert statuses(broken)["pretraining"] == ["KILLED", "KILLED", "FINISHED"]
    assert list((broken.home / "checkpoints").iterdir()) == []

    assert "goes on" not in ended(started(broken, file))  # there is nothing to do
    assert len(statuses(broken)["pretraining"]) == 3


def test_a_single_training_goes_on(make: Callable[..., Settings], home: Callable[[str], Store]) -> None:
    training = {"tuning": "layer5", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 3, "pretext": "reverse"}
    settings = make(encoder="cnn5", training=training, search={}, trials=1)
    whole, broken = home("whole"), home("broken")
    _, expected = train_once(settings, whole, ProgressCallback())
    with pytest.raises(KeyboardInterrupt):
        train_once(settings, broken, Interrupting(3))  # one epoch of pre-training, and two
    heard = Resumed()
    run, result = train_once(settings, broken, heard)
    assert heard.epochs == [2]
    assert same(result.network.state_dict(), expected.network.state_dict())
    assert len(broken.client.get_metric_history(run.id, "val_loss")) == 3
    assert list((broken.home / "checkpoints").iterdir()) == []
    train_once(settings, broken, heard)
    assert heard.epochs == [2]  # the training has ended, so the next one starts anew


class Resumed(ProgressCallback):
    """Keeps after how many epochs trainings go on."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def resumed(self, epochs: int) -> None:
        """Keep one."""
        self.epochs.append(epochs)


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Function that lets Ctrl-C arrive before a training's epoch of that number, counted over all trainings."""
    real = Training.advance

    def press(before: int) -> list[int]:
        done = list[int]()

        def advance(training: Training) -> Any:
            if len(done) == before - 1:
                done.append(0)
                raise KeyboardInterrupt
            record = real(training)
            done.append(record.epoch)
            return record

        monkeypatch.setattr(Training, "advance", advance)
        return done

    return press


def of_study(settings: Settings, store: Store, progress: ProgressCallback) -> Any:
    """Result of a study: the value and the scores of each trial, and the weights of the selected one."""
    study = run_study(settings, store, progress)
    run_id = network_run(study, winner(study))
    attributes = ("best_epoch", PEOPLE)
    trials = [(t.params, t.value, [t.user_attrs.get(a) for a in attributes]) for t in counted(study)]
    return trials, {name: value.tolist() for name, value in load_weights(store, f"runs:/{run_id}").items()}


def of_evaluation(settings: Settings, store: Store, progress: ProgressCallback) -> Any:
    """Result of an evaluation: the scores of each participant."""
    table = evaluate_study(settings, store, progress)
    return table.drop(columns=["run_id", "seconds"], errors="ignore").to_dict()


TRAINING = {"tuning": "layer5", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 3}
CASES = {
    "hold-out": (of_study, {"training": TRAINING, "trials": 2}),
    "folds": (of_study, {"training": TRAINING, "trials": 2, "split": {"test": 0.2, "folds": 3}}),
    "kept": (
        of_study,
        {"training": TRAINING, "trials": 2, "split": {"test": 0.2, "folds": 2}, "keep_checkpoints": True},
    ),
    "evaluation": (
        of_evaluation,
        {
            "training": TRAINING,
            "evaluation": {
                "protocol": "k_fold",
                "folds": 2,
                "seeds": [1],
                "refit": True,
                "baselines": "none",
                "methods": {"one": {}},
            },
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_no_epoch_of_a_study_or_an_evaluation_is_trained_twice(
    make: Callable[..., Settings],
    home: Callable[[str], Store],
    pressed: Callable[[int], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    monkeypatch.setattr(checkpoint, "SHORT_S", 0.0)
    result, given = CASES[case]
    settings = make(**{"search": {} if "evaluation" in given else {"learning_rate": [1e-3, 1e-2]}, **given})
    done = pressed(0)
    expected, total = result(settings, home("whole"), ProgressCallback()), len(done)
    for before in (2, total // 3 + 1, total // 2 + 2, total):
        done, store, heard = pressed(before), home(f"broken{before}"), Resumed()
        with pytest.raises(KeyboardInterrupt):
            result(settings, store, heard)
        assert result(settings, store, heard) == expected
        assert len(done) == total + 1, "the interrupted epoch, and all others once"
        assert list(store.home.glob("checkpoints/*")) == []


def once(patch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException) -> None:
    """Let the next call of a function fail."""
    real = getattr(owner, name)

    def fail(*_: Any, **__: Any) -> Any:
        patch.setattr(owner, name, real)
        raise error

    patch.setattr(owner, name, fail)


AWAY = OperationalError("statement", {}, Exception("the server is away"))


@pytest.mark.parametrize(
    ("case", "owner", "name", "error"),
    [
        ("evaluation", job_module, "score_trained", KeyboardInterrupt()),
        ("folds", search_trial, "check_kept", AWAY),
        ("folds", Run, "checkpoint", KeyboardInterrupt()),
    ],
)
def test_no_epoch_is_trained_twice_after_an_interruption_between_training_and_end(
    make: Callable[..., Settings],
    home: Callable[[str], Store],
    pressed: Callable[[int], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    owner: Any,
    name: str,
    error: BaseException,
) -> None:
    monkeypatch.setattr(checkpoint, "SHORT_S", 0.0)
    result, given = CASES[case]
    settings = make(**{"search": {} if "evaluation" in given else {"learning_rate": [1e-3]}, **given, "trials": 1})
    done = pressed(0)
    expected, total = result(settings, home("whole"), ProgressCallback()), len(done)
    done.clear()
    once(monkeypatch, owner, name, error)
    store = home("broken")
    with pytest.raises((KeyboardInterrupt, SslwearError)):
        result(settings, store, ProgressCallback())
    assert result(settings, store, ProgressCallback()) == expected
    assert len(done) == total
    assert list(store.home.glob("checkpoints/*")) == []


def test_a_training_does_not_go_on_from_another_encoder(
    make: Callable[..., Settings], home: Callable[[str], Store], pressed: Callable[[int], list[int]]
) -> None:
    """A job is refitted from an encoder that was pre-trained without the validation participants."""
    settings = make(training={**TRAINING, "pretext": "reverse"}, search={}, trials=1)
    store = home("one")
    context = StudyContext.open(settings, store)
    training, heard, files = context.settings.training, ProgressCallback(), store.home / "checkpoints"
    with store.start_run(store.experiment("tiny"), "x", "train", note="note", **context.tags()) as run:
        encoders = [first_encoder(one, training, run, None, heard) for one in (context, context.on_all())]
    pressed(2)
    with (
        pytest.raises(KeyboardInterrupt),
        resumable_on_all(context, training, copy.deepcopy(encoders[0]), 2, heard) as checkpoints,
    ):
        fit_on_all(context, training, encoders[0], 2, checkpoints)
    assert list(files.iterdir())
    with resumable_on_all(context, training, encoders[1], 2, heard) as checkpoints:
        assert checkpoints is not None
        assert checkpoints.read() is None


def test_a_rerun_does_not_go_on_from_checkpoints(
    make: Callable[..., Settings], home: Callable[[str], Store], pressed: Callable[[int], list[int]]
) -> None:
    _, given = CASES["evaluation"]
    store, heard = home("one"), Resumed()
    evaluate_study(make(search={}, **given), store, ProgressCallback())
    original = store.find_runs(None, kind="cross_validation_job", outcome="finished")[0]
    pressed(3)
    with pytest.raises(KeyboardInterrupt):
        rerun(original, store, heard)
    assert rerun(original, store, heard).differing is None
    assert heard.epochs == []


def test_a_process_that_lost_its_trial_leaves_the_checkpoints_of_the_new_owner(
    make: Callable[..., Settings], home: Callable[[str], Store]
) -> None:
    store = home("one")
    context = StudyContext.open(make(training=TRAINING, search={}, trials=1), store)
    heard, claims = ProgressCallback(), heartbeat_of(store).claims
    with resumable([context], context.settings.training, heard, "fold") as mine:
        mine[0].write({"epochs": 1})
        (name,) = _rights(claims)
        with resumable([context], context.settings.training, heard, "fold") as others:
            assert others == [], "another training of the same has none"
        claims.release(name)
        other = Claims(heartbeat_of(store).engine, "another process", lambda *_: False)
        assert other.take(name)
    assert list((store.home / "checkpoints").iterdir())


def _rights(claims: Claims) -> list[str]:
    with claims._engine.connect() as connection:
        return [
            name for (name,) in connection.execute(sa.text("SELECT name FROM sslwear_claims")) if "training:" in name
        ]


@pytest.mark.parametrize("ends", ["by itself", "by Ctrl-C"])
def test_nothing_is_kept_of_a_training_whose_data_changed(
    make: Callable[..., Settings],
    home: Callable[[str], Store],
    small_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: str,
) -> None:
    """Windows are changed in place before the third epoch of a fold, and restored after the study has ended."""
    data = tmp_path / "data"
    shutil.copytree(small_folder, data)
    result, given = CASES["folds"]
    how = {**given, "trials": 1, "checkpoint_minutes": 1e-6, "data": str(data), "cache": {"disk_gb": 0}}
    settings = make(search={"learning_rate": [1e-3]}, **how)
    expected, _ = result(settings, home("whole"), ProgressCallback())
    good, real, done = (data / "X.npy").read_bytes(), Training.advance, list[int]()

    def advance(training: Training) -> Any:
        done.append(1)
        if len(done) == 3:
            windows = np.load(data / "X.npy", mmap_mode="r+")
            windows[:] = windows[::-1].copy()
            windows.flush()
            os.utime(data / "X.npy")  # file systems in memory do not note when mapped pages were written
        if len(done) == 5 and ends == "by Ctrl-C":
            raise KeyboardInterrupt
        return real(training)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "advance", advance)
        with pytest.raises((KeyboardInterrupt, SslwearError)):
            result(settings, home("broken"), ProgressCallback())
    with (data / "X.npy").open("r+b") as file:
        file.write(good)
    assert result(settings, store_at(tmp_path / "broken"), ProgressCallback())[0] == expected


def test_a_trial_of_a_killed_study_goes_on(
    content: dict[str, Any], home: Callable[[str], Store], tmp_path: Path
) -> None:
    """A command that was killed, and one that was asked to end."""
    training = {**TRAINING, "max_epochs": 8, "patience": 8, "batch_size": 16}
    search = {"tuning": ["layer5"]}
    given = {
        "training": training,
        "trials": 1,
        "split": {"test": 0.2, "folds": 3},
        "search": search,
    }
    given = {**{key: content[key] for key in ("study", "data", "pruner")}, **given}
    given |= {"encoder": "cnn5", "threads": 1, "device": "cpu"}
    file, store = tmp_path / "long.yaml", home("killed")
    file.write_text(yaml.safe_dump({**given, "checkpoint_minutes": 1e-6}))

    def command() -> Command:
        return Command("study", "run", str(file), variables={"SSLWEAR_HOME": str(store.home), "OMP_NUM_THREADS": "1"})

    def waited(number: int, code: int) -> str:
        one = command()
        folder, until = store.home / "checkpoints", time.monotonic() + PATIENCE_S
        begun = {path: path.stat().st_mtime_ns for path in folder.glob("*.training")}
        while len({path for path in folder.glob("[!.]*.training") if begun.get(path) != _changed(path)}) < 3:
            assert one.poll() is None, one.written()
            assert time.monotonic() < until
            time.sleep(0.02)
        one.send_signal(number)
        return ended(one, code)

    waited(signal.SIGKILL, -signal.SIGKILL)
    assert "goes on from a checkpoint, after " in waited(signal.SIGTERM, 130)
    assert "goes on from a checkpoint, after " in ended(command())
    study = find_study("tiny", store)
    assert [len(counted(study)), len(study.trials)] == [1, 3]
    whole = run_study(parse(given, "the test"), home("whole"))
    assert [trial.value for trial in counted(study)] == [trial.value for trial in counted(whole)]
    assert list(store.home.glob("checkpoints/*")) == []


def _changed(path: Path) -> int | None:
    """When a file was changed; None if it is renamed just now."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
