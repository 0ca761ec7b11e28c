"""Scores by class of the methods of an evaluation, as a part of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sslwear.evaluation.comparison import Summary
from sslwear.reports.report_text import code

ERRORS_NAMED = 3
"""Number of errors that are named."""


def f1_by_class(confusion: pd.DataFrame) -> pd.Series[float]:
    """F1 of each class over all windows; NaN for a class that is neither true nor predicted.

    Args:
        confusion: number of windows by true class (index) and predicted class (columns), in the same order.
    """
    right = np.diag(confusion)
    return pd.Series(right, confusion.index, dtype=float) * 2 / (confusion.sum(axis=1) + confusion.sum(axis=0))


def class_section(confusions: Mapping[str, pd.DataFrame], ranked: Sequence[Summary]) -> list[str]:
    """Parts of a report in Markdown: F1 by class and method, and the most frequent errors of the best method.

    Args:
        confusions: confusions by method, see `f1_by_class`.
        ranked: the methods, the best first; those without confusions are left out.
    """
    methods = [one for one in ranked if one.method in confusions]
    if not methods:
        return []
    best = confusions[methods[0].method]
    scores = [f1_by_class(confusions[one.method]) for one in methods]
    windows = best.sum(axis=1)
    lines = [
        f"| class | share of windows | {' | '.join(code(one.label) for one in methods)} |",
        "|---|---|" + "---|" * len(methods),
    ]
    for one in windows.index:
        cells = ["" if np.isnan(found[one]) else f"{found[one]:.3f}" for found in scores]
        lines.append(f"| {code(one)} | {windows[one] / windows.sum():.1%} | {' | '.join(cells)} |")
    how = "F1 of each class over the windows of all test participants, folds and seeds together."
    return ["## Scores by class", f"{how} {_errors(best, methods[0].label)}", "\n".join(lines)]


def _errors(confusion: pd.DataFrame, method: str) -> str:
    """The most frequent errors of a method, in a sentence."""
    counts, names = confusion.to_numpy(copy=True), list(confusion.index)
    np.fill_diagonal(counts, 0)
    if not counts.any():
        return f"`{method}` made no error."
    most = np.argsort(-counts, axis=None, kind="stable")[:ERRORS_NAMED]
    named = [
        f"`{names[true]}` predicted as `{names[predicted]}` ({counts[true, predicted] / counts.sum():.0%})"
        for true, predicted in zip(*np.unravel_index(most, counts.shape), strict=True)
        if counts[true, predicted]
    ]
    return f"The most frequent errors of `{method}`, with their share of all: {', '.join(named)}."
