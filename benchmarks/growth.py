"""How the cost of a study grows with its trials, its windows and its participants.

    python benchmarks/growth.py [--trials 1000] [--windows 100000] [--participants 1000]
        [--only trials|data]

- trials: real Optuna and MLflow stores and a training that only reports its epochs, so that what is timed is all that a
  trial costs beside its training; then the same study with trials that were added without a training: `study show`,
  `study list`, and a resumption with one more trial, which ends with the study's charts;
- windows: a head is trained on outputs of frozen blocks that are kept, the same ten participants with more and more
  windows;
- participants: opening, splitting, training a head and scoring each participant, as many windows with more and more
  people.

Real smart-watch windows are repeated to the sizes that are wanted. Writes its tables to RESULTS.md.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import optuna
import stub_worker
from machine import describe, new_store, peak_mb, write_section
from optuna.trial import TrialState
from rich.console import Console

from sslwear.cli.study_output import print_study
from sslwear.cli.study_tables import studies_table
from sslwear.config import Settings, parse
from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.prepare import prepare
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.data.splits import hold_out
from sslwear.encoders.base import get as get_encoder
from sslwear.evaluation.participants import per_participant
from sslwear.studies.database.optuna_storage import all_studies, find_study
from sslwear.studies.search import final_test, optimise, search_trial
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Store
from sslwear.training import FeatureCache, FitData, FitSettings, Windows, fit
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


@contextmanager
def stubs() -> Iterator[None]:
    """Trials report epochs and scores that depend on the learning rate, and train nothing."""
    with (
        mock.patch.dict(os.environ, {stub_worker.SECONDS: "0"}),
        mock.patch.object(stub_worker, "first_encoder"),
        mock.patch.object(search_trial, "judge", stub_worker.judge),
        mock.patch.object(search_trial, "_log_network", stub_worker._nothing),
    ):
        yield


def study_settings(place: Path, trials: int) -> Settings:
    """A search over all sets of blocks, learning rates and pretext tasks."""
    return parse(
        {
            "study": "growth",
            "data": str(place / "windows"),
            "trials": trials,
            "training": {"max_epochs": EPOCHS},
            "search": {
                "tuning": "any",
                "learning_rate": {"low": 1e-5, "high": 1e-1},
                "pretext": ["none", "reverse", "permutation", "time_warp", "multi"],
            },
        },
        "the benchmark",
    )


def trials(place: Path, most: int) -> str:
    """Time per trial around the 10th, the 100th, ... trial."""
    clock = Clock()
    with (
        stubs(),
        mock.patch.object(optimise, "finalise", return_value=None),  # there is no network to test
    ):
        run_study(study_settings(place, most), new_store(place / "store"), clock)
    taken = np.diff(clock.times)
    lines = ["| trials | ms a trial |", "|---|---|"]
    size = 10
    while size <= most:
        near = taken[max(0, size - AROUND) : size]
        lines.append(f"| {size:,} | {1000 * statistics.median(near):.0f} |")
        size *= 10
    return "\n".join(lines)


def reading(place: Path, sizes: list[int]) -> str:
    """Processor time of showing, listing and resuming a study, by its number of trials."""
    lines = [
        "| trials | `study show` s | `study list` s | one more trial, with charts s | MB |",
        "|---|---|---|---|---|",
    ]
    for size in sizes:
        store = new_store(place / f"store-{size}")
        with (
            stubs(),
            mock.patch.object(final_test, "is_tested", return_value=True),  # there is no network to test
        ):
            run_study(study_settings(place, 20), store)
            multiply(store, size)
            seconds = [timed(lambda: show(store)), timed(lambda: studies_table(all_studies(store)))]  # noqa: B023
            seconds.append(timed(lambda: run_study(study_settings(place, size + 1), store)))  # noqa: B023
        lines.append(f"| {size:,} | {' | '.join(f'{taken:.1f}' for taken in seconds)} | {peak_mb():,.0f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def multiply(store: Store, size: int) -> None:
    """Add trials with other learning rates and the same outcomes, up to a number."""
    study = find_study("growth", store)
    given, draws = study.get_trials(), np.random.default_rng(0)
    for number in range(len(given), size):
        one = given[number % len(given)]
        rate = float(10 ** draws.uniform(-5, -1))
        settings = {**one.user_attrs["settings"], "learning_rate": rate}
        value = None if one.state == TrialState.PRUNED else 1 - abs(np.log10(rate) + 3)
        study.add_trial(
            optuna.create_trial(
                state=one.state,
                value=value,
                params={**one.params, "learning_rate": rate},
                distributions=one.distributions,
                intermediate_values=one.intermediate_values,
                user_attrs={**one.user_attrs, "settings": settings},
            )
        )


def show(store: Store) -> None:
    """What ``sslwear study show`` does."""
    print_study(Console(file=io.StringIO(), width=120), find_study("growth", store), store)


def timed(what: Callable[[], object]) -> float:
    """Seconds of processor time that a call takes, which other programs change less than the time on the clock."""
    began = time.process_time()
    what()
    return time.process_time() - began


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


def by_trials(place: Path, most: int) -> None:
    """Measure how cost grows with trials, and write it down."""
    text = f"""{describe()}.

A trial beside its training (proposing by TPE, pruning, {EPOCHS} epochs logged, run opened and closed), medians of
{AROUND} trials:

{trials(place, most)}

Reading a study, and resuming it for one more trial, after which its charts are drawn, in seconds of
processor time; the most memory of the process:

{reading(place, [100, 500, 2000])}"""
    write_section("How cost grows with trials: `python benchmarks/growth.py --only trials`", text)


def by_data(place: Path, windows: int, participants: int) -> None:
    """Measure how cost grows with windows and participants, and write it down."""
    source = open_dataset(place / "windows")
    middle = max(windows // 10, participants)
    text = f"""{describe()}.

Training a head of harnet5 on kept outputs, more windows of ten people:

{sizes(place, source, [windows // 100, windows // 10, windows], [10] * 3)}

and more people with the same windows:

{sizes(place, source, [middle] * 3, [participants // 100, participants // 10, participants])}"""
    write_section("How cost grows with data: `python benchmarks/growth.py --only data`", text)


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--only", choices=["trials", "data"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(Smartwatch(), place / "windows")
        if arguments.only != "data":
            by_trials(place, arguments.trials)
        if arguments.only != "trials":
            by_data(place, arguments.windows, arguments.participants)


if __name__ == "__main__":
    main()
