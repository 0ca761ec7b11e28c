"""Many workers of one study on SQLite and PostgreSQL, side by side with plain Optuna on the same storage.

Trials sleep (`stub_worker.py`), so that what is measured is the handing out. Rates are those from the first start of a
trial to the last end, without the start of the processes. PostgreSQL is a throwaway one of this machine, see
`deploy/throwaway.py`.

Example:
    python benchmarks/scale_out.py --workers 1 2 4 8 --seconds 2 --recorded 10000
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from deploy.throwaway import MissingError, MlflowServer, Postgres  # noqa: E402 - the folder is found by the path above
from sslwear.config import TrainingSettings, load  # noqa: E402
from sslwear.data.arrays import Description, write_dataset  # noqa: E402
from sslwear.studies.database.failures import tell  # noqa: E402
from sslwear.studies.database.kept_verdict import keep  # noqa: E402
from sslwear.studies.database.storage import find_study, open_storage  # noqa: E402
from sslwear.studies.results.verdict import report  # noqa: E402
from sslwear.studies.search.first_trials import first_trials  # noqa: E402
from sslwear.studies.search.optimise import _open  # noqa: E402
from sslwear.studies.search.sampling import earlier_duplicate, sampler  # noqa: E402
from sslwear.studies.search.search_trial import propose  # noqa: E402
from sslwear.studies.setup.context import StudyContext  # noqa: E402
from sslwear.studies.workers.team import Crew  # noqa: E402
from sslwear.tracking import Store  # noqa: E402

SERVED_S = 10.0
"""Seconds during which an MLflow server is asked."""
STUB = ROOT / "benchmarks" / "stub_worker.py"
PEOPLE = 24
"""Number of participants of recorded trials."""
SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "tuning": CategoricalDistribution(["head", "layer5"]),
}
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


SHOW = """
import sys, time
clocks = time.perf_counter, time.process_time
started = [clock() for clock in clocks]
import sslwear.cli.app as app, sslwear.cli.evaluate, sslwear.cli.study, sslwear.studies.results.verdict
imported = [clock() for clock in clocks]
try:
    app.main()
finally:
    print(*(1000 * (clock() - before) for clock, before in zip(clocks, imported)), file=sys.stderr)
    print(*(1000 * (after - before) for after, before in zip(imported, started)), file=sys.stderr)
"""


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of a trial")
    parser.add_argument("--each", type=int, default=10, help="trials of each worker")
    parser.add_argument("--recorded", type=int, default=10_000, help="trials that are recorded before asking")
    options = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    with tempfile.TemporaryDirectory() as folder, _kinds(Path(folder)) as kinds:
        file = study_file(Path(folder))
        print("| storage | workers | sslwear, trials/s | efficiency | plain Optuna, trials/s | efficiency |")
        print("|---|---|---|---|---|---|")
        for kind, storage in kinds.items():
            _scale(kind, storage, file, options)
        print(f"\n| storage, {options.recorded:,} trials | sslwear, ms | plain Optuna, ms |\n|---|---|---|")
        for kind, storage in kinds.items():
            _latencies(kind, storage, file, options.recorded)
        print("\n| storage | seconds from kill -9 of a worker until its trial runs again |\n|---|---|")
        for kind, storage in kinds.items():
            print(f"| {kind} | {_takeover(storage(), file):.1f} |", flush=True)
        _server(Path(folder))
    print(f"\nload of the machine after: {os.getloadavg()[0]:.1f}")


@contextmanager
def _kinds(folder: Path) -> Iterator[dict[str, Callable[[], Store]]]:
    """Functions that make a new store, by kind of database."""
    count = iter(range(10**6))

    def home() -> Path:
        place = folder / f"home-{next(count)}"
        place.mkdir()
        return place

    def sqlite() -> Store:
        place = home()
        return _made(Store(place, f"sqlite:///{place}/mlflow.db", f"sqlite:///{place}/optuna.db"))

    try:
        server = Postgres()
    except MissingError as missing:
        print(f"PostgreSQL is left out: {missing}\n")
        yield {"SQLite": sqlite}
        return

    def postgres() -> Store:
        place = home()
        return _made(Store(place, f"sqlite:///{place}/mlflow.db", server.database(place.name.replace("-", "_"))))

    with server:
        yield {"SQLite": sqlite, "PostgreSQL": postgres}


def _made(store: Store) -> Store:
    """The store with its tables."""
    store.client.search_experiments()
    open_storage(store)
    return store


def study_file(folder: Path) -> Path:
    """A study file on a few artificial windows."""
    generator, count = np.random.default_rng(0), 120
    names = np.array(["sit", "walk"])[np.arange(count) % 2]
    pid = np.repeat(np.arange(6), count // 6)
    windows = generator.normal([0, 0, 1], 0.1, (count, 150, 3)).astype(np.float32)
    start = np.tile(np.arange(count // 6) * 5.0, 6)
    description = Description(name="stub", source="stub", rate_hz=30, window_s=5, step_s=5, class_names=("sit", "walk"))
    write_dataset(folder / "data", windows, names, pid, start.astype("datetime64[s]"), description)
    (folder / "stub.yaml").write_text(
        f"study: stub\ndata: {folder / 'data'}\nencoder: cnn5\nsplit: {{test: 0.2, validation: 0.25}}\n"
        "training: {tuning: head, learning_rate: 1e-3, max_epochs: 1}\npruner: {name: none}\n"
        "search: {learning_rate: {low: 1e-4, high: 1e-2, log: true}, tuning: [head, layer5]}\n"
    )
    return folder / "stub.yaml"


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


def _latencies(kind: str, new_store: Callable[[], Store], file: Path, recorded: int) -> None:
    """Print how long a trial is asked for and told after many trials, and how long `study show` takes."""
    store = new_store()
    settings = load(file, ["trials=1000000"], "study")
    context = StudyContext.open(settings, store)
    study = _open(context, store)
    _record(study, context, recorded)
    other = optuna.create_study(study_name="plain", storage=open_storage(store), direction="maximize")
    _record(other, context, recorded)
    crew, first = Crew(store, study), first_trials(context)
    ours: dict[str, list[float]] = {"ask": [], "look for an equal trial": [], "tell": []}
    plain: dict[str, list[float]] = {"ask": [], "tell": []}
    with crew.joined():
        for number in range(12):
            started = time.perf_counter()
            with crew.asking():
                proposal = propose(context, study, first, recorded + number, crew)
            assert proposal is not None
            asked = time.perf_counter()
            earlier_duplicate(study, proposal.settings, store)
            proposal.trial.set_user_attr("run_id", "0" * 32)
            looked = time.perf_counter()
            tell(study, proposal.trial, TrialState.COMPLETE, 0.5)
            crew.done(proposal.trial)
            ended = time.perf_counter()
            for name, seconds in zip(ours, (asked - started, looked - asked, ended - looked), strict=True):
                ours[name].append(seconds)
            other.sampler = sampler(settings, number)
            started = time.perf_counter()
            trial = other.ask(SPACE)
            asked = time.perf_counter()
            other.tell(trial, 0.5)
            plain["ask"].append(asked - started)
            plain["tell"].append(time.perf_counter() - asked)
    if kind == "PostgreSQL":
        with open_storage(store).engine.connect() as connection:
            query = "select count(*) from pg_stat_activity where datname = current_database()"
            print(f"| {kind}: connections of one worker | {connection.execute(sa.text(query)).scalar()} | - |")
    for name, values in ours.items():
        other = f"{1000 * statistics.median(plain[name]):.0f}" if name in plain else "-"
        print(f"| {kind}: {name} | {1000 * statistics.median(values):.0f} | {other} |", flush=True)
    _show(f"{kind}: study show while the study runs", store)
    found = report(study)
    keep(study, [one.number for one in found.trials if one.candidate], found.importances)
    _show(f"{kind}: study show of a finalised study", store)


def _show(name: str, store: Store) -> None:
    """Print how long `study show` takes, and the imports before it, by the clock and of a processor."""
    places = {"SSLWEAR_HOME": str(store.home), "SSLWEAR_STORAGE": store.storage_url}
    places |= {"MLFLOW_TRACKING_URI": store.tracking_uri, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SHOW, "study", "show", "stub"]
    shown = subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True, check=True)
    for what, line in zip((name, "the imports before it"), shown.stderr.splitlines()[-2:], strict=True):
        wall, used = map(float, line.split())
        print(f"| {what} | {wall:.0f} ({used:.0f} of a processor) | - |", flush=True)


def _record(study: optuna.Study, context: StudyContext, number: int) -> None:
    """Record finished trials, each with the attributes that a study's trials have."""
    generator = np.random.default_rng(1)
    training, skills = context.settings.training, generator.normal(0.7, 0.1, PEOPLE)
    for i in range(number):
        params = {"learning_rate": float(10 ** generator.uniform(-4, -2)), "tuning": ("head", "layer5")[i % 2]}
        settings: TrainingSettings = training.model_copy(update=params)
        scores = skills + generator.normal(-0.05 * abs(np.log10(params["learning_rate"] / 2e-3)), 0.04, len(skills))
        study.add_trial(
            create_trial(
                value=float(scores.mean()),
                params=params,
                distributions=SPACE,
                user_attrs={
                    "settings": settings.model_dump(),
                    "run_id": "0" * 32,
                    "best_epoch": 1,
                    "host": "stub",
                    "measured": {"trainable_parameters": 1.0},
                    "people": {str(who): float(score) for who, score in enumerate(scores)},
                },
            )
        )


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
