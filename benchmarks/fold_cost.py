"""Time of a study in five folds against five times that of the same study with one hold-out.

Both studies search the same grid of masks and learning rates, from the same first weights, on the same data, with
equal epochs and no early stopping. The grid is run three times: by hold-out, in folds to the end, and in folds where
trials end early as they do by default: at an epoch of the first folds, or after a fold. Each run starts with an empty
feature cache.

    python benchmarks/fold_cost.py [--encoder harnet10] [--epochs 6] [--data smartwatch]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from machine import describe, new_store

import sslwear
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback

MASKS = ("head", "layer5", "layer4-5", "layer3-5", "layer2-5", "all")
RATES = (1e-3, 3e-4)
FOLDS = 5
SIDES: dict[str, tuple[dict[str, float], dict[str, str]]] = {
    "hold-out": ({"validation": 0.2}, {"name": "none"}),
    "folds, all trials to the end": ({"folds": FOLDS}, {"name": "none"}),
    "folds, worse trials ended early": ({"folds": FOLDS}, {}),
}


def study(side: str, given: argparse.Namespace) -> sslwear.Settings:
    """The grid, judged as a side judges; random weights, because weights do not change what a study costs."""
    split, pruner = SIDES[side]
    return sslwear.Settings(
        study="fold-cost",
        data=given.data,
        encoder=given.encoder,
        trials=len(MASKS) * len(RATES),
        split={"test": 0.2, **split},
        training={"batch_size": 32, "head": "linear", "max_epochs": given.epochs, "patience": given.epochs},
        search={"tuning": list(MASKS), "learning_rate": list(RATES)},
        sampler={"name": "grid"},
        pruner=pruner,
    )


def main() -> None:
    """Print a row a side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="harnet10")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--data", default="smartwatch")
    given = parser.parse_args()
    print(f"{describe()}\n")
    print(f"| side | seconds | of {FOLDS} times the hold-out | trials to the end | best mean kappa |")
    print("|---|---|---|---|---|")
    whole = 0.0
    for side in SIDES:
        with tempfile.TemporaryDirectory() as folder:
            store = new_store(Path(folder))
            started = time.perf_counter()
            found = run_study(study(side, given), store, ProgressCallback())
            seconds = time.perf_counter() - started
        whole = whole or seconds
        ended = [trial for trial in found.trials if trial.state.name == "COMPLETE"]
        print(
            f"| {side} | {seconds:.0f} | {seconds / (FOLDS * whole):.2f} | {len(ended)} | {found.best_value:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
