"""The real experiment, shrunk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sslwear.config import Settings, parse
from sslwear.deployment.promotion.promotion import promote
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Store
from sslwear.training import EpochRecord
from tests.conftest import store_at
from tests.sketches import leave_out_pictures


@pytest.fixture(scope="module")
def content(small_folder: Path) -> dict[str, Any]:
    """A study file that takes seconds."""
    return tiny_content(small_folder)


def tiny_content(small_folder: Path) -> dict[str, Any]:
    """A study file on a folder of small recordings."""
    return {
        "study": "tiny",
        "data": str(small_folder),
        "encoder": "cnn5",
        "trials": 3,
        "split": {"test": 0.2, "validation": 0.25},
        "training": {"tuning": "head", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 2},
        "pretraining": {"max_epochs": 1},
        "search": {
            "tuning": ["head", "layer5"],
            "learning_rate": {"low": 1e-3, "high": 1e-2},
            "pretext": ["none", "reverse"],
        },
        "pruner": {"name": "none"},
    }


@pytest.fixture
def home(empty_home: Path, tmp_path: Path) -> Callable[[str], Store]:
    """New stores by name."""

    def make(name: str) -> Store:
        shutil.copytree(empty_home, tmp_path / name)
        return store_at(tmp_path / name)

    return make


@pytest.fixture(scope="module")
def make(content: dict[str, Any]) -> Callable[..., Settings]:
    """Settings of the small study, with some replaced."""
    return lambda **changes: parse({**content, **changes}, "the test")


@pytest.fixture(scope="module")
def studied(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a finished study in which each trial differs from the others."""
    home = tmp_path_factory.mktemp("studied") / "mlruns"
    shutil.copytree(empty_home, home)
    training = {"tuning": "head", "learning_rate": 1e-2, "batch_size": 16, "max_epochs": 10}
    search = {"learning_rate": {"low": 1e-7, "high": 1e-2}}
    run_study(make(training=training, search=search, trials=3), store_at(home), ProgressCallback())
    return home


@pytest.fixture(scope="module")
def promoted(studied: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store in which the winner is the champion, for tests that leave it as it is."""
    home = tmp_path_factory.mktemp("promoted") / "mlruns"
    shutil.copytree(studied, home)
    promote("tiny", store_at(home))
    return store_at(home)


class Hearing(ProgressCallback):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Keep one."""
        self.warnings.append(text)


class Interrupting(ProgressCallback):
    """A user who presses Ctrl-C after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def epoch(self, record: EpochRecord, headline: str) -> None:
        """Count down."""
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def statuses(store: Store, name: str = "tiny") -> dict[str, list[str]]:
    """Statuses of an experiment's runs by kind, oldest first."""
    found: dict[str, list[str]] = {}
    for run in reversed(store.search_runs([store.experiment(name)])):
        found.setdefault(run.data.tags["sslwear.kind"], []).append(run.info.status)
    return found


@pytest.fixture
def drawn() -> None:
    """Asked for by a test that looks at pictures."""


@pytest.fixture(autouse=True)
def _sketched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out pictures where a test looks at something else; those of a module's finished study are drawn."""
    if "drawn" not in request.fixturenames:
        leave_out_pictures(monkeypatch)
