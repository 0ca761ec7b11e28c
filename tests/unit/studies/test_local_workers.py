"""How many workers share a machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from sslwear.cli.workers import number_of_workers
from sslwear.config import Settings, parse
from sslwear.errors import SettingsError
from sslwear.studies.workers import local_workers

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


def settings(**changes: object) -> Settings:
    """Settings of a study."""
    return parse({"study": "a", "data": "b", "search": {"tuning": ["all"]}, **changes}, "the test")


@pytest.mark.parametrize(
    ("cores", "cards", "changes", "expected"),
    [
        (2, 0, {}, 2),
        (1, 0, {}, 1),
        (64, 0, {}, 8),
        (8, 0, {"threads": 3}, 2),
        (2, 0, {"threads": 2}, 1),
        (64, 2, {}, 2),
        (64, 2, {"device": "cpu"}, 8),
        (2, 4, {}, 4),
    ],
)
def test_there_is_one_for_each_card_or_each_core(
    monkeypatch: pytest.MonkeyPatch, cores: int, cards: int, changes: dict[str, object], expected: int
) -> None:
    monkeypatch.setattr(local_workers.joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(local_workers, "cards", lambda: [str(card) for card in range(cards)])
    assert number_of_workers("auto", settings(**changes)) == expected
    assert number_of_workers("3", settings(**changes)) == 3


@pytest.mark.parametrize("text", ["0", "-1", "many", "", "²"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="Write a number from 1 on, or auto"):
        number_of_workers(text, settings())


def test_lines_in_another_encoding_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    real, told = subprocess.Popen, list[tuple[int, str]]()
    monkeypatch.setattr(
        local_workers.subprocess, "Popen", lambda _, **how: real(["printf", r"M\374nchen\nnext\n"], **how)
    )
    local_workers.run_workers([], 1, lambda worker, line: told.append((worker, line)))
    assert told == [(1, "M\ufffdnchen"), (1, "next")]


def test_workers_have_the_command_of_the_user_and_their_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    real, told = subprocess.Popen, list[str]()
    code = (
        "import os; from sslwear.tracking.provenance import provenance; from sslwear.utils.processes import "
        "THREADS_VARIABLE; print(provenance()['mlflow.source.name'], os.environ[THREADS_VARIABLE], sep='; ')"
    )
    monkeypatch.setattr(local_workers.joblib, "cpu_count", lambda: 4)
    monkeypatch.setattr(local_workers.subprocess, "Popen", lambda _, **how: real([sys.executable, "-c", code], **how))
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sslwear", "evaluate", "a.yaml", "--workers", "2"])
    local_workers.run_workers(["evaluate", "a.yaml", "--join"], 2, lambda _, line: told.append(line))
    assert told == ["sslwear evaluate a.yaml --workers 2; 2"] * 2


def test_workers_that_do_not_end_are_killed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_workers.ENDING_S < 10
    monkeypatch.setattr(local_workers, "ENDING_S", 1.0)
    workers = [subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "\n"  # it ignores the signal from now on
    start = time.monotonic()
    local_workers._end(workers)
    assert 1 <= time.monotonic() - start < 3  # one after another they would take 4 s
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL] * 4
    for worker in workers:
        worker.communicate()
