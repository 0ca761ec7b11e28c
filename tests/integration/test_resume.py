"""A pre-training whose process was killed or interrupted goes on, and ends as if it had not been, to the last bit."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sslwear.config import Settings
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.single_run import train_once
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import load_weights
from tests.commands import Command
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
