"""The ``sslwear pretext`` commands: list pretext tasks and show their effect on a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_line, standard_output, user_errors
from sslwear.cli.windows import DataName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

pretext_app = typer.Typer(no_args_is_help=True, help="List pretext tasks and show their effect on a window.")
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A Python file with pretext tasks; repeatable.")
]
MOTION_QUANTILE = 0.9
"""Share of the windows with less motion than the one that is drawn."""


@pretext_app.command("list")
def pretext_list(plugin: Plugins = None) -> None:
    """List the pretext tasks, their scores and their questions."""
    with user_errors():
        from sslwear.cli.tables import pretext_table
        from sslwear.pretext.base import find
        from sslwear.utils import plugins

        plugins.load_files(plugin or [])
        standard_output().print(pretext_table(find()))


@pretext_app.command("show")
def pretext_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A task in the output of 'sslwear pretext list'.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="The figure to write; by default pretext-NAME.png.")
    ] = None,
    data: DataName = "smartwatch",
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the task's random choices.")] = 0,
    plugin: Plugins = None,
) -> None:
    """Draw a window with motion before and after a pretext task changes it."""
    with user_errors():
        import torch

        from sslwear.cli.windows import check_figure_file, save_figure
        from sslwear.errors import SslwearError
        from sslwear.pretext.base import get
        from sslwear.reports.window_figure import pretext_figure
        from sslwear.utils import plugins

        plugins.load_files(plugin or [])
        task, target = get(name, "pretext show", besides=())(), out or Path(f"pretext-{name}.png")
        check_figure_file(target)
        window, rate_hz = _active_window(data)
        x = torch.tensor(window.T[None])
        try:
            examples = task.examples(x, torch.Generator().manual_seed(seed))
        except ValueError as error:
            raise SslwearError(f"pretext task {name}: {error}. Use data with longer windows") from error
        save_figure(pretext_figure(x[0], examples, rate_hz, f"{name}: {task.title}"), target)
        print_line(standard_output(), f"{target} shows a window before and after the task. Question: {task.title}")


def _active_window(data: str) -> tuple[NDArray[np.float32], float]:
    """A window (samples, 3) in g with motion, the same in every call, and its rate in Hz."""
    import numpy as np

    from sslwear.cli.windows import open_windows, rows_by_motion

    windows, rate_hz = open_windows(data)
    (row,) = rows_by_motion(windows, (MOTION_QUANTILE,))
    return np.asarray(windows[row], np.float32), rate_hz
