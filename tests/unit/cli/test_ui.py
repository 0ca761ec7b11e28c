"""How to browse a store."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import sslwear
from sslwear.cli.ui import ui_command
from sslwear.tracking import Store


def test_make_is_named_only_in_the_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cast("Store", SimpleNamespace(tracking_uri="sqlite:////store/mlflow.db"))
    monkeypatch.chdir(Path(sslwear.__file__).parents[1])
    assert ui_command(store) == "make ui (or sslwear ui)"
    monkeypatch.chdir(tmp_path)
    assert ui_command(store) == "sslwear ui"
