"""Shared by all tests: real recordings cut small, and stores in temporary folders."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings as hypothesis_settings

from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.studies.database.optuna_storage import open_storage
from sslwear.tracking import HOME_VARIABLE, STORAGE_VARIABLE, Store
from sslwear.utils import interrupts, plugins

if "PYTEST_XDIST_WORKER" in os.environ:  # workers, and the processes that their tests start, share the cores out
    os.environ.update(OMP_NUM_THREADS="1", LOKY_MAX_CPU_COUNT="1")
    torch.set_num_threads(1)

# Databases wait for the disk at each commit, a third of the time of many tests. In memory they do not.
MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 8e9


def _runs_nothing(folder: Path) -> bool:
    """Whether programs in a folder cannot be started; some tests write one."""
    return bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)


if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED and not _runs_nothing(MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

hypothesis_settings.register_profile("suite", deadline=None, max_examples=40, derandomize=True)
hypothesis_settings.load_profile("suite")

SMALL_CLASSES = ("abduction", "pendulum", "upright row")
SMALL_PARTICIPANTS = (1, 2, 5, 6, 7, 8)


@pytest.fixture(autouse=True)
def _no_outside_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own stores out of the tests."""
    for name in ("MLFLOW_TRACKING_URI", HOME_VARIABLE, STORAGE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the plug-in files that a test loads."""
    monkeypatch.setattr(plugins, "_files", dict(plugins._files))


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """Put back how signals are handled, which a command that is called within the tests changes for good."""
    before = {number: signal.getsignal(number) for number in interrupts.TERMINATION_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def smartwatch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smart-watch recordings in 10 s windows: 770 of them."""
    folder = tmp_path_factory.mktemp("smartwatch") / "data"
    prepare(Smartwatch(), folder)
    return folder


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real recordings cut small, for harnet5: 5 s windows, 6 participants, 3 exercises, 10 windows of each a person."""
    base = tmp_path_factory.mktemp("small")
    prepare(Smartwatch(), base / "all", WindowPlan(window_s=5, step_s=5))
    whole = open_dataset(base / "all")
    names = np.array(whole.class_names)[whole.labels]
    chosen = [
        rows[:10]
        for pid in SMALL_PARTICIPANTS
        for name in SMALL_CLASSES
        if len(rows := np.flatnonzero((whole.pid == pid) & (names == name)))
    ]
    rows = np.concatenate(chosen)
    description = Description(
        name="small", source=Smartwatch.title, rate_hz=30, window_s=5, step_s=5, class_names=SMALL_CLASSES
    )
    write_dataset(
        base / "data", np.array(whole.windows[rows]), names[rows], whole.pid[rows], whole.start[rows], description
    )
    return base / "data"


@pytest.fixture(scope="session")
def small(small_folder: Path) -> Dataset:
    """`small_folder`, opened."""
    return open_dataset(small_folder)


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's folder with empty databases, made once because making their tables takes seconds."""
    home = tmp_path_factory.mktemp("home")
    store = store_at(home)
    store.client.search_experiments()
    open_storage(store)
    return home


@pytest.fixture
def store(empty_home: Path, tmp_path: Path) -> Store:
    """An empty store of one test's own."""
    home = tmp_path / "mlruns"
    shutil.copytree(empty_home, home)
    return store_at(home)


@pytest.fixture(scope="session")
def shared_recordings() -> Path:
    """Folder of larger real recordings, outside of the project; tests that want it are skipped where it is absent."""
    folder = Path(os.environ.get("SSLWEAR_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"there are no larger recordings in {folder}; set SSLWEAR_TEST_DATA to their folder")
    return folder


def store_at(home: Path) -> Store:
    """The embedded store in a folder."""
    return Store(home, f"sqlite:///{home / 'mlflow.db'}", f"sqlite:///{home / 'optuna.db'}")
