"""Means over participants with bootstrap intervals, and paired differences between two models on the same people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95
RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """A mean over participants.

    Attributes:
        mean: over those for whom the score is defined; NaN when there is none.
        sd: sample standard deviation between them; NaN when there are fewer than two.
        low: lower end of the 95 % bootstrap interval of the mean; NaN when there are fewer than two.
        high: upper end.
        participants: how many the mean is over.
    """

    mean: float
    sd: float
    low: float
    high: float
    participants: int

    def __str__(self) -> str:
        if self.participants < 2:
            return f"{self.mean:.3f} (one participant)" if self.participants else "undefined"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Difference:
    """How much better one model is than another on the same participants.

    Attributes:
        interval: of the mean difference, the first model's score less the second's.
        p: two-sided p-value of Wilcoxon's signed-rank test; NaN when there are fewer than two participants.
    """

    interval: Interval
    p: float


def interval(scores: ArrayLike) -> Interval:
    """Mean of a score over participants, with the percentile bootstrap over participants (always the same resamples).

    Args:
        scores: one a participant (n,); those that are NaN, undefined for that participant, are left out.
    """
    values = np.asarray(scores, float)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return Interval(np.nan, np.nan, np.nan, np.nan, 0)
    if len(values) == 1:
        return Interval(float(values[0]), np.nan, np.nan, np.nan, 1)
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="percentile", rng=0
    ).confidence_interval
    return Interval(float(values.mean()), float(values.std(ddof=1)), float(found.low), float(found.high), len(values))


def difference(first: pd.Series[float], second: pd.Series[float]) -> Difference:
    """Compare two models by a score on the participants for whom both have one.

    Args:
        first: scores by participant.
        second: the other model's.
    """
    each = (first - second).dropna()
    found = interval(each.to_numpy())
    p = float(stats.wilcoxon(each).pvalue) if len(each) > 1 and (each != 0).any() else np.nan
    return Difference(found, 1.0 if len(each) > 1 and not (each != 0).any() else p)
