"""Scores by class in a report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from sslwear.evaluation.comparison import Summary, summaries
from sslwear.reports.class_scores import class_section, f1_by_class
from sslwear.training.metrics import confusion
from tests.unit.evaluation.test_comparison import results

NAMES = ("=walk", "sit | lie", "1")


def confusion_of(truth: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(confusion(truth, predicted, len(NAMES)), NAMES, NAMES)


def ranked(*names: str) -> list[Summary]:
    """Methods of these names, in this order."""
    return summaries(results({name: {1: [0.5]} for name in names}))


def test_f1_by_class_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(3, size=200), rng.integers(3, size=200)
    found = f1_by_class(confusion_of(truth, predicted))
    assert found.to_numpy() == pytest.approx(f1_score(truth, predicted, average=None))


def test_the_section_has_the_methods_by_rank_and_the_errors_of_the_best() -> None:
    truth = np.array([0] * 6 + [1] * 3)
    best = confusion_of(truth, np.array([0] * 3 + [1] * 3 + [0] + [1] * 2))
    right = confusion_of(truth, truth)
    title, how, table = class_section({"right": right, "best": best}, ranked("best", "old", "right"))
    assert title == "## Scores by class"
    assert how == (
        "F1 of each class over the windows of all test participants, folds and seeds together. The most frequent "
        "errors of `best`, with their share of all: `=walk` predicted as `sit | lie` (75%), `sit | lie` predicted as "
        "`=walk` (25%)."
    )
    assert table.splitlines() == [
        "| class | share of windows | `best` | `right` |",
        "|---|---|---|---|",
        "| `=walk` | 66.7% | 0.600 | 1.000 |",
        r"| `sit \| lie` | 33.3% | 0.500 | 1.000 |",
        "| `1` | 0.0% |  |  |",
    ]
    assert class_section({"right": right}, ranked("right"))[1].endswith("`right` made no error.")
    assert class_section({}, ranked("old")) == []
