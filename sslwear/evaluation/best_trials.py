"""Trials that cannot be told from the best one: multiple comparisons with the best, paired over participants.

The table of scores is that of `sslwear.evaluation.selection`.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray

from sslwear.evaluation.intervals import FEWEST

FEWEST_FLIPS, MOST_FLIPS = 40, 10_000
COMPARISONS = 4_000_000_000
"""Flips times pairs of trials. Above 632 trials, flips become fewer, so that the time stays at a few seconds. With the
fewest, one flip in 40 is still less than the level of 0.05."""
AT_ONCE = 1 << 16
"""Number of values that are compared at once, few enough for the processor's cache."""
ROWS = 64
"""Number of trials whose distances from all others are computed at once."""
CLOSE = 1e-5
"""Share of the largest squared length below which a squared distance is computed from the differences: rounding would
change it otherwise."""
HIGHEST = 32
"""Number of trials with the highest sums of a flip. If one of them suffices, the others need not be compared."""
SAME = 1e-6
"""Trials are the same where the root of the sum of squared differences is not larger."""
TOLERANCE = 1e-9


def candidates(scores: pd.DataFrame, level: float = 0.05) -> list[int]:
    """Trials that cannot be told from the best one, the one with the best mean first.

    These are multiple comparisons with the best (Hsu, Annals of Statistics 1981, 9:1026, and 1984, 12:1136), paired
    over participants. For each trial, the largest paired t of the differences of all other trials from it is compared
    with its distribution when the differences of whole participants change their signs. All trials change signs
    together, which keeps their correlation and accounts for their number (Westfall and Young, Resampling-based Multiple
    Testing, 1993; Winkler et al., NeuroImage 2014, 92:381). A trial is out if another one has a better mean and the
    share of flips with a t at least as large is below the level.

    If differences are symmetric around their means, the truly best trial stays with a probability of at least
    1 - `level`. All 2^n flips of n participants are used if they are at most `MOST_FLIPS`, that is up to 13
    participants. Otherwise the observed signs and 9,999 random flips are used, which keeps the level (Phipson and
    Smyth, Statistical Applications in Genetics and Molecular Biology 2010, 9:39). Flips are fewer with more than 632
    trials (1,000 with 2,000; 40 with 10,000 and more), and the same in every call. Fewer flips keep the level too, but
    more trials stay by chance.

    With fewer than `FEWEST` participants all trials stay: the smallest possible share is 1/16 with four participants.

    Args:
        scores: table of scores.
        level: largest probability that the truly best trial is out.
    """
    known = known_scores(scores)
    values = known.to_numpy(float)
    if known.shape[1] < FEWEST:
        kept, means = np.ones(len(known), bool), comparable_means(scores).to_numpy(float)
    else:
        kept, means = _stay(values, _flips(known.shape[1], len(known)) @ values.T, level), values.mean(axis=1)
    numbers = [int(number) for number in known.index]
    return [numbers[place] for place in np.argsort(-means, kind="stable") if kept[place]]


def known_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The participants with a score in all trials, sorted, so that the order in the table has no effect."""
    return scores.sort_index().dropna(axis="columns").sort_index(axis="columns", key=lambda names: names.astype(str))


def comparable_means(scores: pd.DataFrame) -> pd.Series[float]:
    """Mean of each trial over the participants with a score in all trials, and over its own where there are none.

    A participant whose score is undefined in one trial says nothing about which trial is better. With one class, for
    example, kappa is undefined if all windows are right, and 0 after a single error.
    """
    known = known_scores(scores)
    return (known if known.shape[1] else scores.sort_index()).mean(axis=1)


def _flips(participants: int, trials: int) -> NDArray[np.float64]:
    """Sign flips (number, participants); the first one keeps all signs."""
    number = min(MOST_FLIPS, max(FEWEST_FLIPS, COMPARISONS // trials**2))
    if 2**participants <= number:
        return np.array(list(itertools.product((1.0, -1.0), repeat=participants)))
    drawn = np.random.default_rng(0).choice((1.0, -1.0), (number - 1, participants))
    return np.concatenate([np.ones((1, participants)), drawn])


def _stay(values: NDArray[np.float64], sums: NDArray[np.float64], level: float) -> NDArray[np.bool_]:
    """Which trials could be the best one.

    Flips do not change the sum of squared differences. Paired t therefore grows with the sum of differences divided by
    the root of the sum of squares, and is not computed itself.

    Args:
        values: scores (trials, participants).
        sums: sums of the scores with each flip (flips, trials); the first flip keeps all signs.
        level: smallest p-value with which a trial stays.
    """
    flips, trials = sums.shape
    # With few trials it is faster to compare all of them.
    number = min(HIGHEST, trials) if flips * HIGHEST < AT_ONCE else 0
    highest = np.argpartition(sums, trials - number, axis=1)[:, trials - number :] if number else None
    compared = _Compared(sums, highest, level * flips)
    kept = np.ones(trials, bool)

    def compare(start: int) -> None:
        lengths = _lengths(values, start)
        best = ((sums[0] - sums[0, start : start + ROWS, None]) / lengths).max(axis=1)
        for row in np.flatnonzero((best > 0) & np.isfinite(lengths).any(axis=1)):
            kept[start + row] = compared.stays(start + row, lengths[row] * (best[row] - TOLERANCE))

    with ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(compare, range(0, trials, ROWS)))
    return kept


def _lengths(values: NDArray[np.float64], start: int) -> NDArray[np.float64]:
    """Distances of some trials from all (`ROWS`, trials); infinite from trials with the same scores.

    Args:
        values: scores (trials, participants).
        start: the first of the trials.
    """
    centred, some = values - values.mean(axis=0), slice(start, start + ROWS)
    squares = (centred**2).sum(axis=1)
    found: NDArray[np.float64] = centred[some] @ (-2 * centred.T)
    found += squares
    found += squares[some, None]
    row, other = np.nonzero(found <= CLOSE * squares.max())
    close = np.sqrt(((values[start + row] - values[other]) ** 2).sum(axis=1))
    found[row, other] = 1.0
    np.sqrt(found, out=found)
    found[row, other] = np.where(close > SAME, close, np.inf)
    return found


@dataclass(frozen=True)
class _Compared:
    """Comparison of trials with all others under sign flips.

    Attributes:
        sums: sums of the scores with each flip (flips, trials).
        highest: places of some trials with the highest sums of each flip (flips, number); None to compare all at once.
        enough: number of flips with a t at least as large as without flips with which a trial stays.
    """

    sums: NDArray[np.float64]
    highest: NDArray[np.int64] | None
    enough: float

    def stays(self, place: int, needed: NDArray[np.float64]) -> bool:
        """Whether a trial could be the best one.

        Args:
            place: row of the trial.
            needed: by how much the sum of each trial has to be above that of this one (trials,).
        """
        own, left, reached = self.sums[:, place], np.arange(len(self.sums)), 0
        if self.highest is not None:
            found = (np.take_along_axis(self.sums, self.highest, 1) - needed[self.highest]).max(axis=1) >= own
            reached, left = int(found.sum()), left[~found]
        size = max(1, AT_ONCE // len(needed))
        compared = np.empty((size, len(needed)))
        for start in range(0, len(left), size):
            if (
                reached >= self.enough or reached + len(left) - start < self.enough
            ):  # the remaining flips change nothing
                break
            some = left[start : start + size]
            values = np.take(self.sums, some, axis=0, out=compared[: len(some)])
            reached += int((np.subtract(values, needed, out=values).max(axis=1) >= own[some]).sum())
        return reached >= self.enough
