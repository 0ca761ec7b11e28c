"""Windows that commands draw, and the files with their figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DATA = "A data set directory, a directory of unlabelled shards, or the name of a source."
DataName = Annotated[str, typer.Option(metavar="DATA", help=DATA)]
CANDIDATES = 2000
"""Number of windows, spread over the data, from which some are selected."""


def open_windows(data: str) -> tuple[NDArray[np.floating], float]:
    """Memory-mapped windows (N, samples, 3) in g, and their rate in Hz, that of the encoders if it is not known.

    Args:
        data: a data set directory, a directory of unlabelled shards, of which the first is taken, or a source.

    Raises:
        SslwearError: when there are no such data, or they cannot be used.
    """
    from sslwear.data.shards import Shards
    from sslwear.encoders.base import Encoder
    from sslwear.tracking import Store

    found = Store.from_environment(write=False).open_windows(data)
    windows = found.shards[0].windows() if isinstance(found, Shards) else found.windows
    return windows, Encoder.rate_hz if found.window_s is None else found.samples / found.window_s


def rows_by_motion(windows: NDArray[np.floating], quantiles: Sequence[float]) -> list[int]:
    """Indices of windows, the same in every call.

    Args:
        windows: windows (N, samples, 3) in g.
        quantiles: for each of them, the share of the windows with less motion.
    """
    import numpy as np

    from sslwear.data.arrays import motion

    rows = np.unique(np.linspace(0, len(windows) - 1, min(CANDIDATES, len(windows))).astype(int))
    order = rows[np.argsort(motion(windows[rows]), kind="stable")]
    return [int(order[int(quantile * (len(rows) - 1))]) for quantile in quantiles]


def check_figure_file(target: Path) -> None:
    """Check that a file name has an ending; matplotlib would add one, and write another file.

    Raises:
        SslwearError: when it has none.
    """
    from sslwear.errors import SslwearError

    if not target.suffix:
        raise SslwearError(f"--out {target}: has no ending. Give a file such as x.png")


def save_figure(figure: Figure, target: Path) -> None:
    """Write a figure in the format of the file's ending.

    Raises:
        SslwearError: when the file cannot be written.
    """
    from sslwear.errors import SslwearError

    try:
        figure.savefig(target, dpi=130)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SslwearError(f"--out {target}: cannot be written ({reason}). Give a file such as x.png") from error
