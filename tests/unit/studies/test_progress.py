"""Progress: scores as text, and its lines in a file or pipe."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from sslwear.studies.setup.progress import ConsoleProgress, beside_chance
from sslwear.training import EpochRecord


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as an element that a test changes."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_study_prints_a_line_when_a_trial_starts_and_ends(clock: list[float]) -> None:
    file = io.StringIO()
    progress = ConsoleProgress(Console(file=file, width=40), epochs=False)
    with progress:
        progress.study("tiny", 2, 12)
        for number, seconds in ((2, 60.0), (3, 7140.0)):
            progress.trial(f"#{number} head")
            progress.started("head", 8)
            progress.epoch(EpochRecord(1, 0.5, 0.4, {"kappa": 0.1}, {}, 1.0), "kappa")
            clock[0] += seconds
            progress.ended(f"#{number} head", "finished", 0.8126)
        clock[0] += 1
        progress.ended("#4 head", "failed", None)
    assert file.getvalue().splitlines() == [
        "2 of 12 were finished before",
        "#2 head: started",
        "#2 head: finished, 0.813 (3 of 12, about 9 min left)",
        "#3 head: started",
        "#3 head: finished, 0.813 (4 of 12, about 8.0 h left)",
        "#4 head: failed (5 of 12, about 4.7 h left)",
    ]


def test_what_was_finished_before_is_left_out_where_workers_said_it() -> None:
    file = io.StringIO()
    with ConsoleProgress(Console(file=file), epochs=False, before=False) as progress:
        progress.study("tiny", 12, 12)
    assert file.getvalue() == ""


def test_a_single_training_prints_a_line_for_each_epoch(clock: list[float]) -> None:
    file = io.StringIO()
    with ConsoleProgress(Console(file=file), epochs=True) as progress:
        progress.started("head lr=1e-3", 3)
        for epoch in (1, 2, 3):
            clock[0] += 2
            progress.epoch(EpochRecord(epoch, 0.5, 0.4, {"kappa": 0.1}, {}, 2.0), "kappa")
    lines = file.getvalue().splitlines()
    assert lines[0] == "head lr=1e-3: started, at most 3 epochs"
    assert [line.rpartition("kappa 0.100, 2.0 s")[2] for line in lines[1:]] == [
        ", at most 4 s left",
        ", at most 2 s left",
        "",
    ]


def test_a_terminal_prints_no_line_when_a_trial_starts() -> None:
    file = io.StringIO()
    with ConsoleProgress(Console(file=file, force_terminal=True, width=200), epochs=False) as progress:
        progress.study("tiny", 0, 2)
        progress.trial("#0 head")
        progress.ended("#0 head", "finished", 0.5)
    assert "started" not in file.getvalue()
    assert "#0 head: finished, 0.500 (1 of 2, about " in file.getvalue()


def test_a_score_is_shown_beside_the_score_of_chance() -> None:
    assert beside_chance({"kappa": 0.5, "f1": 0.25}, "kappa") == "kappa 0.500"
    assert beside_chance({"r2": 0.8125, "chance": 0.0}, "r2") == "r2 0.812 (chance 0.000)"
