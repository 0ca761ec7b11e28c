"""Runs of killed processes are ended, those of living ones are not; lock files of others are answered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from sslwear.errors import StudyError
from sslwear.studies.database.optuna_storage import upgrade_store
from sslwear.tracking import Store, open_runs
from sslwear.utils import locks
from tests.conftest import store_at

HOLD = """
import sys, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(store: Store) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that holds the lock of a writer, and its name."""
    own = open_runs.own_name(store.home / "locks")
    name = f"{own.rpartition('-')[0]}-0123456789ab"
    path = store.home / "locks" / f"process-{name}.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process, name
        process.kill()


def test_runs_of_a_killed_process_are_ended(store: Store, other: tuple[subprocess.Popen[str], str]) -> None:
    process, name = other
    experiment = store.experiment("s")
    theirs = store.create_run(experiment, "theirs", "train")
    theirs.tags(process=name)
    ours = store.create_run(experiment, "ours", "train")
    ended = store.create_run(experiment, "ended", "train")
    ended.tags(process=name)
    ended.end("FINISHED", "finished")
    _ = store_at(store.home).client
    status = {run.id: store.client.get_run(run.id).info.status for run in (theirs, ours)}
    assert status == {theirs.id: "RUNNING", ours.id: "RUNNING"}
    with pytest.raises(StudyError, match="another process is writing"):
        upgrade_store(store)

    process.kill()
    process.wait()
    _ = store_at(store.home).client
    found = store.client.get_run(theirs.id)
    assert found.info.status == "KILLED"
    assert found.data.tags["sslwear.outcome"] == "interrupted"
    assert store.client.get_run(ours.id).info.status == "RUNNING"
    assert store.client.get_run(ended.id).info.status == "FINISHED"
    assert not (store.home / "locks" / f"process-{name}.lock").exists()


def test_a_machine_knows_which_of_its_own_processes_have_ended(
    store: Store, other: tuple[subprocess.Popen[str], str]
) -> None:
    process, name = other
    own = store.process()
    host, id_, _ = own.rsplit("-", 2)
    assert store.is_dead(own) is False
    assert store.is_dead(name) is False
    assert store.is_dead(f"elsewhere-{id_}-0123456789ab") is None
    assert store.is_dead(f"{host}-otherone-0123456789ab") is None  # a container with the same host name
    assert store.is_dead(f"{host}-{id_}-ffffffffffff") is True  # it has deleted its file
    process.kill()
    process.wait()
    assert store.is_dead(name) is True


def test_a_host_whose_name_begins_with_that_of_this_one_is_another(store: Store) -> None:
    host, rest = store.process().split("-", 1)
    theirs = store.home / "locks" / f"process-{host}-2-{rest[:-1]}x.lock"
    theirs.touch()  # its lock is not seen here if the shared file system has locks of single machines only
    ended: list[str] = []
    open_runs.end_abandoned(store.home / "locks", ended.append)
    assert ended == []
    assert theirs.exists()


def test_open_runs_of_living_processes_are_left_open(store: Store, other: tuple[subprocess.Popen[str], str]) -> None:
    _, name = other
    experiment = store.experiment("s")
    parent = store.create_run(experiment, "parent", "study")
    writers = {"own": store.process(), "living": name, "dead": f"{name[:-1]}x"}
    for title, writer in writers.items():
        store.create_run(experiment, title, "trial", parent.id).tags(process=writer)
    store.close_leftovers(experiment, parent.id)
    found = {run.info.run_name: run.info.status for run in store.find_runs(experiment, kind="trial")}
    assert found == {"own": "KILLED", "living": "RUNNING", "dead": "KILLED"}


def test_a_reopened_run_belongs_to_the_process_that_reopened_it(store: Store) -> None:
    run = store.create_run(store.experiment("s"), "a", "train")
    run.tags(process="dead")
    run.end("KILLED", "interrupted")
    run.reopen()
    assert store.client.get_run(run.id).data.tags["sslwear.process"] == store.process()


def test_a_lock_file_of_another_user_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: filelock.FileLock, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    (tmp_path / "x.lock").touch()
    with pytest.raises(StudyError, match=r"lock file .*x\.lock of the user .* \(Permission denied\)"):
        locks.file_lock(tmp_path / "x.lock").__enter__()


def test_a_lock_that_is_held_is_not_another_error(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with locks.file_lock(path), pytest.raises(filelock.Timeout):
        locks.file_lock(path, 0).__enter__()
