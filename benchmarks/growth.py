"""How the cost of a study grows with its trials, its windows and its participants.

    python benchmarks/growth.py [--trials 1000] [--windows 100000] [--participants 1000]

- trials: real Optuna and MLflow stores and a training that only reports its epochs, so that what is timed is all that a
  trial costs beside its training;
- windows: a head is trained on outputs of frozen blocks that are kept, the same ten participants with more and more
  windows;
- participants: opening, splitting, training a head and scoring each participant, as many windows with more and more
  people.

Real smart-watch windows are repeated to the sizes that are wanted. Writes its tables to RESULTS.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from machine import describe, new_store, write_section

from sslwear.config import TrainingSettings, parse
from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.data.splits import hold_out
from sslwear.encoders.base import get as get_encoder
from sslwear.evaluation.participants import per_participant
from sslwear.studies import optimise as study_module
from sslwear.studies.optimise import run_study
from sslwear.studies.progress import ProgressCallback
from sslwear.tracking import Run
from sslwear.training import EpochRecord, Evaluation, FeatureCache, FitData, FitResult, FitSettings, Windows, fit
from sslwear.training.device import resolve_device, resolve_precision, seeded
from sslwear.training.task import Classification
from sslwear.tuning.base import parse as parse_tuning

EPOCHS = 5
AROUND = 10
"""Trials whose median time stands for a study of some size."""


class Clock(ProgressCallback):
    """Notes when trials end."""

    def __init__(self) -> None:
        self.times = [time.perf_counter()]

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def stub(
    experiment: Any, training: TrainingSettings, run: Run, _: Any, listener: ProgressCallback, on_epoch: Any
) -> FitResult:
    """A training that reports its epochs, whose score depends on the learning rate, and logs what a trial logs."""
    run.params({**training.model_dump(), **experiment.runtime_params()})
    run.dataset(experiment.dataset, {"train": 1, "validation": 1})
    log, score = run.epochs(), 1 - abs(np.log10(training.learning_rate) + 3)
    for epoch in range(1, EPOCHS + 1):
        record = EpochRecord(epoch, 1 / epoch, 1 / epoch, {"kappa": score * epoch / EPOCHS}, {}, 0.0)
        log(record)
        listener.epoch(record, "kappa")
        on_epoch(record)
    nothing = np.zeros(0, np.int64)
    return FitResult(None, EPOCHS, Evaluation(0.1, {"kappa": score}, nothing, nothing), ())  # type: ignore[arg-type]


def trials(place: Path, most: int) -> str:
    """Time per trial around the 10th, the 100th, ... trial."""
    settings = parse(
        {
            "study": "growth",
            "data": str(place / "windows"),
            "trials": most,
            "training": {"max_epochs": EPOCHS},
            "search": {
                "tuning": "any",
                "learning_rate": {"low": 1e-5, "high": 1e-1},
                "pretext": ["none", "reverse", "permutation", "time_warp", "multi"],
            },
        },
        "the benchmark",
    )
    clock = Clock()
    with (
        mock.patch.object(study_module, "train", stub),
        mock.patch.object(study_module, "finalise", return_value=None),  # there is no network to test
    ):
        run_study(settings, new_store(place / "store"), clock)
    taken = np.diff(clock.times)
    lines = ["| trials | ms a trial |", "|---|---|"]
    size = 10
    while size <= most:
        near = taken[max(0, size - AROUND) : size]
        lines.append(f"| {size:,} | {1000 * statistics.median(near):.0f} |")
        size *= 10
    return "\n".join(lines)


def repeated(source: Dataset, folder: Path, windows: int, participants: int) -> Dataset:
    """Real windows, over and over, of so many participants."""
    rows = np.arange(windows) % len(source)
    labels = np.array(source.class_names)[source.labels[rows]]
    pid = np.arange(windows) % participants
    description = Description(name="repeated", rate_hz=30, window_s=10, step_s=10, class_names=source.class_names)
    write_dataset(folder, np.array(source.windows[rows]), labels, pid, source.start[rows], description)
    return open_dataset(folder)


def head(dataset: Dataset, cache: Path, epochs: int) -> tuple[float, float, float]:
    """Seconds of computing the frozen blocks' outputs, of an epoch of a head, and of scoring each participant."""
    split = hold_out(dataset.pid, 0.2, 42, 0.125, 41)
    data = FitData(Windows.of(dataset, split.train), Windows.of(dataset, split.validation))
    encoder, device = get_encoder("harnet5"), resolve_device("cpu")
    how = FitSettings(1e-3, 256, epochs, 99, 0, device, resolve_precision("auto", device))
    kept = FeatureCache(cache, int(2e9), int(20e9))
    seconds = []
    for _ in range(2):
        with seeded(0):
            body = encoder()
        began = time.perf_counter()
        task = Classification(len(dataset.class_names))
        result = fit(body, task, data, parse_tuning("head", encoder), how, None, kept)
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    windows = Windows.of(dataset, split.validation)
    per_participant(result.validation.truth, result.validation.predicted, windows.pid, len(dataset.class_names))
    return seconds[0] - seconds[1], seconds[1] / epochs, time.perf_counter() - began


def sizes(place: Path, source: Dataset, windows: list[int], participants: list[int]) -> str:
    """What opening, caching, an epoch and scoring take at some sizes."""
    lines = [
        "| windows | participants | opening and checking s | frozen blocks, once s | an epoch of a head s "
        "| scores by participant s |",
        "|---|---|---|---|---|---|",
    ]
    for count, people in zip(windows, participants, strict=True):
        folder = place / f"{count}-{people}"
        repeated(source, folder, count, people)
        began = time.perf_counter()
        dataset = open_dataset(folder)
        opening = time.perf_counter() - began
        once, epoch, scoring = head(dataset, place / "cache", 5)
        lines.append(f"| {count:,} | {people:,} | {opening:.2f} | {once:.1f} | {epoch:.3f} | {scoring:.3f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--participants", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(Smartwatch(), place / "windows")
        source = open_dataset(place / "windows")
        by_trials = trials(place, arguments.trials)
        print(by_trials, flush=True)
        windows = [arguments.windows // 100, arguments.windows // 10, arguments.windows]
        people = [arguments.participants // 100, arguments.participants // 10, arguments.participants]
        middle = max(arguments.windows // 10, arguments.participants)
        by_windows = sizes(place, source, windows, [10] * 3)
        by_people = sizes(place, source, [middle] * 3, people)
    text = f"""{describe()}.

A trial beside its training (proposing by TPE, pruning, {EPOCHS} epochs logged, run opened and closed), medians of
{AROUND} trials:

{by_trials}

Training a head of harnet5 on kept outputs, more windows of ten people:

{by_windows}

and more people with the same windows:

{by_people}"""
    write_section("How cost grows: `python benchmarks/growth.py`", text)


if __name__ == "__main__":
    main()
