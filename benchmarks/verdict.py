"""Verdicts of studies on new participants: a search judged by one hold-out beside one judged in folds.

In each outer fold, a study searches on the other participants, its winner is trained again and scored on the outer test
participants. Optimism is the estimate of the winner minus its score on them.

    python benchmarks/verdict.py [--data smartwatch ...] [--seeds 1] [--trials 8] [--outer 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe, new_store

import sslwear
from sslwear.evaluation.intervals import difference, interval
from sslwear.studies.cross_validation import evaluate_study
from sslwear.tracking import Store
from sslwear.tracking.provenance import PREFIX

SEARCH = {
    "tuning": ["all", "head", "layer5", "layer4-5", "layer2-5"],
    "learning_rate": {"low": 1e-3, "high": 1e-2},
    "pretext": ["none", "reverse", "permutation"],
}
TRAINING = {"tuning": "all", "learning_rate": 1e-3, "schedule": "cosine", "batch_size": 32, "head": "linear"}
SIDES = {"hold-out": {"validation": 0.125}, "folds": {"folds": 4}}


def study(data: str, side: str, seeds: int, trials: int, outer: int, epochs: int) -> sslwear.Settings:
    """An evaluation whose only method searches."""
    return sslwear.Settings(
        study=f"{Path(data).name}-{side}",
        data=data,
        encoder="cnn10",
        split=SIDES[side],
        training={**TRAINING, "max_epochs": epochs, "patience": epochs},
        pretraining={"max_epochs": 3, "patience": 2},
        sampler={"startup_trials": min(6, trials)},
        pruner={"name": "none"},
        evaluation={
            "folds": outer,
            "seeds": list(range(1, seeds + 1)),
            "methods": {"search": {"search": SEARCH, "trials": trials}},
        },
    )


def run(settings: sslwear.Settings, store: Store) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Scores by participant; best mean, estimate and test score of each job; seconds."""
    started = time.perf_counter()
    table = evaluate_study(settings, store)
    seconds = time.perf_counter() - started
    rows = []
    for one in store.find_runs(store.experiment(settings.study), kind="cross_validation_job", outcome="finished"):
        metrics = one.data.metrics
        fold = int(one.data.tags[f"{PREFIX}fold"])
        rows.append({"fold": fold, **{name: metrics[name] for name in ("best_kappa", "estimate", "test_kappa")}})
    return table, pd.DataFrame(rows), seconds


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["smartwatch"])
    for name, default in (("seeds", 1), ("trials", 8), ("outer", 5), ("epochs", 15)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    print(describe())
    print("| data | search judged by | best mean minus test | estimate minus test | test kappa | time, s |")
    print("|---|---|---|---|---|---|")
    people: dict[str, list[pd.Series[float]]] = {side: [] for side in SIDES}
    for data in given.data:
        with tempfile.TemporaryDirectory() as folder:
            store = new_store(Path(folder))
            for side in SIDES:
                settings = study(data, side, given.seeds, given.trials, given.outer, given.epochs)
                table, jobs, seconds = run(settings, store)
                each = table.groupby("participant")["kappa"].mean()
                people[side].append(each.rename(lambda name: f"{data} {name}"))  # noqa: B023
                naive, corrected = (np.mean(jobs[name] - jobs["test_kappa"]) for name in ("best_kappa", "estimate"))
                print(f"| {data} | {side} | {naive:+.3f} | {corrected:+.3f} | {interval(each)} | {seconds:.0f} |")
    found = difference(pd.concat(people["folds"]), pd.concat(people["hold-out"]))
    print(f"\nTest kappa, folds minus hold-out, paired over participants: {found.interval.text('+')}, p {found.p:.3f}")


if __name__ == "__main__":
    main()
