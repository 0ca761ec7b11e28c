"""The table of a study of many trials in the browser: MLflow's UI as `sslwear ui` starts it.

The runs have the tags, parameters and metrics of a trial's run, and are written by the same code. What is timed is a
headless Chromium from the address of the table until its first rows are there, in a new profile each time, and the
answer of the server to the request that the page sends for its rows.

Example:
    python benchmarks/interface.py --trials 1000 10000
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import requests
from machine import describe, new_store
from playwright.sync_api import Browser, sync_playwright
from scale_out import ROOT, STUB, study_file

from sslwear.tracking import HOME_VARIABLE, Store

EPOCHS, METRICS = 4, ("train_loss", "val_loss", "kappa", "f1")
PAGES = 3
"""Number of times that the table is opened."""


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000])
    given = parser.parse_args()
    print(describe())
    print("| trials | recorded in, s | table in the browser, s | request for 100 rows, s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for trials in given.trials:
            home = Path(folder) / str(trials)
            home.mkdir()
            print(_row(trials, home, browser), flush=True)


def _row(trials: int, home: Path, browser: Browser) -> str:
    environment = {**os.environ, HOME_VARIABLE: str(home / "mlruns"), "PYTHONPATH": str(ROOT)}
    study = [sys.executable, str(STUB), "study", "run", str(study_file(home)), "--trials", "2"]
    subprocess.run(study, env=environment, check=True, capture_output=True)
    store = new_store(home / "mlruns")
    started = time.perf_counter()
    experiment = _record(store, trials)
    recorded = time.perf_counter() - started
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sslwear", "ui", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", server)
        pages = [_open(browser, f"{address}/study/stub") for _ in range(PAGES)]
        answers = [_request(address, experiment) for _ in range(PAGES)]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
    return f"| {trials:,} | {recorded:.0f} | {statistics.median(pages):.1f} | {statistics.median(answers):.1f} |"


def _record(store: Store, trials: int) -> str:
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


def _open(browser: Browser, address: str) -> float:
    """Seconds until the table has rows."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator(".ag-row a").first.wait_for(timeout=120_000)
    seconds = time.perf_counter() - started
    context.close()
    return seconds


def _request(address: str, experiment: str) -> float:
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
