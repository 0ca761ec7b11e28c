"""The ``sslwear pretext`` commands: list the pretext tasks, and look at what they make of a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import friendly, say, standard_output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

pretext_app = typer.Typer(no_args_is_help=True, help="List pretext tasks, and look at what they do.")
LOOKED_AT = 2000
"""Windows, spread over the data, among which one with motion is looked for."""
LIVELY = 0.9
"""Share of them that move less than the one that is shown."""


@pretext_app.command("list")
def pretext_list() -> None:
    """List the pretext tasks, what they ask, and the score that says whether something was learnt."""
    with friendly():
        from rich.table import Table

        from sslwear.pretext.base import find

        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("task", no_wrap=True)
        table.add_column("score", no_wrap=True)
        table.add_column("what it asks")
        for name, task in find().items():
            table.add_row(name, task.headline, task.title)
        standard_output().print(table)


@pretext_app.command("show")
def pretext_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that 'sslwear pretext list' lists.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="The picture to write; pretext-NAME.png by default.")
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="DATA", help="A data set directory, one of unlabelled shards, or a source's name.")
    ] = "smartwatch",
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of what the task draws at random.")] = 0,
) -> None:
    """Draw one real window, with motion, before and after what a pretext task does to it."""
    with friendly():
        import torch

        from sslwear.errors import SslwearError
        from sslwear.pretext.base import PretextTask
        from sslwear.reports.pretext_figure import pretext_figure
        from sslwear.utils import plugins

        task, target = (
            plugins.get("sslwear.pretext", PretextTask, name, "pretext show")(),
            out or Path(f"pretext-{name}.png"),
        )
        window, rate_hz = _lively(data)
        x = torch.tensor(window.T[None])
        try:
            examples = task.examples(x, torch.Generator().manual_seed(seed))
        except ValueError as error:
            raise SslwearError(f"pretext task {name}: {error}; take data with longer windows") from error
        figure = pretext_figure(x[0], examples, rate_hz, f"{name}: {task.title}")
        try:
            figure.savefig(target, dpi=130)
        except (OSError, ValueError) as error:
            raise SslwearError(f"--out {target}: cannot be written ({error}); give a file such as x.png") from error
        say(standard_output(), f"{target} shows one window before and after. {task.title}")


def _lively(data: str) -> tuple[NDArray[np.float32], float]:
    """A window (samples, 3) in g in which the wrist moves, the same at every call, and its samples a second."""
    import numpy as np

    from sslwear.data.arrays import motion
    from sslwear.encoders.base import Encoder

    windows, rate_hz = _windows(data)
    rows = np.unique(np.linspace(0, len(windows) - 1, min(LOOKED_AT, len(windows))).astype(int))
    moved = motion(windows[rows])
    chosen = rows[np.argsort(moved, kind="stable")[int(LIVELY * (len(rows) - 1))]]
    return np.asarray(windows[chosen], np.float32), rate_hz or Encoder.rate_hz


def _windows(data: str) -> tuple[NDArray[np.floating], float | None]:
    """Windows (N, samples, 3) in g, memory-mapped, and their samples a second where they are known."""
    from sslwear.data.loading import open_windows
    from sslwear.data.shards import Shards
    from sslwear.tracking import Store

    found = open_windows(data, Store.from_environment().home)
    windows = found.shards[0].windows() if isinstance(found, Shards) else found.windows
    return windows, found.description.rate_hz
