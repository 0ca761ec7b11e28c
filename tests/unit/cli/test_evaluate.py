"""What is printed of an evaluation."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from sslwear.cli.evaluate import print_evaluation
from tests.unit.evaluation.test_comparison import results


@pytest.mark.parametrize("objective", ["kappa", "f1"])
def test_methods_are_compared_by_the_objective(objective: str) -> None:
    """F1 differs by 0.2 and between seeds, kappa by 0.3 and not between seeds."""
    frame = results({"a": {1: [0.2] * 6, 2: [0.3] * 6}, "b": {1: [0.4] * 6, 2: [0.5] * 6}})
    frame["kappa"] = np.where(frame["method"] == "a", 0.1, 0.4)
    text = StringIO()
    print_evaluation(Console(file=text, width=200), frame, objective)
    lines = text.getvalue().splitlines()
    (row,) = [line.split() for line in lines if line.startswith("b ")]
    difference, spread = {"kappa": ("+0.300", "0.000"), "f1": ("+0.200", "0.071")}[objective]
    assert difference in row
    assert row[row.index(difference) - 1] == spread
    assert f"seed sd: standard deviation of the seeds' means, in {objective}." in lines
    assert any(line.startswith(f"Differences are in {objective} from 'a' on the same participants.") for line in lines)
