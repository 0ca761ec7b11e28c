"""Progress of studies and trainings: the callback, and its bars on a terminal, in a notebook and as lines of a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sslwear.pretext.base import CHANCE
from sslwear.training import EpochRecord
from sslwear.utils.console import PlainConsole
from sslwear.utils.masking import masked
from sslwear.utils.words import count

log = logging.getLogger(__name__)


def beside_chance(scores: Mapping[str, float], headline: str) -> str:
    """A score as text, with the score of chance if the task has one: ``accuracy 0.812 (chance 0.500)``."""
    text = f"{headline} {scores[headline]:.3f}"
    return f"{text} (chance {scores[CHANCE]:.3f})" if CHANCE in scores else text


class ProgressCallback:
    """Receives the progress of a study; this class logs warnings and is silent otherwise, subclasses show progress."""

    def study(self, name: str, done: int, total: int) -> None:
        """A study starts or goes on with `done` of `total` trials finished."""

    def done(self, done: int) -> None:
        """So many trials or jobs are finished, those of other workers included."""

    def trial(self, name: str) -> None:
        """A trial of a study, or a job of an evaluation, starts."""

    def started(self, name: str, max_epochs: int) -> None:
        """A training or pre-training of at most `max_epochs` epochs starts."""

    def resumed(self, epochs: int) -> None:
        """The training that started goes on from a checkpoint, after so many epochs."""

    def epoch(self, record: EpochRecord, headline: str) -> None:
        """An epoch ended; `headline` names the score to show."""

    def fold(self, done: int, total: int, value: float, headline: str) -> None:
        """Some folds of a trial are done; `value` is the score named `headline`, a mean over their participants."""

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """A trial or job ended with an `outcome`; `value` is its objective, None if it has none."""

    def note(self, text: str) -> None:
        """Something worth knowing happened."""

    def warn(self, text: str) -> None:
        """Something happened that the user should act on; logged by default."""
        log.warning(masked(text))


class NestedProgress(ProgressCallback):
    """Passes on the progress of a search inside of a job, whose trials are not jobs of the evaluation."""

    def __init__(self, outer: ProgressCallback, name: str) -> None:
        self._outer, self._name = outer, name

    def started(self, name: str, max_epochs: int) -> None:
        """A training starts."""
        self._outer.started(name, max_epochs)

    def resumed(self, epochs: int) -> None:
        """A training goes on."""
        self._outer.resumed(epochs)

    def epoch(self, record: EpochRecord, headline: str) -> None:
        """An epoch ended."""
        self._outer.epoch(record, headline)

    def fold(self, done: int, total: int, value: float, headline: str) -> None:
        """Some folds of a trial are done."""
        self._outer.fold(done, total, value, headline)

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """A trial ended."""
        self._outer.note(f"{self._name}: {name}: {outcome}{f', {value:.3f}' if value is not None else ''}")

    def note(self, text: str) -> None:
        """Pass on a note."""
        self._outer.note(f"{self._name}: {text}")

    def warn(self, text: str) -> None:
        """Pass on a warning."""
        self._outer.warn(f"{self._name}: {text}")


class ConsoleProgress(ProgressCallback):
    """A bar for the study, a bar for the current run, and a line when a trial or job ends.

    A file or pipe gets no bars; it gets a line when a trial or job starts too. A notebook shows bars if ipywidgets is
    installed.

    Args:
        console: where to print.
        epochs: whether every epoch gets a line, or only every trial.
        before: whether to say how many trials or jobs were finished before.
    """

    def __init__(self, console: Console, epochs: bool, before: bool = True) -> None:
        self._say_before = before
        self._epoch_lines = epochs
        self._study: TaskID | None = None
        self._run: TaskID | None = None
        self._name = ""
        self._max_epochs = self._resumed = 0
        self._done = self._total = self._before = 0
        self._study_start = self._run_start = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
            disable=not (console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)),
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._run is not None:
            self._progress.remove_task(self._run)
        self._progress.stop()

    def study(self, name: str, done: int, total: int) -> None:
        """Show the study's bar."""
        self._study = self._progress.add_task(f"study {name}", total=total, completed=min(done, total), status="")
        self._done = self._before = done
        self._total = total
        self._study_start = time.monotonic()
        if done and self._say_before:
            self._line(f"{done} of {total} were finished before")

    def done(self, done: int) -> None:
        """Count trials or jobs of other workers too."""
        if self._study is not None and done > self._done:
            self._done = done
            self._progress.update(self._study, completed=min(done, self._total))

    def trial(self, name: str) -> None:
        """Print that the trial starts, where no bar shows it."""
        if self._progress.disable:
            self._line(f"{name}: started")

    def started(self, name: str, max_epochs: int) -> None:
        """Show the run's bar."""
        if self._run is not None:
            self._progress.remove_task(self._run)
        self._name, self._max_epochs, self._resumed, self._run_start = name, max_epochs, 0, time.monotonic()
        self._run = self._progress.add_task(f"  {name}", total=max_epochs, status="")
        if self._epoch_lines and self._progress.disable:
            self._line(f"{name}: started, at most {count(max_epochs, 'epoch')}")

    def resumed(self, epochs: int) -> None:
        """Advance the run's bar, and print that the training goes on."""
        self._resumed = epochs
        if self._run is not None:
            self._progress.update(self._run, completed=epochs)
        self._line(f"{self._name}: goes on from a checkpoint, after {count(epochs, 'epoch')}")

    def epoch(self, record: EpochRecord, headline: str) -> None:
        """Advance the run's bar."""
        status = beside_chance(record.scores, headline)
        if self._run is not None:
            self._progress.update(self._run, advance=1, status=status)
        if self._epoch_lines:
            left = _time_left(self._run_start, record.epoch - self._resumed, self._max_epochs - record.epoch)
            self._line(
                f"{self._name}: epoch {record.epoch}, training loss {record.train_loss:.3f}, validation loss "
                f"{record.validation_loss:.3f}, {status}, {record.seconds:.1f} s{f', at most {left}' if left else ''}"
            )

    def fold(self, done: int, total: int, value: float, headline: str) -> None:
        """Show the folds of a trial that are done."""
        if total == 1:
            return
        status = f"{done} of {total} folds, {headline} {value:.3f}"
        if self._run is not None:
            self._progress.update(self._run, status=status)
        if self._epoch_lines:
            self._line(f"{self._name}: {status}")

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """Advance the study's bar, and print the trial's line."""
        score = f", {value:.3f}" if value is not None else ""
        where = ""
        if self._study is not None:
            self._progress.update(self._study, advance=1)
            self._done += 1
            left = _time_left(self._study_start, self._done - self._before, self._total - self._done)
            where = f" ({self._done} of {self._total}{f', about {left}' if left else ''})"
        self._line(f"{name}: {outcome}{score}{where}")

    def note(self, text: str) -> None:
        """Print a line."""
        self._line(text)

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        PlainConsole(stderr=True).print(f"sslwear: {masked(text)}", highlight=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        self._progress.console.print(masked(text), markup=False, highlight=False, soft_wrap=True)


def _time_left(start: float, done: int, remaining: int) -> str:
    """Time that the remaining steps take at the mean speed since `start`: ``5 min left``; empty if none remain."""
    if remaining <= 0 or done <= 0:
        return ""
    seconds = (time.monotonic() - start) / done * remaining
    if seconds < 90:
        return f"{seconds:.0f} s left"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.1f} h left"
