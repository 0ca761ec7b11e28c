"""What a pretext task learns, and what fine-tuning gains, by the number of people pre-trained on.

The first N participants of a data set are the pre-training data. The task's own score is that on its held-out
participants; the gain is kappa on the test participants of another data set, minus that of the same network from random
weights in the same folds with the same seeds, paired over participants.

    python benchmarks/pretraining_size.py --pretraining datasets/wisdm [--data smartwatch] [--people 5 10 20 26]
        [--tasks contrastive hidden_half multi] [--folds 5] [--seeds 2] [--epochs 10]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe, new_store

import sslwear
from sslwear.config import load
from sslwear.evaluation.intervals import difference
from sslwear.pretext.base import get as get_pretext
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.tracking import Store

RECIPE = Path(__file__).parents[1] / "experiments" / "networks_smartwatch.yaml"


def first_people(data: Path, people: int, out: Path) -> int:
    """Write the windows of the first participants as a data set; returns their number of windows."""
    everybody = np.load(data / "pid.npy")
    chosen = np.isin(everybody, sorted(set(everybody.tolist()), key=str)[:people])
    out.mkdir()
    for name in ("X", "Y", "pid", "T"):
        np.save(out / f"{name}.npy", np.load(data / f"{name}.npy", mmap_mode="r")[chosen])
    facts = json.loads((data / "dataset.json").read_text())
    (out / "dataset.json").write_text(json.dumps({"name": facts["name"], "window_s": facts["window_s"]}))
    return int(chosen.sum())


def settings_for(study: str, pretraining: Path | None, given: argparse.Namespace) -> sslwear.Settings:
    """An evaluation of the pretext tasks, or of the network from random weights."""
    recipe = load(RECIPE)
    schedule = {"max_epochs": given.epochs, "patience": given.epochs}
    own = {**recipe.pretraining.model_dump(exclude_unset=True), **schedule, "data": str(pretraining)}
    return sslwear.Settings(
        study=study,
        data=given.data,
        encoder=given.encoder,
        training=recipe.training.model_dump(exclude_unset=True),
        **({"pretraining": own} if pretraining else {}),
        evaluation={
            "folds": given.folds,
            "seeds": list(range(1, given.seeds + 1)),
            "refit": True,
            "baselines": "none",
            "methods": {task: {"pretext": task} for task in given.tasks} if pretraining else {"none": {}},
        },
    )


def own_score(store: Store, study: str, task: str) -> str:
    """The task's own score on its held-out participants, a mean over its pre-trainings."""
    runs = store.find_runs(store.experiment(study), kind="pretraining", outcome="finished")
    name = get_pretext(task, "pretext").headline
    found = pd.DataFrame([run.data.metrics for run in runs if run.data.params["pretext"] == task])
    return f"{name} {found[name].mean():.3f}, chance {found['chance'].mean():.3f}"


def main() -> None:
    """Print a row for each task and number of people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pretraining", type=Path, required=True)
    parser.add_argument("--data", default="smartwatch")
    parser.add_argument("--encoder", default="multiscale")
    parser.add_argument("--people", nargs="+", type=int, default=[5, 10, 20, 26])
    parser.add_argument("--tasks", nargs="+", default=["contrastive", "hidden_half", "multi"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    print(f"{describe()}\n")
    with tempfile.TemporaryDirectory() as folder:
        store = new_store(Path(folder) / "store")
        scratch = kappa(evaluate_study(settings_for("scratch", None, given), store))["none"]
        print(f"From random weights: kappa {scratch.mean():.3f}.\n")
        print("| task | people | windows | its own score | kappa after it | gain |\n|---|---|---|---|---|---|")
        for people in given.people:
            study, subset = f"people-{people}", Path(folder) / f"people-{people}"
            windows = first_people(given.pretraining, people, subset)
            scores = kappa(evaluate_study(settings_for(study, subset, given), store))
            for task in given.tasks:
                gain = difference(scores[task], scratch).interval.text("+")
                own = own_score(store, study, task)
                print(f"| {task} | {people} | {windows} | {own} | {scores[task].mean():.3f} | {gain} |", flush=True)


def kappa(table: pd.DataFrame) -> pd.DataFrame:
    """Mean kappa over seeds: a row a participant, a column a method."""
    return table.pivot_table(values="kappa", index="participant", columns="method")


if __name__ == "__main__":
    main()
