"""The ``sslwear augment`` commands: list augmentations and show their effect on windows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_line, standard_output, user_errors
from sslwear.cli.windows import DataName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from sslwear.augmentations.base import Augmentations
    from sslwear.training import AugmentedViews

augment_app = typer.Typer(no_args_is_help=True, help="List augmentations and show their effect on windows.")
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A Python file with augmentations; repeatable.")
]
MOTION_QUANTILES = (0.5, 0.75, 0.9)
"""For each window that is drawn, the share of windows with less motion."""
VIEWS = 4
"""Number of augmented views that are drawn."""
KEY = "augment show"


@augment_app.command("list")
def augment_list(plugin: Plugins = None) -> None:
    """List the augmentations, how a study file asks for them, and what they do.

    A number in brackets may be left out; the one that is taken then stands behind its name.
    """
    with user_errors():
        from sslwear.augmentations.base import find
        from sslwear.cli.tables import augmentations_table
        from sslwear.utils import plugins

        plugins.load_files(plugin or [])
        standard_output().print(augmentations_table(find()))


@augment_app.command("show")
def augment_show(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="The value of augment in a study file, such as 'rotate(20)' or '\\[rotate(20), jitter(0.02)]'.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="The figure to write; by default augment-TEXT.png.")
    ] = None,
    data: DataName = "smartwatch",
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Number of a window in the data, from 0; by default three with different motion."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the augmented views.")] = 0,
    plugin: Plugins = None,
) -> None:
    """Draw windows as recorded and in augmented views, as the epochs of a training have them."""
    with user_errors():
        from sslwear.cli.windows import check_figure_file, open_windows, save_figure
        from sslwear.reports.window_figure import augment_figure
        from sslwear.training import AugmentedViews
        from sslwear.utils import plugins

        plugins.load_files(plugin or [])
        name, augmentation = _read(text)
        target = out or Path(f"augment-{re.sub(r'[^0-9A-Za-z_.]+', '-', name).strip('-')}.png")
        check_figure_file(target)
        windows, rate_hz = open_windows(data)
        shown, changed = _views(windows, window, AugmentedViews(augmentation, seed))
        save_figure(augment_figure(shown, changed, rate_hz, f"augment: {name}"), target)
        print_line(standard_output(), f"{target} shows windows as recorded and in {VIEWS} augmented views.")


def _views(
    windows: NDArray[np.floating], window: int | None, views: AugmentedViews
) -> tuple[dict[int, Tensor], list[Tensor]]:
    """Windows (3, samples) by their number as recorded, and augmented (windows, 3, samples), once a view.

    Args:
        windows: all windows (N, samples, 3).
        window: number of the one to take; None for some with different motion.
        views: draws and applies the augmentation.

    Raises:
        SslwearError: when there is no window with this number.
    """
    import numpy as np
    import torch

    from sslwear.cli.windows import rows_by_motion
    from sslwear.errors import SslwearError

    if window is not None and window >= len(windows):
        raise SslwearError(f"--window {window}: the data have the windows 0 to {len(windows) - 1}. Give one of them")
    rows = rows_by_motion(windows, MOTION_QUANTILES) if window is None else [window]
    x = torch.tensor(np.asarray(windows[rows], np.float32).transpose(0, 2, 1))
    changed = [views.apply(x, views.draw(view, len(windows)), np.array(rows)) for view in range(1, VIEWS + 1)]
    return dict(zip(rows, x, strict=True)), changed


def _read(text: str) -> tuple[str, Augmentations]:
    """Augmentations for a value of ``augment`` in a study file, and their text.

    Raises:
        SettingsError: when it is no such value, or asks for no augmentation.
    """
    from sslwear.augmentations.base import parse
    from sslwear.config import YamlError, from_yaml
    from sslwear.config.augment import ROTATION, joined
    from sslwear.config.values import shown
    from sslwear.errors import SettingsError

    try:
        value = joined(from_yaml(text))
    except (YamlError, ValueError) as error:
        reason = f"{shown(text)} is not a YAML value" if isinstance(error, YamlError) else error
        raise SettingsError(f"{KEY}: {reason}") from error
    if value is False:
        raise SettingsError(f"{KEY}: false is for no augmentation. Choose one of those in 'sslwear augment list'")
    name = ROTATION if value is True else value
    return name, parse(name, KEY)
