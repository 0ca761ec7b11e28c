"""Fixtures for tests of the MLflow UI in a headless browser, with the store of a tiny study.

All tests share one study and one server. `page` opens a new profile for each test, `ui` has the address of the server
and the output of the command, and `studied` has the study.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from deploy.throwaway import free_port
from sslwear.config import Settings, parse
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import HOME_VARIABLE, Store
from tests.commands import heed_signals
from tests.conftest import store_at
from tests.integration.conftest import tiny_content

COMMAND = [sys.executable, "-c", "from sslwear.cli.app import main; main()"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000
"""Timeout of a page on a machine with two busy cores."""


@dataclass(frozen=True)
class Ui:
    """A running ``sslwear ui``: its address and its output."""

    address: str
    lines: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium from the PATH or from Playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install '.[dev]'")
    on_path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        if on_path is None and not Path(own).exists():
            pytest.skip("there is no Chromium: install Debian's package chromium, or run 'playwright install chromium'")
        launched = playwright.chromium.launch(executable_path=on_path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page in a new profile. Do not wait for an idle network: MLflow sends requests all the time."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    context.set_default_navigation_timeout(PATIENCE_MS)
    opened = context.new_page()
    yield opened
    context.close()


@pytest.fixture(scope="session")
def studied(
    small_folder: Path, empty_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[optuna.Study, Store]:
    """A finished tiny study and its store."""
    home = tmp_path_factory.mktemp("browser") / "mlruns"
    shutil.copytree(empty_home, home)
    store = store_at(home)
    settings: Settings = parse(tiny_content(small_folder), "the test")
    return run_study(settings, store, ProgressCallback()), store


@pytest.fixture(scope="session")
def ui(studied: tuple[optuna.Study, Store]) -> Iterator[Ui]:
    """``sslwear ui`` in a separate process."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "ui", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, HOME_VARIABLE: str(studied[1].home)},
        preexec_fn=heed_signals,
    )
    found = Ui(f"http://127.0.0.1:{port}", [])
    reader = threading.Thread(target=_collect, args=(process, found.lines), daemon=True)
    reader.start()
    try:
        _wait_for(lambda: answers(f"{found.address}/health"), process)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        reader.join(timeout=10)


def answers(address: str) -> bool:
    """Whether a server answers at an address."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip("\n"))


def _wait_for(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert process.poll() is None, "sslwear ui ended by itself"
        assert time.monotonic() < deadline, "sslwear ui did not answer"
        time.sleep(0.3)
