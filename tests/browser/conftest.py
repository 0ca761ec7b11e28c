"""A real browser, without a window, against the real user interface on a tiny study's store.

The fixtures last for the session, so that every test of the pages shares one study and one server. `page` opens a fresh
profile each time; ask for `ui` to know the server's address and what the command printed, and for `studied` to know
what must be shown.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
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

from sslwear.config import Settings, parse
from sslwear.studies.optimise import run_study
from sslwear.studies.progress import ProgressCallback
from sslwear.tracking import HOME_VARIABLE, Store
from tests.conftest import heed_signals, store_at
from tests.integration.conftest import tiny_content

COMMAND = [sys.executable, "-c", "from sslwear.cli.app import main; main()"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000
"""How long a page may take where two cores do everything at once."""
NO_ASSISTANT = """
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
"""


@dataclass(frozen=True)
class Ui:
    """The running user interface."""

    address: str
    lines: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium: what is on the PATH, or what Playwright has installed for itself."""
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
    """An empty page of a visitor who was never here before. Never wait for network idle on it: MLflow keeps asking."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.add_init_script(NO_ASSISTANT)
    context.set_default_timeout(PATIENCE_MS)
    context.set_default_navigation_timeout(PATIENCE_MS)
    opened = context.new_page()
    yield opened
    context.close()


@pytest.fixture(scope="session")
def studied(
    small_folder: Path, empty_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[optuna.Study, Store]:
    """A finished tiny study, and its store."""
    home = tmp_path_factory.mktemp("browser") / "mlruns"
    shutil.copytree(empty_home, home)
    store = store_at(home)
    settings: Settings = parse(tiny_content(small_folder), "the test")
    return run_study(settings, store, ProgressCallback()), store


@pytest.fixture(scope="session")
def ui(studied: tuple[optuna.Study, Store]) -> Iterator[Ui]:
    """``sslwear ui`` as a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "ui", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
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
    """Whether a server answers there."""
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
