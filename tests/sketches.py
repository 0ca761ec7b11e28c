"""Pictures that are not drawn, which saves a good part of a small study's time."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from sslwear.studies.results import summary


def sketch(figure: Figure, path: Path | StringIO, **_: Any) -> None:
    """Write an empty picture in the place of a figure's."""
    if isinstance(path, StringIO):
        path.write("<svg></svg>")
    else:
        path.write_bytes(b"")


def leave_out_pictures(patch: pytest.MonkeyPatch) -> None:
    """Write empty pictures, and an empty page of a study, until the patch is undone."""
    patch.setattr(Figure, "savefig", sketch)
    patch.setattr(summary, "study_page", lambda *_: "")
