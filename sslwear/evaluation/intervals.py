"""Means over participants with bootstrap intervals, and paired differences between two models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from sslwear.utils.words import count

LEVEL = 0.95
RESAMPLES = 9999
FEWEST = 5
"""Fewest participants for an interval. Resamples of fewer give little more than the smallest and the largest score."""
DECIMALS = 12
"""Decimals of a difference that Wilcoxon's test sees. Participants with equally many windows often have equal
differences, and rounding errors would rank these by chance."""
TOO_FEW = f"Fewer than {FEWEST} participants are too few for an interval."


@dataclass(frozen=True)
class Interval:
    """Mean of a score over participants, with a bootstrap interval if there are enough participants.

    Attributes:
        mean: mean over the participants with a score; NaN if there are none.
        sd: sample standard deviation; NaN if there are fewer than two participants.
        low: lower limit of the 95 % bootstrap interval of the mean; NaN if there are fewer than `FEWEST` participants.
        high: upper limit.
        participants: number of participants with a score.
    """

    mean: float
    sd: float
    low: float
    high: float
    participants: int

    def __str__(self) -> str:
        return self.text()

    @property
    def known(self) -> bool:
        """Whether there are enough participants for limits."""
        return self.participants >= FEWEST

    def text(self, sign: str = "", spread: bool = False) -> str:
        """Mean with limits, or with the number of participants if they are too few for limits.

        Args:
            sign: ``+`` writes the sign of positive numbers too.
            spread: whether to write the standard deviation after the mean.
        """
        if not self.participants:
            return "undefined"
        mean = f"{self.mean:{sign}.3f}" + (f" ± {self.sd:.3f}" if spread and self.participants > 1 else "")
        if not self.known:
            return f"{mean} ({count(self.participants, 'participant')})"
        return f"{mean} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"


@dataclass(frozen=True)
class Difference:
    """Paired difference between the scores of two models on the same participants.

    Attributes:
        interval: mean difference, the first model's score minus the second's, with its interval.
        p: two-sided p-value of Wilcoxon's signed-rank test; NaN if there are fewer than two participants.
    """

    interval: Interval
    p: float


def interval(scores: ArrayLike) -> Interval:
    """Mean of a score over participants with a percentile bootstrap interval; the resamples are always the same.

    Args:
        scores: score of each participant (n,); NaN, an undefined score, is left out.
    """
    values = np.asarray(scores, float)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return Interval(np.nan, np.nan, np.nan, np.nan, 0)
    sd = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    if len(values) < FEWEST:
        return Interval(float(values.mean()), sd, np.nan, np.nan, len(values))
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="percentile", rng=0
    ).confidence_interval
    return Interval(float(values.mean()), sd, float(found.low), float(found.high), len(values))


def p_text(p: float) -> str:
    """A p-value with three decimals."""
    if np.isnan(p):
        return "undefined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def difference(first: pd.Series[float], second: pd.Series[float]) -> Difference:
    """Paired difference of a score on the participants for whom both models have one.

    Args:
        first: scores of the first model by participant.
        second: scores of the second model by participant.
    """
    each = (first - second).dropna()
    found = interval(each.to_numpy())
    ranked = each.round(DECIMALS)
    differing = ranked[ranked != 0]  # with zeros SciPy gives up the exact test, also where few differences remain
    p = float(stats.wilcoxon(differing).pvalue) if len(differing) else 1.0
    return Difference(found, p if len(each) > 1 else np.nan)
