"""Verdicts of studies on new participants: a search judged by one hold-out beside one judged in folds.

In each outer fold, a study searches on the other participants, its winner is trained again and scored on the outer test
participants. Optimism is the estimate of the winner minus its score on them. The search in folds has 24 combinations of
mask, rate and pretext task. The search by hold-out trains once a trial and not four times, and has four times as many
rates, so that both take about the same time. The network is multiscale, with the recipe of the first study,
`experiments/quickstart.yaml`. With --hindsight all combinations are then trained on the other participants and scored;
the loss in hindsight is the score of the best combination over all outer folds minus that of the winners. With --store,
runs are kept in that folder, and a second command goes on where the first one ended, also with more seeds. Seconds are
those of the runs.

    python benchmarks/verdict.py [--data smartwatch ...] [--seeds 1] [--outer 5] [--epochs 12] [--hindsight]
                                 [--store FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe, new_store

import sslwear
from sslwear.evaluation.intervals import difference, interval
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.tracking import Store
from sslwear.utils.words import count

SEARCH = {"tuning": ["head", "layer4-5", "layer2-5", "all"], "pretext": ["none", "reverse"]}
TRAINING = {
    "tuning": "all",
    "learning_rate": 3e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "one_cycle",
    "batch_size": 32,
    "augment": ["rotate(20)", "scale(0.1)", "tempo(0.15)"],
    "head": "linear",
    "dropout": 0.3,
    "label_smoothing": 0.1,
}
SIDES = {"hold-out": {"validation": 0.125}, "folds": {"folds": 4}}
RATES = {"hold-out": np.geomspace(1e-3, 1e-2, 12), "folds": np.geomspace(1e-3, 1e-2, 3)}


def study(data: str, side: str, given: argparse.Namespace) -> sslwear.Settings:
    """An evaluation whose only method searches."""
    rates = [float(f"{rate:.2g}") for rate in RATES[side]]
    trials = len(SEARCH["tuning"]) * len(SEARCH["pretext"]) * len(rates)
    return sslwear.Settings(
        study=f"{Path(data).name}-{side}",
        data=data,
        encoder="multiscale",
        split=SIDES[side],
        training={**TRAINING, "max_epochs": given.epochs, "patience": given.epochs},
        pretraining={"max_epochs": 3, "patience": 2},
        sampler={"name": "grid"},
        evaluation={
            "baselines": "none",
            "folds": given.outer,
            "seeds": list(range(1, given.seeds + 1)),
            "methods": {"search": {"search": {**SEARCH, "learning_rate": rates}, "trials": trials}},
        },
    )


def run(settings: sslwear.Settings, store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores by participant; best mean, estimate, test score and seconds of each job."""
    table = evaluate_study(settings, store)
    rows = []
    for one in store.find_runs(store.experiment(settings.study), kind="cross_validation_job", outcome="finished"):
        metrics = one.data.metrics
        scores = {name: metrics[name] for name in ("best_kappa", "estimate", "test_kappa")}
        rows.append({**scores, "seconds": (one.info.end_time - one.info.start_time) / 1000})
    return table, pd.DataFrame(rows)


def hindsight(data: str, given: argparse.Namespace, store: Store) -> pd.Series[float]:
    """Mean outer test kappa of each combination of the search in folds, trained on a fold's other participants."""
    settings = study(data, "folds", given)
    rates = (float(f"{rate:.2g}") for rate in RATES["folds"])
    every = itertools.product(SEARCH["tuning"], SEARCH["pretext"], rates)
    methods = {f"{tuning} {pretext} {rate:g}": (tuning, pretext, rate) for tuning, pretext, rate in every}
    keys = ("tuning", "pretext", "learning_rate")
    evaluation = {
        **settings.model_dump()["evaluation"],
        "refit": True,
        "methods": {name: dict(zip(keys, values, strict=True)) for name, values in methods.items()},
    }
    content = {**settings.model_dump(), "study": f"{settings.study}-hindsight", "evaluation": evaluation}
    table = evaluate_study(sslwear.Settings(**{**content, "split": {"validation": 0.125}}), store)
    return table.groupby(["method", "participant"])["kappa"].mean().groupby("method").mean()


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["smartwatch"])
    for name, default in (("seeds", 1), ("outer", 5), ("epochs", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--hindsight", action="store_true")
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    print(describe())
    print("| data | search judged by | best mean minus test | estimate minus test | test kappa | time, s |")
    print("|---|---|---|---|---|---|")
    people: dict[str, list[pd.Series[float]]] = {side: [] for side in SIDES}
    notes = []
    for data in given.data:
        with tempfile.TemporaryDirectory() as folder:
            store = new_store(given.store or Path(folder))
            for side in SIDES:
                settings = study(data, side, given)
                table, jobs = run(settings, store)
                each = table.groupby("participant")["kappa"].mean()
                people[side].append(each.rename(lambda name: f"{data} {name}"))  # noqa: B023
                naive, corrected = (np.mean(jobs[name] - jobs["test_kappa"]) for name in ("best_kappa", "estimate"))
                print(
                    f"| {data} | {side} | {naive:+.3f} | {corrected:+.3f} | {interval(each)} | "
                    f"{jobs['seconds'].sum():.0f} |",
                    flush=True,
                )
            paired = difference(people["folds"][-1], people["hold-out"][-1])
            notes.append(f"{data}: folds minus hold-out {paired.interval.text('+')}, p {paired.p:.3f}")
            if given.hindsight:
                means = hindsight(data, given, store)
                notes.append(
                    f"{data}: best of {count(len(means), 'combination')} in hindsight {means.max():.3f} "
                    f"({means.idxmax()}), loss of the search in folds {means.max() - each.mean():+.3f}"
                )
    found = difference(pd.concat(people["folds"]), pd.concat(people["hold-out"]))
    print("", *notes, sep="\n")
    print(f"all: folds minus hold-out, paired over participants: {found.interval.text('+')}, p {found.p:.3f}")


if __name__ == "__main__":
    main()
