"""What ``sslwear predict`` prints: a bar over all recordings, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import TaskProgressColumn
from rich.table import Table

from sslwear.cli.console_data import Bar
from sslwear.deployment.prediction import Outcome


class PredictProgress(Bar):
    """A bar over recordings, of which those that are not finished count by what is done of them.

    Args:
        console: where to print.
        total: how many recordings there are.
    """

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(console, "recordings", TaskProgressColumn())
        self._shares: dict[str, float] = {}
        self._total = total

    def __call__(self, name: str, share: float) -> None:
        """Move the bar on."""
        self._shares[name] = max(share, self._shares.get(name, 0.0))
        finished = sum(share == 1 for share in self._shares.values())
        self._progress.update(
            self._task,
            total=self._total,
            completed=sum(self._shares.values()),
            description=f"{finished} of {self._total} recordings",
        )


def outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    """What became of each recording."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("recording")
    for name in ("windows", "not worn"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for outcome in outcomes:
        note = "could not be labelled" if outcome.error else outcome.note
        table.add_row(escape(outcome.name), str(outcome.windows), str(outcome.nonwear), escape(note))
    return table
