"""Number of parallel jobs, and errors of the ``sslwear data`` commands."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import pytest
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.utils import processes


@pytest.mark.parametrize(
    ("cores", "memory_gb", "limit", "gigabytes", "expected"),
    [
        (4, 64, "max", 0.7, 4),
        (64, 8, "max", 0.7, 11),
        (64, 64, "4000000000", 0.7, 5),
        (64, 2, "4000000000", 0.7, 2),
        (8, 1, "max", 2.5, 1),
        (8, 64, None, 2.5, 8),
    ],
)
def test_as_many_fit_as_the_process_has_cores_and_memory_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    memory_gb: int,
    limit: str | None,
    gigabytes: float,
    expected: int,
) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    pages = {"SC_PAGE_SIZE": 4000, "SC_PHYS_PAGES": memory_gb * 250_000}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(processes, "MEMORY_LIMITS", (tmp_path / "memory.max",))
    assert processes.max_parallel_jobs(gigabytes) == expected


@pytest.mark.parametrize(("command", "size"), [("prepare", "0.7 GB"), ("import", "0.5 GB")])
def test_the_number_of_jobs_is_explained_in_the_help(command: str, size: str) -> None:
    result = CliRunner().invoke(app, ["data", command, "--help"], terminal_width=200, env={"COLUMNS": "200"})
    assert f"by default as many as the process has cores and memory for, at {size} each" in result.output


@pytest.mark.parametrize("option", [["--window", "0.01"], ["--window", "10", "--step", "0.001"]])
def test_windows_that_are_too_short_are_one_sentence(tmp_path: Path, option: list[str]) -> None:
    for name in ("anna.csv", "ben.csv"):
        (tmp_path / name).touch()
    files = [str(tmp_path / name) for name in ("anna.csv", "ben.csv")]
    result = CliRunner().invoke(app, ["data", "import", *files, "--out", str(tmp_path / "out"), *option])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "is too short; at 30 Hz" in result.stderr
