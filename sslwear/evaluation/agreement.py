"""Agreement of predicted with labelled minutes of participants: bias, limits of agreement and correlations.

Bland and Altman, Statistical Methods in Medical Research 1999, 8:135. A participant is one observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sslwear.evaluation.intervals import FEWEST, LEVEL

SPREAD = float(stats.norm.ppf(0.975))
"""Standard deviations between the bias and a limit of agreement, within which 95 % of differences are: 1.96."""


PARTICIPANT, LABEL, PREDICTED, LABELLED = "participant", "label", "predicted", "labelled"
ALL = "all"
"""The group of all participants."""


@dataclass(frozen=True)
class LabelComparison:
    """Predictions beside labels.

    Attributes:
        class_names: names of the classes that are compared.
        minutes: one row for each participant and class: ``participant``, ``label``, ``predicted`` and ``labelled``
            minutes.
        unit: what the minutes are of, for titles.
        counts: windows of each participant by true class (rows) and predicted class (columns); empty without
            intervals.
        scores: scores of each participant over windows (index: the participants); None without intervals.
        notes: what was left out or could not be matched, one sentence each.
    """

    class_names: tuple[str, ...]
    minutes: pd.DataFrame
    unit: str
    counts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    scores: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def participants(self) -> list[str]:
        """Participants with predictions and labels."""
        return list(dict.fromkeys(self.minutes[PARTICIPANT]))

    def with_notes(self, notes: Sequence[str]) -> LabelComparison:
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True)
class Group:
    """Some of the participants.

    Attributes:
        by: column of the table of people; empty for all participants.
        name: value of the column, or `ALL`.
        participants: names of the participants.
    """

    by: str
    name: str
    participants: tuple[str, ...]

    @property
    def title(self) -> str:
        """Title of the group."""
        return f"{self.by}: {self.name}" if self.by else "All participants"

    def of(self, table: pd.DataFrame, label: str) -> pd.DataFrame:
        """Rows of these participants and a class in a table of minutes."""
        return table[table[PARTICIPANT].isin(self.participants) & (table[LABEL] == label)]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % confidence interval.

    Attributes:
        value: the number; NaN if it is undefined.
        low: lower limit; NaN if it is undefined or there are fewer than `FEWEST` participants.
        high: upper limit.
    """

    value: float
    low: float = np.nan
    high: float = np.nan

    def text(self, form: str = "+.1f") -> str:
        """The number with its interval, where it is known.

        Args:
            form: format of each number.
        """
        if np.isnan(self.value):
            return "undefined"
        interval = "" if np.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.value:{form}}{interval}"


@dataclass(frozen=True)
class Agreement:
    """Agreement of predicted with labelled minutes of one class.

    Attributes:
        participants: number of participants.
        predicted: mean of the predicted minutes.
        labelled: mean of the labelled minutes.
        bias: mean difference, predicted minus labelled.
        sd: standard deviation of the differences; NaN with one participant.
        lower: lower limit of agreement, bias - 1.96 sd.
        upper: upper limit of agreement.
        correlation: Pearson's correlation.
        concordance: Lin's concordance correlation coefficient.
    """

    participants: int
    predicted: float
    labelled: float
    bias: Estimate
    sd: float
    lower: Estimate
    upper: Estimate
    correlation: Estimate
    concordance: Estimate


def agreement(predicted: ArrayLike, labelled: ArrayLike) -> Agreement:
    """Agreement of two measurements of the same participants.

    The interval of the bias is a t interval. Those of the limits of agreement are exact for normal differences, by the
    non-central t distribution (Carkeet, Optometry and Vision Science 2015, 92:e71). There are no intervals with fewer
    than `FEWEST` participants.

    Args:
        predicted: predicted minutes of each participant (n,), n > 0.
        labelled: labelled minutes of each participant (n,).
    """
    x, y = np.asarray(predicted, float), np.asarray(labelled, float)
    difference = x - y
    count, bias = len(x), float(difference.mean())
    sd = float(difference.std(ddof=1)) if count > 1 else np.nan
    return Agreement(
        count,
        float(x.mean()),
        float(y.mean()),
        _quantile(bias, sd, count, 0.0),
        sd,
        _quantile(bias, sd, count, -SPREAD),
        _quantile(bias, sd, count, SPREAD),
        correlation(x, y),
        concordance(x, y),
    )


def by_class(found: LabelComparison, group: Group) -> dict[str, Agreement]:
    """Agreement of each class in a group of participants; classes without participants are left out."""
    rows = {name: group.of(found.minutes, name) for name in found.class_names}
    return {name: agreement(mine[PREDICTED], mine[LABELLED]) for name, mine in rows.items() if len(mine)}


def _quantile(mean: float, sd: float, count: int, spread: float) -> Estimate:
    """The quantile mean + spread * sd of normal differences; with spread 0 the mean and its t interval."""
    value = mean + spread * sd if spread else mean
    if count < FEWEST:
        return Estimate(value)
    if sd == 0:
        return Estimate(value, value, value)
    root = np.sqrt(count)
    low, high = stats.nct.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], count - 1, spread * root)
    return Estimate(value, mean + float(low) * sd / root, mean + float(high) * sd / root)


def correlation(x: NDArray[np.floating], y: NDArray[np.floating]) -> Estimate:
    """Pearson's correlation, with an interval by Fisher's transform; undefined if one measurement does not vary."""
    if len(x) < 3 or _constant(x) or _constant(y):
        return Estimate(np.nan)
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    return _fisher(r, float(1 / np.sqrt(len(x) - 3)) if len(x) > 3 else np.nan, len(x))


def concordance(x: NDArray[np.floating], y: NDArray[np.floating]) -> Estimate:
    """Lin's concordance correlation coefficient, with an interval by Fisher's transform.

    Lin, Biometrics 1989, 45:255, with the corrected variance of Biometrics 2000, 56:324. The interval is for many
    participants; of 10 it held the truth in 92 % of simulations, not in 95 %. The coefficient is 1 only where both
    measurements are equal, and undefined if both do not vary and are equal. Where Pearson's correlation is undefined or
    0, the interval is unknown.
    """
    if len(x) < 3:
        return Estimate(np.nan)
    shift = float(x.mean() - y.mean())
    both = float(x.var() + y.var()) + shift**2
    if both == 0 or (_constant(x) and _constant(y)):
        return Estimate(np.nan if both == 0 else 0.0)
    c = float(np.clip(2 * np.mean((x - x.mean()) * (y - y.mean())) / both, -1, 1))
    if _constant(x) or _constant(y):
        return Estimate(0.0)
    r, u2 = float(np.corrcoef(x, y)[0, 1]), shift**2 / float(x.std() * y.std())
    if r == 0 or abs(c) == 1:
        return _fisher(c, np.nan if r == 0 else 0.0, len(x))
    left = 1 - c**2
    variance = (1 - r**2) * c**2 / (left * r**2) + 2 * c**3 * (1 - c) * u2 / (r * left**2)
    variance -= c**4 * u2**2 / (2 * r**2 * left**2)
    return _fisher(c, float(np.sqrt(max(variance, 0) / (len(x) - 2))), len(x))


def _fisher(value: float, error: float, count: int) -> Estimate:
    """An estimate with the standard error of its inverse hyperbolic tangent."""
    if count < FEWEST or np.isnan(error):
        return Estimate(value)
    if abs(value) == 1:
        return Estimate(value, value, value)
    centre, half = np.arctanh(value), stats.norm.ppf((1 + LEVEL) / 2) * error
    return Estimate(value, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def _constant(values: NDArray[np.floating]) -> bool:
    """Whether the values do not vary, apart from rounding."""
    return bool(np.ptp(values) <= 1e-9 * max(1.0, float(np.abs(values).max())))
