"""Plug-ins of another installed package are found, and its tests can run the contracts."""

import os
import re
import subprocess
import sys
from pathlib import Path

MODULE = """
import numpy as np
import torch

from sslwear.evaluation.baselines.base import Baseline
from sslwear.pretext.base import TransformTask


class Noise(TransformTask):
    name = "outside_noise"
    title = "Was noise added to this window?"

    def transforms(self):
        return {"noise": lambda x, generator: x + 0.5 * torch.randn(x.shape, generator=generator)}


class First(Baseline):
    name = "outside_first"

    def predict(self, train, validation, test, classes, seed):
        return np.zeros(len(test), np.int64)
"""
TESTS = """
import torch

from outside import First, Noise
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.pretext.base import get as get_pretext
from sslwear.testing.baselines import BaselineContract
from sslwear.testing.pretext import PretextTaskContract
from sslwear.utils.plugins import identity


class TestNoise(PretextTaskContract):
    task = Noise


class Silent(Noise):
    name = "outside_silent"

    def transforms(self):
        return {"noise": lambda x, generator: x + 0 * torch.randn(x.shape, generator=generator)}


class TestSilent(PretextTaskContract):
    task = Silent


class TestFirst(BaselineContract):
    baseline = First


def test_both_are_found():
    assert get_pretext("outside_noise") is Noise
    assert get_baseline("outside_first") is First
    assert identity(Noise) == identity(First) == "outside==0.3"
"""


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_outside.py"]
    path = os.pathsep.join([str(folder), str(Path(__file__).resolve().parents[2])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def test_a_package_with_entry_points_runs_the_contract(tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(MODULE)
    (tmp_path / "test_outside.py").write_text(TESTS)
    info = tmp_path / "outside-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text(
        "[sslwear.pretext]\noutside_noise = outside:Noise\n"
        "[sslwear.evaluation.baselines]\noutside_first = outside:First\n"
    )
    done = run_tests(tmp_path)
    assert done.returncode == 1, done.stdout[-3000:]
    failed = set(re.findall(r"^FAILED test_outside\.py::(\w+)::(\w+)", done.stdout, re.MULTILINE))
    assert ("TestSilent", "test_something_is_learnt_from_it") in failed
    assert {name for name, _ in failed} == {"TestSilent"}, done.stdout[-3000:]
    assert re.search(r"\d+ passed", done.stdout)
