"""Servers that are away and disks that are full while a study runs, with real processes."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from deploy.throwaway import MlflowServer
from sslwear.tracking import Store
from tests.conftest import store_at
from tests.integration.conftest import statuses
from tests.integration.test_workers import Start, check, file, in_hand, made, start, trials, waiting

__all__ = ["file", "start"]  # fixtures
ROOM_MB = 48

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    """An MLflow server of this test's own."""
    with MlflowServer(f"sqlite:///{tmp_path}/server.db", tmp_path) as running:
        yield running


@pytest.fixture
def served(server: MlflowServer, store: Store) -> Store:
    """A store with runs on the server."""
    return made(Store(store.home, server.address, store.storage_url))


def test_metrics_of_an_outage_of_mlflows_server_arrive_in_order_and_once(
    server: MlflowServer, served: Store, file: Path, start: Start
) -> None:
    worker = start(served, file, 4, ("study", "worker", str(file), "--trials", "3"))
    in_hand(served, worker)
    server.stop()
    time.sleep(5)
    assert worker.alive()
    server.start()
    worker.ended()
    study = check(served, 3)
    assert "interrupted" not in study.user_attrs
    for trial in study.trials:
        history = served.client.get_metric_history(trial.user_attrs["run_id"], "val_loss")
        assert [metric.step for metric in history] == [1, 2, 3, 4]


def test_a_server_that_stays_away_is_one_sentence_and_the_next_command_goes_on(
    server: MlflowServer, served: Store, file: Path, start: Start
) -> None:
    command = ("study", "worker", str(file), "--trials", "3")
    worker = start(served, file, 2, command, PATIENCE_S="2")
    waiting(lambda: trials(served, TrialState.COMPLETE), worker)
    server.stop()
    out = worker.ended(1)
    assert out.count("became unavailable") == 1
    server.start()
    start(served, file, 0.1, command).ended()
    check(served, 3)


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
    check(full, 8)
    assert "RUNNING" not in str(statuses(full))
