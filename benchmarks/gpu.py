"""Training on a graphics card: windows in a second, alone, side by side, and by the tutorial's loop on the same card.

Each row is one encoder, batch size and precision, on real windows (smart-watch recordings, tiled). The tutorial's loop
is a `DataLoader`, one copy a batch, and steps that are not recorded. `alone` is the product's training, `side by side`
several of them as branches of one CUDA graph. Epochs in which steps are recorded are not timed. Every row has a share
of the time that is left, so that the whole ends in about the minutes that are given.

With --accuracy, the same evaluations are run in float32 on the processor and as by default on the card, and kappa is
compared, paired over participants.

    python benchmarks/gpu.py [--minutes 8] [--device cuda]
    python benchmarks/gpu.py --accuracy [--data smartwatch ...] [--seeds 6]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import describe, new_store
from numpy.typing import NDArray
from precision import settings_for
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sslwear.data.arrays import Description
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.encoders.base import Network, get
from sslwear.evaluation.intervals import difference
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.training import FitSettings, Windows
from sslwear.training.cached_outputs import CachedOutputs
from sslwear.training.captured import SideBySide
from sslwear.training.device import autocast, deterministic, resolve_device, seeded
from sslwear.training.epochs import Training
from sslwear.training.fold_group import take_side_by_side
from sslwear.training.graphs import graphs_of
from sslwear.training.task import Classification, inverse_frequency
from sslwear.tuning.base import parse

ROWS = (
    ("cnn10", 32, "float32", "all", 8),
    ("cnn10", 256, "bf16", "all", 8),
    ("harnet10", 64, "bf16", "all", 8),
    ("harnet10", 256, "bf16", "all", 4),
    ("harnet10", 2000, "bf16", "all", 2),
    ("harnet30", 256, "bf16", "all", 4),
    ("harnet10", 256, "float32", "head", 8),
)
"""Encoder, batch size, precision, tuning strategy, and number of trainings side by side."""
STEPS = 60
"""Steps of an epoch; an epoch of few windows would be timed by its evaluation and its start."""
CLASSES = 7
FLOP_A_WINDOW = {"harnet10": 3 * 0.575e9}
"""Of a training step: forward, and twice that backward."""


def tiled(place: Path, count: int, samples: int) -> Dataset:
    """Smart-watch windows, as often as it takes."""
    if not (place / "all").is_dir():
        prepare(Smartwatch(), place / "all")
    found = open_dataset(place / "all")
    rows = np.resize(np.arange(len(found)), count)
    windows = found.gather(np.arange(len(found)), samples).transpose(1, 2).numpy()[rows]
    return replace(
        found,
        windows=windows,
        labels=found.labels[rows],
        pid=found.pid[rows],
        start=found.start[rows],
        worn=np.ones(count, bool),
        description=Description(name="tiled"),
        files={},
    )


def training(
    name: str, tuned: str, windows: Windows, settings: FitSettings, values: NDArray[np.float32] | None
) -> Training:
    """A training without validation; with `values` (N, features, 1), on these as kept outputs of the blocks."""
    task = Classification(CLASSES, inverse_frequency(windows.labels, CLASSES))
    with seeded(settings.seed):
        found = Training(get(name)(), task, windows, parse(tuned, get(name)), settings)
    if values is not None:
        source = CachedOutputs(windows, values, len(get(name).block_names()))
        found._source = lambda *_: source  # type: ignore[method-assign]
    return found


def rate(advance: Callable[[], object], windows: int, device: torch.device, seconds: float) -> float:
    """Windows in a second of what trains on so many windows, best of the epochs that fit into the time."""
    best, ends = 0.0, time.perf_counter() + seconds
    for epoch in range(1000):
        synchronise(device)
        started = time.perf_counter()
        advance()
        synchronise(device)
        now = time.perf_counter()
        if epoch >= 3:  # steps are taken as usual, then recorded, those of the last batch an epoch later
            best = max(best, windows / (now - started))
        if now > ends and epoch >= 3:
            break
    return best


def synchronise(device: torch.device) -> None:
    """Wait for a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def side_by_side(trainings: list[Training], size: int, beside: SideBySide) -> None:
    """Train for an epoch as folds are trained."""
    for one in trainings:
        one.begin()
    take_side_by_side(trainings, beside, size)
    for one in trainings:
        one.advance()


def tutorial(name: str, batch: int, precision: str, windows: Windows, device: torch.device) -> Callable[[], None]:
    """An epoch of the loop that tutorials have."""
    network = Network(get(name)(), Classification(CLASSES).head(get(name).features)).to(device).train()
    optimizer, loss_of = torch.optim.Adam(network.parameters(), lr=1e-4, amsgrad=True), nn.CrossEntropyLoss()
    x = windows.dataset.gather(windows.rows, get(name).window_samples)
    loader = DataLoader(TensorDataset(x, torch.from_numpy(windows.labels)), batch_size=batch, shuffle=True)

    def epoch() -> None:
        for inputs, labels in loader:
            with autocast(device, precision):
                output = network(inputs.to(device))
            optimizer.zero_grad()
            loss_of(output.float(), labels.to(device)).backward()
            optimizer.step()

    return epoch


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = torch.randn(2, size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(10):
        synchronise(device)
        started = time.perf_counter()
        torch.mm(left, right)
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def measure(place: Path, device: torch.device, minutes: float, steps: int) -> Iterator[str]:
    """Rows of a table in Markdown."""
    yield "| encoder, tuned, batch, precision | tutorial's loop | alone | side by side | share of the matrix product |"
    yield "|---|---|---|---|---|"
    product, ends = product_rate(device, torch.bfloat16), time.perf_counter() + 60 * minutes
    for number, (name, batch, precision, tuned, count) in enumerate(ROWS):
        seconds = max(0.0, ends - time.perf_counter()) / (3 * (len(ROWS) - number))
        dataset = tiled(place, batch * steps, get(name).window_samples)
        windows = Windows(dataset, np.arange(len(dataset)))
        size = len(dataset), get(name).features, 1
        values = np.random.default_rng(0).normal(size=size).astype(np.float32) if tuned == "head" else None
        settings = FitSettings(1e-4, batch, 10_000, 10_000, 0, device, precision)
        with deterministic(device):
            one = training(name, tuned, windows, settings, values)
            alone = rate(one.advance, len(windows), device, seconds)
            beside = "no CUDA graphs"
            if (graphs := graphs_of(device)) is not None:
                several = [
                    training(name, tuned, windows, replace(settings, seed=seed), values) for seed in range(count)
                ]
                epoch = partial(side_by_side, several, batch, SideBySide(graphs))
                beside = f"{rate(epoch, count * len(windows), device, seconds):,.0f} ({count})"
                del several, epoch
        theirs = ""
        if tuned != "head":
            epoch = tutorial(name, batch, precision, windows, device)
            theirs = f"{rate(epoch, len(windows), device, seconds):,.0f}"
        flop = FLOP_A_WINDOW.get(name) if device.type == "cuda" and tuned == "all" and precision == "bf16" else None
        share = f"{alone * flop / product:.0%}" if flop else ""
        yield f"| {name}, {tuned}, {batch}, {precision} | {theirs} | {alone:,.0f} | {beside} | {share} |"
        del one
        if device.type == "cuda":
            torch.cuda.empty_cache()
    yield f"\nMatrix product in bf16: {product / 1e12:.1f} TFLOP/s."


def accuracy(data: str, given: argparse.Namespace) -> str:
    """A row of kappa in float32 on the processor and as by default on the device, and their difference."""
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        store = new_store(Path(folder))
        for device, precision in (("cpu", "float32"), (given.device, "auto")):
            settings = settings_for(data, precision, given).model_copy(
                update={"device": device, "study": f"{Path(data).name}-{device.replace(':', '-')}-{precision}"}
            )
            scores[precision] = evaluate_study(settings, store).groupby("participant")["kappa"].mean()
    found = difference(scores["auto"], scores["float32"]).interval
    means = " | ".join(f"{one.mean():.3f}" for one in scores.values())
    return f"| {Path(data).name} | {found.participants} | {means} | {found.text('+')} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--data", nargs="+", default=["smartwatch"])
    parser.add_argument("--encoder", default="multiscale")
    for name, default in (("folds", 2), ("seeds", 6), ("epochs", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    device = resolve_device(given.device)
    print(f"{describe()}\n")
    if given.accuracy:
        print("| data | participants | float32 on the processor | by default on the device | difference |")
        print("|---|---|---|---|---|")
        for data in given.data:
            print(accuracy(data, given), flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), device, given.minutes, given.steps):
            print(line, flush=True)


if __name__ == "__main__":
    main()
