"""Progress bars of the commands about data and predictions.

Progress of studies and trainings is in `sslwear.studies.setup.progress`, which the Python interface uses too. This
module does not import PyTorch, so that ``sslwear data`` starts quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from sslwear.data.prepare import PreparationResult


class Bar:
    """A bar with the time left; not shown if the output is a file or pipe."""

    def __init__(self, console: Console, text: str, *columns: ProgressColumn) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *columns,
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(text, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class PrepareProgress(Bar):
    """Bar of prepared participants."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, "participants", MofNCompleteColumn())

    def __call__(self, result: PreparationResult, done: int, total: int) -> None:
        """Advance the bar."""
        self._progress.update(self._task, completed=done, total=total, description=f"participant {result.participant}")


class DownloadProgress(Bar):
    """Bar of downloaded bytes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, "downloading", DownloadColumn(), TransferSpeedColumn())

    def __call__(self, done: int, total: int) -> None:
        """Advance the bar."""
        self._progress.update(self._task, completed=done, total=total or None)


class PredictProgress(Bar):
    """Bar of predicted recordings; a recording in progress counts by its finished share.

    Args:
        console: where to print.
        total: number of recordings.
    """

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(console, "recordings", TaskProgressColumn())
        self._shares: dict[str, float] = {}
        self._total = total

    def __call__(self, name: str, share: float) -> None:
        """Advance the bar."""
        self._shares[name] = max(share, self._shares.get(name, 0.0))
        finished = sum(share == 1 for share in self._shares.values())
        self._progress.update(
            self._task,
            total=self._total,
            completed=sum(self._shares.values()),
            description=f"{finished} of {self._total} recordings",
        )
