"""A study of many trials: asking and telling, `study show`, and its table in the browser.

Trials are recorded without training, with the attributes, parameters and metrics of finished trials. Asking and telling
stand beside plain Optuna on the same storage. The browser is a headless Chromium with a new profile each time; what is
timed is the way from the address that `sslwear ui` prints until the table has rows, and the answer of the server to a
request for the hundred best runs.

Example:
    python benchmarks/large_study.py --trials 10000
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import requests
import sqlalchemy as sa
from machine import ROOT, describe, new_store
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from playwright.sync_api import Browser, sync_playwright
from stub_study import STUB, kinds, study_file

from sslwear.config import TrainingSettings, load
from sslwear.studies.database.failures import tell
from sslwear.studies.database.kept_verdict import keep
from sslwear.studies.database.optuna_storage import open_storage
from sslwear.studies.results.verdict import report
from sslwear.studies.search.first_trials import first_trials
from sslwear.studies.search.optimise import _open as open_study
from sslwear.studies.search.sampling import earlier_duplicate, sampler
from sslwear.studies.search.search_trial import propose
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.workers.team import Crew
from sslwear.tracking import HOME_VARIABLE, Store

PEOPLE = 24
"""Number of participants of recorded trials."""
EPOCHS, METRICS = 4, ("train_loss", "val_loss", "kappa", "f1")
PAGES = 3
"""Number of times that the table is opened."""
SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "tuning": CategoricalDistribution(["head", "layer5"]),
}
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
    parser.add_argument("--trials", type=int, default=10_000, help="trials that are recorded before")
    trials: int = parser.parse_args().trials
    print(f"{describe()}\nload before: {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with kinds(folder) as stores:
            print(f"| storage, {trials:,} trials | sslwear, ms | plain Optuna, ms |\n|---|---|---|")
            for kind, storage in stores.items():
                _latencies(kind, storage, study_file(folder), trials)
        print("\n| trials | recorded in, s | table in the browser, s | request for 100 rows, s |\n|---|---|---|---|")
        (folder / "ui").mkdir()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            print(_in_browser(trials, folder / "ui", browser), flush=True)


def _latencies(kind: str, new_store: Callable[[], Store], file: Path, recorded: int) -> None:
    """Print how long a trial is asked for and told after many trials, and how long `study show` takes."""
    store = new_store()
    settings = load(file, ["trials=1000000"], "study")
    context = StudyContext.open(settings, store)
    study = open_study(context, store, ())
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


def _in_browser(trials: int, home: Path, browser: Browser) -> str:
    environment = {**os.environ, HOME_VARIABLE: str(home / "mlruns"), "PYTHONPATH": str(ROOT)}
    study = [sys.executable, str(STUB), "study", "run", str(study_file(home)), "--trials", "2"]
    subprocess.run(study, env=environment, check=True, capture_output=True)
    store = new_store(home / "mlruns")
    started = time.perf_counter()
    experiment = _record_runs(store, trials)
    recorded = time.perf_counter() - started
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sslwear", "ui", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", server)
        pages = [_table_s(browser, f"{address}/study/stub") for _ in range(PAGES)]
        answers = [_request_s(address, experiment) for _ in range(PAGES)]
    finally:
        server.terminate()
        server.wait(timeout=60)
    return f"| {trials:,} | {recorded:.0f} | {statistics.median(pages):.1f} | {statistics.median(answers):.1f} |"


def _record_runs(store: Store, trials: int) -> str:
    """Record runs of finished trials below the run of the study; returns the experiment's id."""
    (parent,) = store.find_runs(None, kind="study")
    experiment, generator = parent.info.experiment_id, np.random.default_rng(0)
    for number in range(2, trials):
        run = store.create_run(experiment, f"#{number} head", "trial", parent.info.run_id, trial=str(number))
        run.params({"learning_rate": float(10 ** generator.uniform(-4, -2)), "tuning": "head", "pretext": "none"})
        for epoch in range(1, EPOCHS + 1):
            run.metrics(dict(zip(METRICS, generator.uniform(0.5, 1, len(METRICS)).tolist(), strict=True)), epoch)
        run.end("FINISHED", "finished")
    return experiment


def _table_s(browser: Browser, address: str) -> float:
    """Seconds until the table has rows."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator(".ag-row a").first.wait_for(timeout=120_000)
    seconds = time.perf_counter() - started
    context.close()
    return seconds


def _request_s(address: str, experiment: str) -> float:
    """Seconds until the server has answered with the best hundred runs."""
    asked: dict[str, Any] = {"experiment_ids": [experiment], "max_results": 100, "order_by": ["metrics.kappa DESC"]}
    started = time.perf_counter()
    found = requests.post(f"{address}/ajax-api/2.0/mlflow/runs/search", json=asked, timeout=120).json()
    assert len(found["runs"]) == 100
    return time.perf_counter() - started


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            requests.get(address, timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.3)
        else:
            return
    raise SystemExit("sslwear ui ended by itself")


if __name__ == "__main__":
    main()
