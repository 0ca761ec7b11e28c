"""What the ``sslwear data`` commands print: tables and bars; without PyTorch, which preparing data has no use for."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from sslwear.data.prepare import Report
from sslwear.data.sources.base import Source


def sources_table(sources: Sequence[type[Source]]) -> Table:
    """Sources of recordings, one a row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("source", "what", "licence", "where to get it"):
        table.add_column(name, overflow="fold")
    for source in sources:
        where = "comes along" if source.embedded else source.homepage
        table.add_row(source.name, source.title, source.licence, where)
    return table


def reports_table(reports: Sequence[Report], clipped: bool) -> Table:
    """What became of each participant."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("participant")
    for name in ("windows", "without label", "not worn", *(["at the limit"] if clipped else [])):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for report in reports:
        counts = [report.windows, report.unlabelled, report.nonwear, *([report.clipped] if clipped else [])]
        table.add_row(str(report.participant), *map(str, counts), "could not be read" if report.error else report.note)
    return table


class Bar:
    """A bar with the time left; silent where the output is no terminal."""

    def __init__(self, console: Console, text: str, *columns: ProgressColumn) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class PrepareProgress(Bar):
    """A bar over participants."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, "participants", MofNCompleteColumn())

    def __call__(self, report: Report, done: int, total: int) -> None:
        """Move the bar on."""
        self._progress.update(self._task, completed=done, total=total, description=f"participant {report.participant}")


class DownloadProgress(Bar):
    """A bar over bytes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, "downloading", DownloadColumn(), TransferSpeedColumn())

    def __call__(self, done: int, total: int) -> None:
        """Move the bar on."""
        self._progress.update(self._task, completed=done, total=total or None)
