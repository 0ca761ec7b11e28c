"""A pre-training whose process was killed or interrupted goes on, and ends as if it had not been, to the last bit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sslwear.config import Settings
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.single_run import train_once
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import load_weights
from tests.commands import heed_signals
from tests.conftest import store_at
from tests.integration.conftest import Interrupting, statuses

PATIENCE_S = 120.0
Command = Callable[..., "Started"]

pytestmark = pytest.mark.slow


@pytest.fixture
def file(content: dict[str, Any], tmp_path: Path) -> Path:
    """A pre-training of some seconds with a checkpoint after each batch."""
    path = tmp_path / "tiny.yaml"
    kept = {key: content[key] for key in ("study", "data", "split")}
    pretraining = {"max_epochs": 12, "patience": 12, "batch_size": 4}
    training = {"pretext": "contrastive"}
    given = {**kept, "encoder": "cnn5", "checkpoint_minutes": 1e-6, "threads": 1, "device": "cpu"}
    path.write_text(yaml.safe_dump({**given, "pretraining": pretraining, "training": training}))
    return path


@pytest.fixture
def home(empty_home: Path, tmp_path: Path) -> Callable[[str], Store]:
    """New stores by name."""

    def make(name: str) -> Store:
        shutil.copytree(empty_home, tmp_path / name)
        return store_at(tmp_path / name)

    return make


class Started:
    """A command in a process of its own."""

    def __init__(self, store: Store, *arguments: str) -> None:
        self._output = store.home.parent / f"{store.home.name}-{time.monotonic_ns()}.txt"
        with self._output.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sslwear", *arguments],
                env={**os.environ, "SSLWEAR_HOME": str(store.home), "OMP_NUM_THREADS": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=heed_signals,
            )

    def out(self) -> str:
        """What it wrote so far."""
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it has written something."""
        until = time.monotonic() + PATIENCE_S
        while text not in self.out():
            assert self._process.poll() is None, self.out()
            assert time.monotonic() < until, self.out()
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def ended(self, code: int = 0) -> str:
        """Wait until it ends as expected; returns what it wrote."""
        assert self._process.wait(PATIENCE_S) == code, self.out()
        assert "Traceback" not in self.out()
        return self.out()


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
    Started(whole, "pretrain", str(file)).ended()

    killed = Started(broken, "pretrain", str(file))
    killed.wait_for("epoch 3,")
    killed.send(signal.SIGKILL)
    assert "epoch 12," not in killed.ended(-signal.SIGKILL)
    assert len(list((broken.home / "checkpoints").glob("*.training"))) >= 2

    stopped = Started(broken, "pretrain", str(file))
    stopped.wait_for("epoch 7,")
    stopped.send(signal.SIGTERM)
    text = stopped.ended(130)
    assert "goes on from a checkpoint, after " in text
    assert "epoch 1," not in text
    assert "interrupted; the same command goes on from the last checkpoint" in text

    (newest,) = (broken.home / "checkpoints").glob("[!.]" + "[!.]" * 31 + ".training")
    newest.write_bytes(newest.read_bytes()[:-100])
    text = Started(broken, "pretrain", str(file)).ended()
    assert f"the checkpoint {newest} is damaged or of another version, so it is not used" in text
    assert "goes on from a checkpoint, after " in text
    assert same(weights(broken), weights(whole))
    assert history(broken) == history(whole)
    assert [step for step, _ in history(broken)] == list(range(1, 13))
    assert statuses(broken)["pretraining"] == ["KILLED", "KILLED", "FINISHED"]
    assert list((broken.home / "checkpoints").iterdir()) == []

    assert "goes on" not in Started(broken, "pretrain", str(file)).ended()  # there is nothing to do
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
