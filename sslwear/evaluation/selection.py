"""How sure the verdict of a study is: the corrected estimate, means of groups of trials, and what the best ones share.

A table of scores has one row for each trial (index: its number) and one column for each participant. A value is the
objective of the participant, scored by a network that has not seen the participant; NaN is an undefined score. Trials
that ended early are not in the table. Participants with an undefined score in any trial of a table are left out, so
that all trials are compared on the same participants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from sslwear.evaluation.best_trials import comparable_means, known_scores
from sslwear.evaluation.intervals import FEWEST, LEVEL, Interval, interval
from sslwear.utils.words import count, shown

RESAMPLES = 2_000
FEWEST_CORRECTED = 3
"""Fewest participants for a correction; of two, each would be scored by the choice of the other one alone."""


def corrected_scores(scores: pd.DataFrame) -> pd.Series[float]:
    """Scores of the best trial by participant, corrected for choosing it among all trials.

    The best of many trials is partly best by chance, so its own mean is too high. Here the trial with the best mean is
    chosen on resamples of the participants. A participant gets the mean of the scores of the chosen trials, over the
    resamples without this participant. This is bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou and
    Borboudakis, Machine Learning 2018, 107:1895) with participants in place of samples. The resamples are the same in
    every call.

    Args:
        scores: table of scores, with at least one trial.

    Returns:
        Scores of the participants that are not left out. One trial has its own scores. With fewer than
        `FEWEST_CORRECTED` participants they are the defined scores of the trial with the best mean, not corrected.
    """
    known = known_scores(scores)
    values, participants = known.to_numpy(float), known.shape[1]
    if len(known) == 1 or participants < FEWEST_CORRECTED:
        table = scores.sort_index()
        own = table.iloc[int(np.argmax(comparable_means(scores).fillna(-np.inf).to_numpy()))].dropna()
        return pd.Series(own.to_numpy(float), own.index)
    drawn = np.random.default_rng(0).integers(participants, size=(RESAMPLES, participants))
    weights = (drawn[:, :, None] == np.arange(participants)).sum(axis=1)
    chosen, left_out = np.argmax(weights @ values.T, axis=1), weights == 0
    sums = np.where(left_out, values[chosen], 0.0).sum(axis=0)
    found = pd.Series(sums / left_out.sum(axis=0), known.columns)
    return found[[name for name in scores.columns if name in found.index]]


def corrected_estimate(scores: pd.DataFrame) -> Interval:
    """Estimate of the best trial's score on new participants: mean of `corrected_scores` with Student's t interval.

    Percentile bootstrap intervals are too narrow with few participants. With 8 participants and 24 trials, a simulation
    found the true score in 86 % to 88 % of them, and in 93 % to 95 % of the t intervals.

    Args:
        scores: table of scores, with at least one trial.
    """
    values = corrected_scores(scores).to_numpy(float)
    if len(values) < FEWEST:
        return interval(values)
    mean, half = float(values.mean()), _quantile(len(values)) * standard_error(values)
    return Interval(mean, float(values.std(ddof=1)), mean - half, mean + half, len(values))


def _quantile(participants: int) -> float:
    """Half the width of a t interval of the mean in standard errors."""
    return float(stats.t.ppf((1 + LEVEL) / 2, participants - 1))


def standard_error(values: ArrayLike) -> float:
    """Standard error of the mean over participants; NaN values are left out, and of fewer than two it is NaN.

    Args:
        values: score of each participant (n,).
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else math.nan


def group_means(scores: pd.DataFrame, groups: Mapping[int, str]) -> dict[str, Interval]:
    """Mean score of groups of trials, such as those with the same freeze mask, the best first.

    A participant's score is the mean over the trials of the group; the interval is over participants.

    Args:
        scores: table of scores.
        groups: name of the group of each trial. Trials that are in only one of the two arguments are left out.
    """
    known = known_scores(scores[[number in groups for number in scores.index]])
    names = pd.Series([groups[int(number)] for number in known.index], known.index)
    found = {str(name): interval(rows.mean(axis=0).to_numpy()) for name, rows in known.groupby(names)}
    return dict(sorted(found.items(), key=lambda item: (math.isnan(item[1].mean), -item[1].mean)))


def finding(
    alike: Sequence[int],
    total: int,
    properties: Mapping[str, Mapping[int, str]],
    first_tuned: Mapping[int, int] | None = None,
    block_names: Sequence[str] = (),
    participants: int | None = None,
) -> str:
    """A sentence that says how many trials cannot be told from the best one, and what they have in common.

    Args:
        alike: numbers of these trials, the best one included, see `candidates`.
        total: number of trials in the table of scores.
        properties: name of each searched setting, and its value in each trial; ``-`` where a trial has none.
        first_tuned: place in `block_names` of the first block that each trial tunes; the number of blocks where only
            the head is tuned.
        block_names: names of the encoder's blocks.
        participants: number of participants of the comparison, to say where they are too few for it.
    """
    if total < 2:
        return "Only one trial has finished, so it cannot be compared." if total else "No trial has finished."
    if participants is not None and participants < FEWEST:
        return f"With {count(participants, 'participant')}, trials cannot be compared: at least {FEWEST} are needed."
    if len(alike) == total:
        return f"None of the {total} trials can be told from the best."
    if len(alike) == 1:
        others = "the other trial" if total == 2 else f"all other {total - 1} trials"
        return f"Trial {alike[0]} is better than {others}."
    start = f"Of {total} trials, {len(alike)} cannot be told from the best"
    shared = {name: value for name, values in properties.items() if (value := _shared(alike, values)) is not None}
    all_of_them = "both" if len(alike) == 2 else f"all {len(alike)}"
    said = [f"{all_of_them} have {_listed([f'{name} {value}' for name, value in shared.items()])}"] if shared else []
    if first_tuned and "tuning" not in shared and (blocks := _never_tuned(alike, first_tuned, block_names)):
        said.append(blocks)
    varied = any(len(set(values.values())) > 1 for values in properties.values())
    if not said and varied:
        said = [f"no setting that varies among the trials has the same value in {all_of_them}"]
    return "; ".join([start, ", and ".join(said)] if said else [start]) + "."


def _shared(alike: Sequence[int], values: Mapping[int, str]) -> str | None:
    """The value that all of some trials have, where other trials have other values; None if there is none."""
    mine = {values.get(number) for number in alike}
    value = mine.pop()
    return None if mine or value == shown(None) or len(set(values.values())) < 2 else value


def _never_tuned(alike: Sequence[int], first_tuned: Mapping[int, int], block_names: Sequence[str]) -> str | None:
    """Which blocks none of some trials tunes, where other trials tune them; None if there are no such blocks."""
    if any(number not in first_tuned for number in alike):
        return None
    first = min(first_tuned[number] for number in alike)
    if first <= min(first_tuned.values()):
        return None
    where = f"a block before {block_names[first]}" if first < len(block_names) else "a block of the encoder"
    return f"{'neither' if len(alike) == 2 else 'none'} of them tunes {where}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), words[-1]])


def outside(estimate: Interval, test: Interval) -> str | None:
    """A warning where the test score lies outside of the interval of its estimate; None where it does not.

    The mean of a few test participants varies by chance too. Whether chance explains the distance is judged by the 95 %
    prediction interval for the mean of as many new participants (Hahn and Meeker, Statistical Intervals, 1991).

    Args:
        estimate: estimated score of the selected trial, see `corrected_estimate`.
        test: score of the test participants.
    """
    if not estimate.known or not test.participants or estimate.low <= test.mean <= estimate.high:
        return None
    side = "below" if test.mean < estimate.low else "above"
    half = _quantile(estimate.participants) * estimate.sd * math.sqrt(1 / estimate.participants + 1 / test.participants)
    few = count(test.participants, "test participant")
    if abs(test.mean - estimate.mean) <= half:
        chance = f"With {few}, such a difference is often due to chance."
    else:
        chance = (
            f"With {few}, such a difference is seldom due to chance. The test participants may differ from the "
            "participants of the search."
        )
    return f"The mean of the test, {test.mean:.3f}, is {side} the interval of the estimate, {estimate.text()}. {chance}"
