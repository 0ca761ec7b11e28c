"""Progress on a terminal and in a notebook: bars, and a line for each trial or epoch."""

from __future__ import annotations

from importlib.util import find_spec
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sslwear.studies.progress import ProgressCallback, beside_chance
from sslwear.training import EpochRecord
from sslwear.utils.masking import masked


class ConsoleProgress(ProgressCallback):
    """A bar for the study, a bar for the current run, and lines; silent outside of terminals and notebooks.

    A notebook shows the bars if ipywidgets is installed, and the lines in any case.

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
            disable=not (console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)),
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
        """Advance the run's bar."""
        status = beside_chance(record.scores, headline)
        if self._run is not None:
            self._progress.update(self._run, advance=1, status=status)
        if self._epoch_lines:
            self._line(
                f"{self._name}: epoch {record.epoch}, training loss {record.train_loss:.3f}, validation loss "
                f"{record.validation_loss:.3f}, {status}, {record.seconds:.1f} s"
            )

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """Advance the study's bar, and print the trial's line."""
        if self._study is not None:
            self._progress.update(self._study, advance=1)
        self._line(f"{name}: {outcome}" + (f", {value:.3f}" if value is not None else ""))

    def note(self, text: str) -> None:
        """Print a line."""
        self._line(text)

    def warn(self, text: str) -> None:
        """Print a warning, also where progress is silent."""
        Console(stderr=True).print(f"sslwear: {masked(text)}", markup=False, highlight=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        if self._console.is_terminal or self._console.is_jupyter:
            self._progress.console.print(text, markup=False, highlight=False)
