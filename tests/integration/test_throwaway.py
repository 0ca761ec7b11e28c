"""A study with two workers on a throwaway PostgreSQL and MLflow server, as `make study-postgres` has them."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.throwaway import MissingError, postgres_programs

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 300


@pytest.mark.slow
def test_two_workers_run_a_study_on_both_servers_which_are_stopped_then(
    content: dict[str, Any], tmp_path: Path
) -> None:
    try:
        postgres_programs()
    except MissingError as missing:
        pytest.skip(str(missing))
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**content, "trials": 4}))
    sslwear = shlex.join([sys.executable, "-m", "sslwear"])
    commands = f"{sslwear} study run {shlex.quote(str(file))} --workers 2 && {sslwear} study check tiny"
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "throwaway.py"), "sh", "-c", commands],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ports = re.match(r"PostgreSQL on port (\d+), MLflow on http://127\.0\.0\.1:(\d+)\n", done.stdout)
    assert ports is not None, done.stdout
    assert "Trials: 4 finished" in done.stdout
    assert "Both stores agree." in done.stdout
    for port in ports.groups():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0
