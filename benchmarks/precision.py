"""Kappa of trainings in bf16 and in float32, paired over participants.

Both sides train the same network from the same random weights, with the recipe of `experiments/networks_*.yaml`, in the
same folds and with the same seeds; nothing but the precision differs. With --speed, matrix products and training steps
on one thread are timed in both precisions, in turn and in one run.

    python benchmarks/precision.py [--data smartwatch ...] [--encoder multiscale] [--folds 2] [--seeds 6] [--epochs 12]
    python benchmarks/precision.py --speed
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from machine import describe, new_store
from threads import step_ms

import sslwear
from sslwear.config import load
from sslwear.evaluation.intervals import difference
from sslwear.studies.evaluations.cross_validation import evaluate_study

RECIPE = Path(__file__).parents[1] / "experiments" / "networks_smartwatch.yaml"
PRECISIONS = ("float32", "bf16")
SIZE, REPEATS = 1024, 5
"""Rows of the square matrices whose product is timed, and number of measurements of which the best counts."""
STEPS = (("multiscale", 32), ("cnn10", 32), ("harnet10", 32))


def settings_for(data: str, precision: str, given: argparse.Namespace) -> sslwear.Settings:
    """An evaluation of one method in one precision."""
    training = load(RECIPE).training.model_dump(exclude_unset=True)
    return sslwear.Settings(
        study=f"{Path(data).name}-{precision}",
        data=data,
        encoder=given.encoder,
        precision=precision,
        training={**training, "max_epochs": given.epochs, "patience": given.epochs},
        evaluation={
            "folds": given.folds,
            "seeds": list(range(1, given.seeds + 1)),
            "refit": True,
            "baselines": "none",
            "methods": {"no pre-training": {}},
        },
    )


def matrix_rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a matrix product on PyTorch's threads."""
    left, right = torch.randn(2, SIZE, SIZE).to(dtype)
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - started)
    return 2 * SIZE**3 / min(times) / 1e9


def print_speeds() -> None:
    """Print a row for the matrix product and each network."""
    print("| on one thread | float32 | bf16 |")
    print("|---|---|---|")
    torch.set_num_threads(1)
    rates = [matrix_rate(dtype) for dtype in (torch.float32, torch.bfloat16)]
    print(f"| matrix product, GFLOP/s | {' | '.join(f'{rate:.0f}' for rate in rates)} |", flush=True)
    for name, batch_size in STEPS:
        best = dict.fromkeys(PRECISIONS, float("inf"))
        for precision in PRECISIONS * REPEATS:
            best[precision] = min(best[precision], step_ms(name, batch_size, 1, 0.5, precision)[0])
        times = " | ".join(f"{one:.1f}" for one in best.values())
        print(f"| training step of {name}, {batch_size} windows, ms | {times} |", flush=True)


def main() -> None:
    """Print a row a data set, or the speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["smartwatch"])
    parser.add_argument("--encoder", default="multiscale")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--speed", action="store_true")
    given = parser.parse_args()
    print(f"{describe()}\n")
    if given.speed:
        print_speeds()
        return
    print("| data | participants | float32 | bf16 | difference | seconds, float32 | seconds, bf16 |")
    print("|---|---|---|---|---|---|---|")
    for data in given.data:
        scores: dict[str, pd.Series] = {}
        seconds = {}
        with tempfile.TemporaryDirectory() as folder:
            store = new_store(Path(folder))
            for precision in PRECISIONS:
                started = time.perf_counter()
                table = evaluate_study(settings_for(data, precision, given), store)
                seconds[precision] = time.perf_counter() - started
                scores[precision] = table.groupby("participant")["kappa"].mean()
        found = difference(scores["bf16"], scores["float32"]).interval
        means = " | ".join(f"{scores[precision].mean():.3f}" for precision in PRECISIONS)
        times = " | ".join(f"{seconds[precision]:.0f}" for precision in PRECISIONS)
        print(f"| {Path(data).name} | {found.participants} | {means} | {found.text('+')} | {times} |", flush=True)


if __name__ == "__main__":
    main()
