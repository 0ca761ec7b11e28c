"""Time of a study by several workers that share the folds of a trial, beside the same study where they do not.

A study whose number of trials is no multiple of the number of workers ends with workers that have nothing to ask for.
They train folds of the trials that still run, or they wait. Both sides train the same trials with one thread a worker,
and the scores of the trials are equal to the last bit.

    python benchmarks/folds_by_workers.py [--workers 2] [--trials 1] [--epochs 20] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import ROOT, describe, new_store
from optuna.trial import TrialState

from sslwear.studies.database.optuna_storage import find_study
from sslwear.tracking import HOME_VARIABLE

SIDES = ("no", "yes")
WORKER = """
import sys
from sslwear.cli.app import main
if sys.argv.pop(1) == "no":
    from sslwear.studies.search.fold_helper import Helper
    Helper.help = lambda _: False
main()
"""


def content(given: argparse.Namespace) -> dict[str, object]:
    """The study file; YAML takes JSON."""
    return {
        "study": "shared",
        "data": "smartwatch",
        "encoder": given.encoder,
        "trials": given.trials,
        "threads": 1,
        "split": {"test": 0.2, "folds": 4},
        "training": {"head": "linear", "max_epochs": given.epochs, "patience": given.epochs},
        "search": {"tuning": ["all"], "learning_rate": {"low": 1e-3, "high": 1e-2}},
        "sampler": {"name": "random"},
        "pruner": {"name": "none"},
    }


def run(shares: str, given: argparse.Namespace, folder: Path) -> tuple[float, list[float]]:
    """Seconds from the first start of a trial to the last end, and the scores of the trials."""
    store, file = new_store(folder), folder / "study.yaml"
    file.write_text(json.dumps(content(given)))
    environment = {**os.environ, HOME_VARIABLE: str(folder), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, shares, "study", "worker", str(file)]
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(given.workers)]
    codes = [worker.wait() for worker in started]
    if any(codes):
        raise SystemExit("a worker has failed")
    ended = find_study("shared", store).get_trials(states=(TrialState.COMPLETE,))
    starts = [one.datetime_start.timestamp() for one in ended if one.datetime_start]
    ends = [one.datetime_complete.timestamp() for one in ended if one.datetime_complete]
    return max(ends) - min(starts), sorted(one.value for one in ended if one.value is not None)


def main() -> None:
    """Measure in turn and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="multiscale")
    for name, default in (("workers", 2), ("trials", 1), ("epochs", 20), ("runs", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    print(f"{describe()}\n")
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    scores = []
    for _ in range(given.runs):
        for side in SIDES:
            with tempfile.TemporaryDirectory() as folder:
                took, values = run(side, given, Path(folder))
            seconds[side].append(took)
            scores.append(values)
    print("| folds are shared | seconds, median | all |\n|---|---|---|")
    for side, all_of in seconds.items():
        each = ", ".join(f"{one:.0f}" for one in all_of)
        print(f"| {side} | {statistics.median(all_of):.0f} | {each} |")
    ratio = statistics.median([yes / no for no, yes in zip(*seconds.values(), strict=True)])
    print(f"\nshared against not shared, median of the pairs: {ratio:.2f}")
    print(f"scores equal to the last bit: {all(values == scores[0] for values in scores)}")


if __name__ == "__main__":
    main()
