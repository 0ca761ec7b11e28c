"""Several processes on one study, and what becomes of it when they are killed, stopped, interrupted or cut off.

Trials are stubs that sleep (`benchmarks/stub_worker.py`); all else is as in a study. Heartbeats are a second apart.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState

from benchmarks import stub_worker
from deploy.throwaway import MissingError, Postgres
from sslwear.studies.database.failures import counted, interrupted_trials
from sslwear.studies.database.optuna_storage import find_study, open_storage
from sslwear.studies.evaluations.results import results
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.workers.check import check_study
from sslwear.tracking import Store, retry
from tests.commands import CONTEXT, heed_signals
from tests.integration.conftest import statuses
from tests.sketches import leave_out_pictures

PATIENCE_S = 150.0
QUICK_TRIALS = int(os.environ.get("SSLWEAR_TEST_TRIALS", "48"))
"""Number of the many quick trials. 1,000 take minutes; set it to run as many."""
TRIALS = 5
Start = Callable[..., "Worker"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this module's own."""
    try:
        server = Postgres()
    except MissingError as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.fixture
def file(content: dict[str, Any], tmp_path: Path) -> Path:
    """A study file with few and short trials."""
    path = tmp_path / "tiny.yaml"
    search = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "tuning": ["head", "layer5"]}
    given = {key: value for key, value in content.items() if key != "pretraining"}
    path.write_text(yaml.safe_dump({**given, "encoder": "cnn5", "search": search, "trials": TRIALS}))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Store:
    """A store whose trials are in an SQLite file or on PostgreSQL; its tables are made."""
    return store if request.param == "sqlite" else made(request.getfixturevalue("on_postgres"))


@pytest.fixture
def on_postgres(postgres: Postgres, store: Store, tmp_path: Path) -> Store:
    """A store whose trials are in a new database on PostgreSQL, without tables."""
    return Store(store.home, store.tracking_uri, postgres.database(f"optuna_{abs(hash(str(tmp_path)))}"))


def made(store: Store) -> Store:
    """The store with the tables of its trials, so that a test may read them from the start."""
    open_storage(store).engine.dispose()
    return store


class Worker:
    """A process that runs the command with stub trials.

    It is forked from a server that has imported the package, which saves seconds for each.
    """

    def __init__(self, store: Store, arguments: tuple[str, ...], output: Path, variables: dict[str, str]) -> None:
        places = {"SSLWEAR_HOME": str(store.home), "SSLWEAR_STORAGE": store.storage_url}
        places["MLFLOW_TRACKING_URI"] = store.tracking_uri
        self._output = output
        self._process = CONTEXT.Process(target=stub_command, args=(arguments, {**places, **variables}, str(output)))
        self._process.start()

    def send(self, number: int) -> None:
        """Send a signal."""
        os.kill(self._process.pid or 0, number)

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def out(self) -> str:
        """What it wrote so far."""
        return self._output.read_text() if self._output.exists() else ""

    def ended(self, code: int = 0, within_s: float = PATIENCE_S) -> str:
        """Wait until it ends as expected; returns what it wrote."""
        self._process.join(within_s)
        assert self._process.exitcode == code, self.out()
        assert "Traceback" not in self.out()
        return self.out()

    def close(self) -> None:
        """Kill it if it still runs."""
        self._process.kill()
        self._process.join()


def suspend(worker: Worker, store: Store) -> None:
    """Stop a worker, but not while it writes to an SQLite file, because nobody else could write until it goes on."""
    for _ in range(100):
        worker.send(signal.SIGSTOP)
        if all(is_free(path) for path in store.home.glob("*.db")):
            return
        worker.send(signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("the worker writes all the time")


def is_free(path: Path) -> bool:
    """Whether an SQLite file can be written."""
    with closing(sqlite3.connect(path, timeout=1.0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
        return True


def stub_command(arguments: tuple[str, ...], variables: dict[str, str], output: str) -> None:
    """Run the command in this process."""
    os.environ.update(variables)
    if ahead := float(os.environ.get("CLOCK_S", "0")):
        right = time.time
        time.time = lambda: right() + ahead
    retry.LONGEST_S = float(os.environ.get("PATIENCE_S", retry.LONGEST_S))
    handle = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    heed_signals()
    leave_out_pictures(pytest.MonkeyPatch())
    sys.argv = ["sslwear", *arguments]
    if "REAL" in os.environ:
        stub_worker.delay()
    else:
        stub_worker.replace()
    stub_worker.main()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start workers of the study."""
    started: list[Worker] = []

    def run(store: Store, file: Path, seconds: float = 0.3, command: tuple[str, ...] = (), **variables: str) -> Worker:
        pace = {"STUB_S": str(seconds), "SSLWEAR_HEARTBEAT_S": "1", "OMP_NUM_THREADS": "1"}
        output = tmp_path / f"worker-{len(started)}.txt"
        started.append(Worker(store, command or ("study", "worker", str(file)), output, {**pace, **variables}))
        return started[-1]

    yield run
    for process in started:
        process.close()


def waiting(what: Callable[[], Any], process: Worker) -> Any:
    """Wait until something is there while a process works on it, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.alive(), process.out()
        try:
            if found := what():
                return found
        except (KeyError, optuna.exceptions.StorageInternalError):
            pass
        time.sleep(0.1)
    raise AssertionError("it did not come")


def trials(store: Store, *states: TrialState) -> list[FrozenTrial]:
    """Trials of the study, of some states."""
    storage = optuna.storages.RDBStorage(store.storage_url, skip_compatibility_check=True, skip_table_creation=True)
    try:
        study = optuna.load_study(study_name="tiny", storage=storage)
        return study.get_trials(states=states or None)
    finally:
        storage.engine.dispose()


def in_hand(store: Store, only: Worker) -> FrozenTrial:
    """The trial that the only worker is running."""
    waiting(lambda: "started" in only.out(), only)
    (trial,) = trials(store, TrialState.RUNNING)
    return trial


def check(store: Store, total: int) -> optuna.Study:
    """Check that a study ended with its number of trials, and that both stores agree."""
    study = find_study("tiny", store)
    assert len(counted(study)) == total
    assert Counter(trial.state for trial in counted(study)) == {TrialState.COMPLETE: total}
    found = statuses(store)
    assert not [kind for kind, all_ in found.items() if "RUNNING" in all_]
    assert found["study"] == ["FINISHED"]
    assert found["winner"] == ["FINISHED"]
    assert found["trial"].count("FINISHED") == total
    numbers = [run.data.tags["sslwear.trial"] for run in store.find_runs(None, kind="trial", outcome="finished")]
    assert sorted(map(int, numbers)) == [trial.number for trial in counted(study)]
    assert check_study("tiny", store).differences == []
    return study


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_that_start_at_once_share_one_study(
    request: pytest.FixtureRequest, file: Path, start: Start, kind: str
) -> None:
    shared = request.getfixturevalue("store" if kind == "sqlite" else "on_postgres")
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "trials": 8}))
    both = [start(shared, file) for _ in range(2)]
    out = [process.ended() for process in both]
    study = check(shared, 8)
    assert "".join(out).count("scoring trial") == 1
    params = [tuple(trial.params.items()) for trial in counted(study)]
    assert len(set(params)) == len(params)  # no start-up trial twice, and no equal draws
    assert {trial.user_attrs["process"] for trial in study.trials} == {
        run.data.tags["sslwear.process"] for run in shared.find_runs(None, kind="trial")
    }


def test_workers_leave_when_a_trial_reaches_the_target_score(store: Store, file: Path, start: Start) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "trials": 500, "target_score": 0.3}))
    command = start(store, file, command=("study", "run", str(file), "--workers", "2"))
    out = command.ended()
    study = find_study("tiny", store)
    reached = [trial for trial in study.trials if trial.value is not None and trial.value >= 0.3]
    assert 1 <= len(reached) <= 2  # the other worker may have had one in hand
    assert len(counted(study)) < 100
    assert "Ended by the target score: trial" in out
    assert "were finished before" not in out
    assert "RUNNING" not in str(statuses(store))


def test_a_killed_workers_trial_is_run_by_another(shared: Store, file: Path, start: Start) -> None:
    first = start(shared, file, seconds=60)
    lost = in_hand(shared, first)
    second = start(shared, file)
    waiting(lambda: trials(shared, TrialState.COMPLETE), second)
    first.send(signal.SIGKILL)
    second.ended()
    study = check(shared, TRIALS)
    assert interrupted_trials(study) == {lost.number}
    assert len([trial for trial in counted(study) if trial.params == lost.params]) == 1


def test_a_worker_that_was_stopped_for_long_drops_its_trial(shared: Store, file: Path, start: Start) -> None:
    first = start(shared, file, seconds=8)
    lost = in_hand(shared, first)
    suspend(first, shared)
    second = start(shared, file)
    waiting(lambda: trials(shared, TrialState.FAIL), second)  # after the grace
    first.send(signal.SIGCONT)
    assert f"#{lost.number} " in first.ended().split(" was given to another worker")[0].splitlines()[-1]
    second.ended()
    assert interrupted_trials(check(shared, TRIALS)) == {lost.number}


def test_clocks_of_workers_may_be_an_hour_apart(shared: Store, file: Path, start: Start) -> None:
    clocks = [start(shared, file, seconds=3, CLOCK_S=clock) for clock in ("3600", "-3600")]
    for process in clocks:
        process.ended()
    study = check(shared, TRIALS)
    assert not interrupted_trials(study)
    assert len({trial.user_attrs["process"] for trial in study.trials}) == 2


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT])
def test_a_worker_that_is_asked_to_end_gives_its_trial_back(
    store: Store, file: Path, start: Start, number: int
) -> None:
    first = start(store, file, seconds=60)
    lost = in_hand(store, first)
    first.send(number)
    assert "interrupted; finished trials are kept" in first.ended(130, within_s=10)
    assert trials(store, TrialState.RUNNING) == []
    assert statuses(store) == {"study": ["KILLED"], "trial": ["KILLED"]}
    start(store, file).ended()
    study = check(store, TRIALS)
    assert interrupted_trials(study) == {lost.number}
    assert study.trials[1].params == lost.params


def test_another_finalises_a_study_whose_finaliser_was_killed(shared: Store, file: Path, start: Start) -> None:
    both = [start(shared, file, seconds=0.1, STUB_FINAL_S="5") for _ in range(2)]
    waiting(lambda: any("finalises" in one.out() for one in both), both[0])
    finaliser, other = sorted(both, key=lambda one: "finalises" not in one.out())
    finaliser.send(signal.SIGKILL)
    other.ended()
    study = check(shared, TRIALS)
    assert len(study.user_attrs["test_looks"]) == 1


def test_a_finaliser_that_was_stopped_for_long_leaves_the_study_to_another(
    store: Store, file: Path, start: Start
) -> None:
    both = [start(store, file, seconds=0.1, STUB_FINAL_S="3") for _ in range(2)]
    waiting(lambda: any("finalises" in one.out() for one in both), both[0])
    finaliser, other = sorted(both, key=lambda one: "finalises" not in one.out())
    suspend(finaliser, store)
    other.ended()
    (ended,) = store.find_runs(None, kind="study")
    finaliser.send(signal.SIGCONT)
    finaliser.ended()
    assert len(check(store, TRIALS).user_attrs["test_looks"]) == 1
    assert [run.info.status for run in store.find_runs(None, kind="winner")].count("FINISHED") == 1
    (after,) = store.find_runs(None, kind="study")
    assert after.info.end_time == ended.info.end_time


def test_a_pre_training_of_a_killed_worker_is_done_by_another_and_others_work_meanwhile(
    store: Store, content: dict[str, Any], file: Path, start: Start
) -> None:
    given = yaml.safe_load(file.read_text())
    search = {**given["search"], "pretext": ["none", "reverse"]}
    training = {**given["training"], "pretext": "reverse"}
    changed = {**given, "search": search, "training": training, "pretraining": content["pretraining"]}
    file.write_text(yaml.safe_dump(changed))
    first = start(store, file, STUB_PRETRAINING_S="60")
    waiting(lambda: store.find_runs(None, kind="pretraining"), first)
    second = start(store, file)
    waiting(lambda: trials(store, TrialState.COMPLETE), second)
    assert [run.info.status for run in store.find_runs(None, kind="pretraining")] == ["RUNNING"]
    assert {trial.params["pretext"] for trial in trials(store, TrialState.COMPLETE)} == {"none"}
    first.send(signal.SIGKILL)
    second.ended()
    check(store, TRIALS)
    found = store.find_runs(None, kind="pretraining")
    assert [run.info.status for run in found].count("KILLED") == 1
    assert [run.info.status for run in found].count("FINISHED") >= 1


def test_workers_wait_for_a_database_that_restarts(
    postgres: Postgres, on_postgres: Store, file: Path, start: Start
) -> None:
    shared = made(on_postgres)
    several = [start(shared, file, seconds=1) for _ in range(3)]
    waiting(lambda: trials(shared, TrialState.COMPLETE), several[0])
    postgres.stop("immediate")
    time.sleep(4)
    postgres.start()
    for process in several:
        process.ended()
    study = check(shared, TRIALS)
    assert len(study.trials) - len(interrupted_trials(study)) == TRIALS


def test_a_trial_that_fails_fails_alone(store: Store, file: Path, start: Start) -> None:
    both = [start(store, file, STUB_FAILURE=failure) for failure in ("memory", "nan")]
    for process in both:
        process.ended()
    study = find_study("tiny", store)
    assert len(counted(study)) == TRIALS
    for trial in counted(study):
        fails = trial.params["learning_rate"] >= stub_worker.FAILING_RATE
        assert trial.state == (TrialState.FAIL if fails else TrialState.COMPLETE)
        assert ("Memory" in trial.user_attrs["error"] or "finite" in trial.user_attrs["error"]) if fails else True
    assert any(trial.state == TrialState.FAIL for trial in counted(study))
    assert "RUNNING" not in str(statuses(store))


def test_failures_in_a_row_stop_all_workers(store: Store, file: Path, start: Start) -> None:
    search = yaml.safe_load(file.read_text())
    search["search"]["learning_rate"]["low"] = stub_worker.FAILING_RATE
    file.write_text(yaml.safe_dump({**search, "training": {**search["training"], "learning_rate": 5e-3}}))
    both = [start(store, file, STUB_FAILURE="error") for _ in range(2)]
    for process in both:
        assert "failed in the same way (ValueError: a bad combination)" in process.ended(1)
    assert trials(store, TrialState.RUNNING) == []
    assert "RUNNING" not in str(statuses(store))


def test_a_trial_of_several_workers_is_repeated_to_the_bit(
    store: Store, content: dict[str, Any], file: Path, start: Start
) -> None:
    file.write_text(yaml.safe_dump({**content, "trials": 4, "threads": 1}))
    both = [start(store, file, REAL="1") for _ in range(2)]
    for process in both:
        process.ended()
    study = check(store, 4)
    first, *_, last = study.trials
    for trial in (first, last):
        original = store.client.get_run(trial.user_attrs["run_id"])
        assert rerun(original, store, ProgressCallback()).differing is None


def test_workers_of_one_command_end_with_it(store: Store, file: Path, start: Start) -> None:
    command = start(store, file, command=("study", "run", str(file), "--workers", "2", "--trials", "500"))
    waiting(lambda: "worker 1: #" in command.out() and "worker 2: #" in command.out(), command)
    command.send(signal.SIGINT)
    # 10 s are promised. On a loaded machine the command itself may need another 2 s to print and to exit.
    assert "\nsslwear: interrupted; finished trials are kept" in command.ended(130, within_s=12)
    assert trials(store, TrialState.RUNNING) == []
    assert "RUNNING" not in str(statuses(store))
    others = {path.stem.removeprefix("process-") for path in (store.home / "locks").glob("process-*.lock")}
    assert all(store.is_dead(name) for name in others - {store.process()})


def test_jobs_of_an_evaluation_are_shared_and_those_of_a_killed_worker_run_again(
    store: Store, content: dict[str, Any], file: Path, start: Start
) -> None:
    methods = {"head": {"tuning": "head"}, "layer5": {"tuning": "layer5"}, "both": {"ensemble": ["head", "layer5"]}}
    evaluation = {"methods": methods, "baselines": "none", "protocol": "hold_out", "seeds": [1, 2]}
    training = {**content["training"], "max_epochs": 20, "patience": 20}
    given = {key: content[key] for key in ("study", "data", "encoder", "split")}
    file.write_text(yaml.safe_dump({**given, "training": training, "evaluation": evaluation}))
    command = ("evaluate", str(file), "--join")
    first, second = (start(store, file, command=command, REAL="1") for _ in range(2))
    waiting(lambda: store.find_runs(None, kind="cross_validation_job"), first)
    first.send(signal.SIGKILL)
    second.ended()
    table = results("tiny", store)
    assert table.groupby(["method", "seed"]).size().to_dict() == {
        (method, seed): table["participant"].nunique() for method in methods for seed in (1, 2)
    }
    found = statuses(store)
    assert "RUNNING" not in str(found)
    assert found["cross_validation"] == ["FINISHED"]
    assert found["cross_validation_job"].count("FINISHED") == 6


def test_many_quick_trials_are_each_in_both_stores_once(on_postgres: Store, file: Path, start: Start) -> None:
    content = {**yaml.safe_load(file.read_text()), "trials": QUICK_TRIALS, "sampler": {"name": "random"}}
    file.write_text(yaml.safe_dump(content))
    several = [start(on_postgres, file, seconds=0) for _ in range(8)]
    for process in several:
        process.ended(within_s=max(200, QUICK_TRIALS))
    check(on_postgres, QUICK_TRIALS)
