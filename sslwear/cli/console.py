"""What the command line prints: tables, and progress where the output is a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from sslwear.data.dataset import Dataset
from sslwear.data.shards import Shards
from sslwear.studies.progress import ProgressCallback, beside_chance
from sslwear.studies.trial import brief
from sslwear.studies.trials import TrialRow
from sslwear.training import EpochRecord
from sslwear.utils.masking import masked


class ConsoleProgress(ProgressCallback):
    """A bar for the study, a bar for the run that is going on, and lines; silent where the output is no terminal.

    Args:
        console: where to print.
        epochs: whether every epoch gets a line, or only every trial.
    """

    def __init__(self, console: Console, epochs: bool) -> None:
        self._console = console
        self._epoch_lines = epochs
        self._study: TaskID | None = None
        self._run: TaskID | None = None
        self._name = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is not None:
            self._progress.remove_task(self._run)
        self._progress.stop()

    def study(self, name: str, done: int, total: int) -> None:
        """Show the study's bar."""
        self._study = self._progress.add_task(f"study {name}", total=total, completed=min(done, total), status="")
        if done:
            self._line(f"{done} of {total} were finished before")

    def started(self, name: str, max_epochs: int) -> None:
        """Show the run's bar."""
        if self._run is not None:
            self._progress.remove_task(self._run)
        self._name = name
        self._run = self._progress.add_task(f"  {name}", total=max_epochs, status="")

    def epoch(self, record: EpochRecord, headline: str) -> None:
        """Move the run's bar on."""
        status = beside_chance(record.scores, headline)
        if self._run is not None:
            self._progress.update(self._run, advance=1, status=status)
        if self._epoch_lines:
            self._line(
                f"{self._name}: epoch {record.epoch}, training loss {record.train_loss:.3f}, validation loss "
                f"{record.validation_loss:.3f}, {status}, {record.seconds:.1f} s"
            )

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """Move the study's bar on, and print the trial's line."""
        if self._study is not None:
            self._progress.update(self._study, advance=1)
        self._line(f"{name}: {outcome}" + (f", {value:.3f}" if value is not None else ""))

    def note(self, text: str) -> None:
        """Print a line."""
        self._line(text)

    def warn(self, text: str) -> None:
        """Print a warning, also where the output is no terminal."""
        Console(stderr=True).print(f"sslwear: {masked(text)}", markup=False, highlight=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        if self._console.is_terminal:
            self._progress.console.print(text, markup=False, highlight=False)


def trials_table(rows: Sequence[TrialRow], objective: str, best: int | None) -> Table:
    """A study's trials, one a row; the best is marked."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "trial", "outcome", "tuning", "pretext"):
        table.add_column(name, justify="right" if name == "trial" else "left", no_wrap=True)
    for name in ("lr", "batch", "augment", "epochs", "time", objective):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        settings = row.settings
        table.add_row(
            "*" if row.number == best else "",
            str(row.number),
            row.outcome,
            settings.tuning if settings else "-",
            settings.pretext if settings else "-",
            brief(settings.learning_rate) if settings else "-",
            str(settings.batch_size) if settings else "-",
            ("yes" if settings.augment else "no") if settings else "-",
            str(row.epochs),
            f"{row.seconds:.0f} s" if row.seconds is not None else "-",
            f"{row.value:.3f}" if row.value is not None else "-",
            style="bold green" if row.number == best else "dim" if row.outcome != "finished" else "",
        )
    return table


def dataset_table(dataset: Dataset) -> Table:
    """What a data set directory holds."""
    description, windows = dataset.description, dataset.windows
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    seconds = f", {description.window_s:g} s" if description.window_s else ""
    rate = f" at {description.rate_hz:g} Hz" if description.rate_hz else ""
    step = f", step {description.step_s:g} s" if description.step_s else ""
    table.add_row("data set", f"{description.name} ({dataset.folder})")
    table.add_row(
        "windows", f"{len(dataset)} of {windows.shape[1]} samples x {windows.shape[2]} axes{seconds}{rate}{step}"
    )
    table.add_row("arrays", f"X {windows.dtype} {windows.shape}, Y, pid and T ({len(dataset)},)")
    table.add_row("memory", f"{windows.nbytes / 1e6:.1f} MB on disk, memory-mapped: read batch by batch")
    for index, name in enumerate(dataset.class_names):
        share = float(np.mean(dataset.labels == index))
        count = int((dataset.labels == index).sum())
        table.add_row("labels" if index == 0 else "", f"{count:>8}  {share:>4.0%}  {name}")
    if not dataset.worn.all():
        table.add_row("not worn", f"{int((~dataset.worn).sum())} windows, left out of training")
    people, counts = np.unique(dataset.pid, return_counts=True)
    windows_each = f"{counts.min()} to {counts.max()} windows each"
    names = " ".join(map(str, people[:20])) + (" ..." if len(people) > 20 else "")
    table.add_row("participants", f"{len(people)}, {windows_each}: {names}")
    for key in ("source", "licence", "citation"):
        if value := getattr(description, key):
            table.add_row(key, value)
    table.add_row("fingerprint", dataset.fingerprint)
    return table


def shards_table(shards: Shards) -> Table:
    """What a directory of unlabelled shards holds."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    counts = [shard.count for shard in shards.shards]
    table.add_row("shards", f"{shards.description.name} ({shards.folder}), unlabelled, for pre-training")
    samples, axes = shards.shards[0].windows().shape[1:]
    table.add_row("windows", f"{len(shards)} in which the device was worn, of {samples} samples x {axes} axes")
    names = " ".join(map(str, shards.participants[:20])) + (" ..." if len(counts) > 20 else "")
    table.add_row("participants", f"{len(counts)}, {min(counts)} to {max(counts)} windows each: {names}")
    table.add_row("fingerprint", shards.fingerprint)
    return table
