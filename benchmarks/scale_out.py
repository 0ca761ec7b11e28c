"""Many workers of one study on SQLite and PostgreSQL, side by side with plain Optuna on the same storage.

Trials sleep (`stub_worker.py`), so that what is measured is the handing out. Rates are those from the first start of a
trial to the last end, without the start of the processes. PostgreSQL is a throwaway one of this machine, see
`deploy/throwaway.py`.

Example:
    python benchmarks/scale_out.py --workers 1 2 4 8 --seconds 2
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
from machine import ROOT
from optuna.trial import TrialState
from stub_study import STUB, kinds, study_file

from deploy.throwaway import MissingError, MlflowServer, Postgres
from sslwear.studies.database.optuna_storage import find_study, open_storage
from sslwear.tracking import Store

SERVED_S = 10.0
"""Seconds during which an MLflow server is asked."""
PLAIN = """
import sys, time, optuna
url, total, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
optuna.logging.set_verbosity(optuna.logging.ERROR)
sampler = optuna.samplers.TPESampler(n_startup_trials=10, multivariate=True, constant_liar=True)
study = optuna.load_study(study_name="plain", storage=url, sampler=sampler)
space = {
    "learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True),
    "tuning": optuna.distributions.CategoricalDistribution(["head", "layer5"]),
}
while len(study.get_trials(deepcopy=False)) < total:
    trial = study.ask(space)
    for step in range(1, 5):
        time.sleep(seconds / 4)
        trial.report(trial.params["learning_rate"], step)
    study.tell(trial, trial.params["learning_rate"])
"""


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of a trial")
    parser.add_argument("--each", type=int, default=10, help="trials of each worker")
    options = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    with tempfile.TemporaryDirectory() as folder, kinds(Path(folder)) as stores:
        file = study_file(Path(folder))
        print("| storage | workers | sslwear, trials/s | efficiency | plain Optuna, trials/s | efficiency |")
        print("|---|---|---|---|---|---|")
        for kind, storage in stores.items():
            _scale(kind, storage, file, options)
        print("\n| storage | seconds from kill -9 of a worker until its trial runs again |\n|---|---|")
        for kind, storage in stores.items():
            print(f"| {kind} | {_takeover(storage(), file):.1f} |", flush=True)
        _server(Path(folder))
    print(f"\nload of the machine after: {os.getloadavg()[0]:.1f}")


def _worker(store: Store, file: Path, *options: str, seconds: float = 0.1) -> subprocess.Popen[bytes]:
    places = {"SSLWEAR_HOME": str(store.home), "SSLWEAR_STORAGE": store.storage_url}
    places |= {"MLFLOW_TRACKING_URI": store.tracking_uri, "STUB_S": str(seconds), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(STUB), "study", "worker", str(file), *options]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT), **places}, stdout=subprocess.DEVNULL)


def _rate(study: optuna.Study) -> float:
    """Trials a second from the first start to the last end."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    starts = [trial.datetime_start.timestamp() for trial in ended if trial.datetime_start]
    ends = [trial.datetime_complete.timestamp() for trial in ended if trial.datetime_complete]
    return len(ended) / (max(ends) - min(starts))


def _scale(kind: str, new_store: Callable[[], Store], file: Path, options: argparse.Namespace) -> None:
    """Print a row for each number of workers: sslwear and plain Optuna, one after the other."""
    base: dict[str, float] = {}
    for workers in options.workers:
        total, found = workers * options.each, {}
        store = new_store()
        ours = [_worker(store, file, "--trials", str(total), seconds=options.seconds) for _ in range(workers)]
        for process in ours:
            process.wait()
        found["sslwear"] = _rate(find_study("stub", store))
        url = new_store().storage_url
        study = optuna.create_study(study_name="plain", storage=url, direction="maximize")
        command = [sys.executable, "-c", PLAIN, url, str(total), str(options.seconds)]
        for process in [subprocess.Popen(command) for _ in range(workers)]:
            process.wait()
        found["plain"] = _rate(study)
        for side, rate in found.items():
            base.setdefault(side, rate / workers)
        cells = [f"{rate:.2f} | {rate / workers / base[side]:.2f}" for side, rate in found.items()]
        print(f"| {kind} | {workers} | {' | '.join(cells)} |", flush=True)


def _takeover(store: Store, file: Path) -> float:
    """Seconds from the kill of a worker until another one runs its trial."""
    first = _worker(store, file, "--trials", "1000", seconds=600)
    second: subprocess.Popen[bytes] | None = None
    try:
        lost = _wait_for(
            store, lambda trials: next((t for t in trials if t.state == TrialState.RUNNING and t.params), None)
        )
        second = _worker(store, file, "--trials", "1000", seconds=2)
        _wait_for(store, lambda trials: next((t for t in trials if t.state == TrialState.COMPLETE), None))
        first.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        _wait_for(
            store,
            lambda trials: next((t for t in trials if t.number > lost.number and t.params == lost.params), None),
        )
        return time.monotonic() - killed
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()


def _server(folder: Path) -> None:
    """Print how many epochs a second an MLflow server on PostgreSQL takes from clients that log at the same time."""
    try:
        database = Postgres()
    except MissingError:
        return
    print("\n| clients that log to one MLflow server on PostgreSQL | epochs/s, 12 metrics each |\n|---|---|")
    with database, MlflowServer(database.database("mlflow"), folder) as server:
        (folder / "client").mkdir()
        store = Store(folder / "client", server.address, f"sqlite:///{folder}/client.db")
        runs = [store.create_run(store.experiment("bench"), "bench", "train") for _ in range(8)]
        for clients in (1, 8):
            end = time.monotonic() + SERVED_S

            def log(number: int, end: float = end) -> int:
                step = 0
                while time.monotonic() < end:
                    step += 1
                    runs[number].metrics({f"metric_{i}": float(step) for i in range(12)}, step)
                return step

            with ThreadPoolExecutor(clients) as pool:
                print(f"| {clients} | {sum(pool.map(log, range(clients))) / SERVED_S:.0f} |", flush=True)


def _wait_for(
    store: Store, find: Callable[[list[optuna.trial.FrozenTrial]], optuna.trial.FrozenTrial | None]
) -> optuna.trial.FrozenTrial:
    storage = open_storage(store)
    while True:
        if "stub" in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name="stub", storage=storage)
            if (found := find(study.get_trials(deepcopy=False))) is not None:
                return found
        time.sleep(0.1)


if __name__ == "__main__":
    main()
