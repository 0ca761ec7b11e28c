"""``sslwear pretrain`` and ``sslwear train`` under torchrun: two processes do what one does with twice the batch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sslwear.config import load
from sslwear.errors import StudyError
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.single_run import pretrain_once, train_once
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import load_weights
from tests.commands import sslwear, together
from tests.integration.conftest import statuses
from tests.integration.started import PATIENCE_S, Started

TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "sslwear")

pytestmark = pytest.mark.slow


@pytest.fixture
def write(content: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """Files of a pre-training by batch size."""

    def file(size: int, **training: Any) -> Path:
        given = {key: content[key] for key in ("study", "data", "split")}
        given |= {"encoder": "cnn5", "device": "cpu", "precision": "float32", "checkpoint_minutes": 1e-6}
        given["pretraining"] = {"max_epochs": 6, "patience": 9, "batch_size": size, "learning_rate": 1e-4}
        path = tmp_path / f"{size}.yaml"
        path.write_text(yaml.safe_dump({**given, "training": {"pretext": "reverse", **training}}))
        return path

    return file


class Together(Started):
    """A command of torchrun with its processes."""

    def ranks(self) -> dict[int, int]:
        """Ids of the processes that torchrun started, by rank."""
        found = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
                ranks = [int(text[5:]) for text in variables if text.startswith(b"RANK=")]
                found.update(dict.fromkeys(ranks, int(child)))
        return found


def both(store: Store, *arguments: str, code: int = 0) -> str:
    """Run a command in two processes as torchrun does; returns what they wrote.

    They are forked, because torchrun and new interpreters spend many seconds on imports.
    """
    ranks = together(2, sslwear, *arguments, variables={"SSLWEAR_HOME": str(store.home)})
    try:
        texts = ["".join(process.communicate(PATIENCE_S)) for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    assert [process.returncode for process in ranks] == [code, code], texts
    return "".join(texts)


def weights(store: Store, kind: str) -> dict[str, torch.Tensor]:
    """Weights of the one finished run of a kind."""
    (run,) = store.find_runs(None, kind=kind, outcome="finished")
    return dict(load_weights(store, f"runs:/{run.info.run_id}"))


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Largest difference of two tensors."""
    assert one.keys() == other.keys()
    return max(float((value.double() - other[name].double()).abs().max()) for name, value in one.items())


def first_losses(store: Store) -> list[float]:
    """Training losses of the first epochs of the finished pre-training."""
    (run,) = store.find_runs(None, kind="pretraining", outcome="finished")
    history = store.client.get_metric_history(run.info.run_id, "train_loss")
    return [metric.value for metric in sorted(history, key=lambda metric: metric.step)][:2]


def test_two_processes_pretrain_as_one_and_go_on(write: Callable[..., Path], home: Callable[[str], Store]) -> None:
    one, two, broken = home("one"), home("two"), home("broken")
    pretrain_once(load(write(8), [], "pretrain"), one)
    text = both(two, "pretrain", str(write(4)))
    assert text.count("epoch 6, ") == text.count("reused by all trainings") == 1  # one process prints
    assert statuses(two)["pretraining"] == ["FINISHED"]
    assert first_losses(two) == pytest.approx(first_losses(one), rel=1e-4)
    assert furthest(weights(two, "pretraining"), weights(one, "pretraining")) < 1e-3

    killed = Together(broken, *TOGETHER, "pretrain", str(write(4)))
    killed.wait_for("epoch 2, ")
    ranks = killed.ranks()
    os.kill(ranks[1], signal.SIGKILL)
    code, text = killed.ended()
    assert code != 0
    assert "another of the 2 processes has ended" in text or "sslwear: interrupted" in text
    assert not Path(f"/proc/{ranks[0]}").exists()
    assert statuses(broken)["pretraining"] == ["KILLED"]

    stopped = Together(broken, *TOGETHER, "pretrain", str(write(4)))
    stopped.wait_for("epoch 4, ")
    stopped.process.send_signal(signal.SIGTERM)
    code, text = stopped.ended()
    assert code != 0
    assert text.count("sslwear: interrupted; the same command goes on from the last checkpoint") == 1
    assert "goes on from a checkpoint, after " in text
    assert "epoch 1, " not in text
    text = both(broken, "pretrain", str(write(4)))
    assert "goes on from a checkpoint, after " in text
    assert furthest(weights(broken, "pretraining"), weights(two, "pretraining")) == 0
    assert list((broken.home / "checkpoints").iterdir()) == []

    (run,) = two.find_runs(None, kind="pretraining", outcome="finished")
    with pytest.raises(StudyError, match="was trained by 2 processes, and one process cannot repeat it"):
        rerun(run, two, ProgressCallback())


def test_two_processes_train_as_one(write: Callable[..., Path], home: Callable[[str], Store]) -> None:
    changes = {"tuning": "layer4-5", "max_epochs": 2, "augment": True, "dropout": 0.2, "weight_average": "ema"}
    one, two = home("one"), home("two")
    train_once(load(write(8, batch_size=8, **changes), [], "train"), one)
    text = both(two, "train", str(write(4, batch_size=4, **changes)))
    assert text.count("Means over the validation participants, epoch ") == 1
    assert statuses(two) == {"train": ["FINISHED"], "pretraining": ["FINISHED"]}
    assert furthest(weights(two, "train"), weights(one, "train")) < 1e-3
    assert "processes" not in one.find_runs(None, kind="train")[0].data.params
    assert two.find_runs(None, kind="train")[0].data.params["processes"] == "2"


def test_an_error_of_all_processes_is_printed_once(write: Callable[..., Path], home: Callable[[str], Store]) -> None:
    code, text = Started(home("wrong"), *TOGETHER, "pretrain", str(write(4, pretext="none"))).ended()
    assert code != 0
    assert text.count("there is no pretext task") == 1
    text = both(home("other"), "study", "list", code=1)
    assert text.count("torchrun is for sslwear pretrain and sslwear train") == 1
