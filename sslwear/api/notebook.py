"""Display in a terminal or notebook: progress, and figures where pyplot was not imported."""

# Imports of other parts stay inside functions, so that importing this module is fast.

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sslwear.studies.setup.progress import ProgressCallback

PNG_DPI = 90


@contextmanager
def progress_shown(shown: bool, epochs: bool) -> Iterator[ProgressCallback]:
    """Progress on a terminal or in a notebook; elsewhere, and if not `shown`, only warnings, which are logged."""
    from rich.console import Console

    from sslwear.studies.setup.progress import ConsoleProgress, ProgressCallback

    console = Console()
    if not shown or not (console.is_terminal or console.is_jupyter):
        yield ProgressCallback()
        return
    with ConsoleProgress(console, epochs) as progress:
        yield progress


def displayable(figure: Figure) -> Figure:
    """Let a notebook show the figure also where pyplot, which registers figures with it, was not imported."""
    setattr(figure, "_repr_png_", partial(_png, figure))  # noqa: B010 - not an attribute that matplotlib declares
    return figure


def _png(figure: Figure) -> bytes:
    from sslwear.reports.plain_text import any_letters

    content = io.BytesIO()
    with any_letters():
        figure.savefig(content, format="png", dpi=PNG_DPI)
    return content.getvalue()
