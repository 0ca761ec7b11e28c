"""Servers that are away and disks that are full while a study runs, with real processes."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState

from deploy.throwaway import MlflowServer
from sslwear.studies.database.failures import counted, interrupted_trials
from sslwear.studies.workers.check import check_study
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import load_weights
from tests.conftest import store_at
from tests.integration.conftest import statuses
from tests.integration.forked_server import ForkedMlflowServer
from tests.integration.test_workers import TRIALS, Start, check, file, in_hand, made, start, trials, waiting

__all__ = ["file", "start"]  # fixtures
ROOM_MB, EPOCHS = 48, 12
QUICK = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""MLflow itself tries for seconds otherwise, before a process waits with pauses."""

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    """An MLflow server of this test's own."""
    with ForkedMlflowServer(f"sqlite:///{tmp_path}/server.db", tmp_path) as running:
        yield running


@pytest.fixture
def served(server: MlflowServer, store: Store) -> Store:
    """A store with runs on the server."""
    return made(Store(store.home, server.address, store.storage_url))


def test_metrics_of_an_outage_of_mlflows_server_arrive_in_order_and_once(
    server: MlflowServer, served: Store, file: Path, start: Start
) -> None:
    worker = start(served, file, 8, ("study", "worker", str(file), "--trials", "2"))
    in_hand(served, worker)
    server.stop()
    gone = 1000 * time.time()
    time.sleep(6)
    assert worker.alive()
    back = 1000 * time.time()
    server.start()
    out = worker.ended()
    assert out.count("what runs log is kept in") == 1
    assert "uploaded " in out
    study = check(served, 2)
    assert not interrupted_trials(study)
    meanwhile = 0
    for trial in study.trials:
        history = served.client.get_metric_history(trial.user_attrs["run_id"], "val_loss")
        assert [metric.step for metric in history] == [1, 2, 3, 4]
        meanwhile += sum(gone < metric.timestamp < back for metric in history)
    assert meanwhile >= 2  # the trial in hand went on, with a step every two seconds
    assert check_study("tiny", served).differences == []
    assert left(served) == []


def test_a_server_that_stays_away_is_one_sentence_and_the_next_command_goes_on(
    server: MlflowServer, served: Store, file: Path, start: Start
) -> None:
    command = ("study", "worker", str(file), "--trials", "3")
    worker = start(served, file, 2, command, PATIENCE_S="2", **QUICK)
    waiting(lambda: trials(served, TrialState.COMPLETE), worker)
    server.stop()
    out = worker.ended(1)
    assert out.count("became unavailable") == 1
    assert f"What runs logged is kept in {served.home / 'kept'}. The next command that opens this store uploads" in out
    refused = start(served, file, 0, ("store", "check")).ended(1)
    assert "does not answer" in refused
    assert f"logged waits for it in {served.home / 'kept'}" in refused
    ended = len(trials(served, TrialState.COMPLETE))
    assert ended >= 1
    server.start()
    start(served, file, 0.1, command).ended()
    study = check(served, 3)
    assert [trial.number for trial in counted(study)][:ended] == list(range(ended))  # none of them ran again
    assert check_study("tiny", served).differences == []
    assert left(served) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_stopped_while_the_server_is_away_leaves_what_it_kept(
    server: MlflowServer, served: Store, file: Path, start: Start, number: int
) -> None:
    worker = start(served, file, 8, ("study", "worker", str(file), "--trials", "1"), **QUICK)
    run = in_hand(served, worker).user_attrs["run_id"]
    waiting(lambda: served.client.get_run(run).data.metrics, worker)
    server.stop()
    waiting(lambda: keeps_a_second_epoch(served), worker)
    worker.send(number)
    worker.ended(-number if number == signal.SIGKILL else 130, within_s=15)
    server.start()
    assert "uploaded" in start(served, file, 0, ("store", "check")).ended()
    assert [metric.step for metric in served.client.get_metric_history(run, "val_loss")][:2] == [1, 2]
    assert served.client.get_run(run).info.status == "KILLED"
    assert left(served) == []


@pytest.fixture
def single(file: Path) -> Path:
    """A study file whose single training takes seconds."""
    given = yaml.safe_load(file.read_text())
    long = {"max_epochs": EPOCHS, "patience": EPOCHS, "batch_size": 4}
    training = {"tuning": "all", "learning_rate": 1e-3, "pretext": "reverse", **long}
    kept = {key: given[key] for key in ("study", "data", "split", "encoder")}
    file.write_text(yaml.safe_dump({**kept, "training": training, "pretraining": long, "threads": 1}))
    return file


def left(store: Store) -> list[Path]:
    """Files of kept records."""
    return [path for path in (store.home / "kept").rglob("*") if path.is_file()]


def keeps_a_second_epoch(store: Store) -> bool:
    """Whether the scores of an epoch after the first one are among the kept records."""
    texts = [path.read_text() for path in (store.home / "kept").glob("*/[0-9]*/record.json")]
    return any('"val_loss"' in text and '"step": 1,' not in text for text in texts)


def finished(store: Store, kind: str) -> str:
    """The one finished run of a kind, which has all of its epochs and its checkpoint."""
    (run,) = store.find_runs(None, kind=kind)
    assert (run.info.status, run.data.tags["sslwear.outcome"]) == ("FINISHED", "finished")
    history = store.client.get_metric_history(run.info.run_id, "train_loss")
    assert [metric.step for metric in history] == list(range(1, EPOCHS + 1))
    assert all(metric.timestamp <= run.info.end_time for metric in history)
    assert load_weights(store, f"runs:/{run.info.run_id}")
    assert len(store.client.get_run(run.info.run_id).outputs.model_outputs) == 1
    return str(run.info.run_id)


def test_a_training_ends_while_the_server_is_away_and_the_next_command_uploads_it(
    server: MlflowServer, served: Store, single: Path, start: Start
) -> None:
    worker = start(served, single, 0, ("train", str(single)), PATIENCE_S="1", REAL="1", **QUICK)
    waiting(lambda: "epoch 2," in worker.out(), worker)  # of the pre-training, which the training needs
    server.stop()
    out = worker.ended(1)
    assert out.count(f"epoch {EPOCHS},") == 2
    assert out.count("became unavailable") == 1
    assert f"What runs logged is kept in {served.home / 'kept'}. " in out
    assert {path.stat().st_mode & 0o777 for path in left(served)} == {0o600}
    assert any(path.name == "model.safetensors" for path in left(served))
    server.start()
    told = start(served, single, 0, ("store", "check"), REAL="1").ended()
    assert "of 2 runs to http://127.0.0.1" in told
    assert left(served) == []
    pretrained = finished(served, "pretraining")
    assert served.client.get_run(finished(served, "train")).data.tags["sslwear.pretraining_run"] == pretrained
    again = start(served, single, 0, ("pretrain", str(single)), REAL="1").ended()
    assert pretrained in again
    assert "epoch 1," not in again


@pytest.fixture
def small_disk(tmp_path: Path, empty_home: Path) -> Iterator[Path]:
    """A disk with little room."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM_MB}m", "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk with a file."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                file.writelines(itertools.repeat(bytes(size)))
    return filler


def test_a_study_goes_on_when_a_full_disk_has_room_again(small_disk: Path, file: Path, start: Start) -> None:
    full = made(store_at(small_disk / "mlruns"))
    worker = start(full, file, 1)
    waiting(lambda: trials(full, TrialState.COMPLETE), worker)
    filler = fill(small_disk)
    out = worker.ended(1)
    assert len([line for line in out.splitlines() if line.startswith("sslwear: ") and " full" in line]) == 1
    filler.unlink()
    start(full, file, 0.1).ended()
    check(full, TRIALS)
    assert "RUNNING" not in str(statuses(full))
