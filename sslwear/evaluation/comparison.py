"""Methods compared over participants: what each scores, and how much better or worse each is than one of them.

A participant is one observation. With several seeds a participant's score is the mean over the seeds, so that more
seeds never look like more people; how much seeds differ is shown beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sslwear.errors import StudyError
from sslwear.evaluation.intervals import Difference, Interval, difference, interval

SCORES = ("f1", "kappa", "precision", "recall", "f1_all_classes")
TRANSDUCTIVE = " (transductive)"
"""Stands behind the name of every method of an evaluation in which pre-training may see the test participants' windows,
without their labels."""
SUPERVISED_MARK = " (supervised on {})"
"""Stands behind the name of every method whose encoder has learnt other data sets' labels."""
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Summary:
    """One method on one data set under one protocol.

    Attributes:
        dataset: its name.
        protocol: how participants were held out.
        method: its name.
        transductive: whether pre-training might see the test participants' windows, without their labels.
        supervised: names of other data sets whose labels it has learnt before, or nothing.
        seeds: that it was run with.
        scores: over participants, by name of the score.
        seed_sd: sample standard deviation of the means of the seeds, by name of the score; NaN with one seed.
        participants: scores, a row a participant, means over the seeds.
        run_ids: of the runs that the scores are from.
    """

    dataset: str
    protocol: str
    method: str
    transductive: bool
    supervised: str
    seeds: tuple[int, ...]
    scores: Mapping[str, Interval]
    seed_sd: Mapping[str, float]
    participants: pd.DataFrame
    run_ids: tuple[str, ...]

    @property
    def label(self) -> str:
        """The method's name, with the marks that it is transductive, or supervised elsewhere, where it is."""
        supervised = SUPERVISED_MARK.format(self.supervised) if self.supervised else ""
        return self.method + (TRANSDUCTIVE if self.transductive else "") + supervised


@dataclass(frozen=True)
class Comparison:
    """One method against the reference on the same participants.

    Attributes:
        summary: the method.
        each: its score less the reference's, by participant.
        found: their mean, with Wilcoxon's p.
        corrected: that p after Holm's correction over the table; NaN where there is none.
    """

    summary: Summary
    each: pd.Series[float]
    found: Difference
    corrected: float

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.corrected < SIGNIFICANT


def summaries(results: pd.DataFrame) -> list[Summary]:
    """What each method scores over participants, in the order in which the methods stand in the results.

    Args:
        results: one row for each data set, protocol, method, seed, fold and participant, with ``dataset``,
            ``protocol``, ``transductive``, ``supervised``, ``method``, ``seed``, ``participant``, ``run_id`` and the
            columns `SCORES`.
    """
    keys = ["dataset", "protocol", "method", "transductive", "supervised"]
    found = []
    for (dataset, protocol, method, transductive, supervised), rows in results.groupby(keys, sort=False):
        each = rows.groupby(["seed", "participant"])[list(SCORES)].mean()  # one who is in several folds counts once
        people = each.groupby("participant").mean()
        by_seed = each.groupby("seed").mean()
        found.append(
            Summary(
                dataset=str(dataset),
                protocol=str(protocol),
                method=str(method),
                transductive=bool(transductive),
                supervised=str(supervised),
                seeds=tuple(sorted(int(seed) for seed in rows["seed"].unique())),
                scores={name: interval(people[name].to_numpy()) for name in SCORES},
                seed_sd={name: float(by_seed[name].std(ddof=1)) for name in SCORES},
                participants=people,
                run_ids=tuple(dict.fromkeys(rows["run_id"].astype(str))),
            )
        )
    return found


def compare(methods: Sequence[Summary], reference: Summary, score: str) -> list[Comparison]:
    """Every other method against a reference, with Holm's correction over all of them.

    Args:
        methods: of one data set and protocol; the reference may be among them.
        reference: what they are compared with.
        score: one of `SCORES`.
    """
    others = [method for method in methods if method is not reference]
    base = reference.participants[score]
    each = [(method.participants[score] - base).dropna() for method in others]
    found = [difference(method.participants[score], base) for method in others]
    corrected = holm([one.p for one in found])
    return [Comparison(*row) for row in zip(others, each, found, corrected, strict=True)]


def as_frame(methods: Sequence[Summary], comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Kappa and F1 of methods, a row each, and the difference in kappa of those that were compared, as numbers."""
    differences = {comparison.summary.method: comparison for comparison in comparisons}
    rows = []
    for one in methods:
        row: dict[str, object] = {"method": one.method, "supervised": one.supervised}
        for name in ("kappa", "f1"):
            found = one.scores[name]
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_sd": found.sd}
        row |= {"participants": one.scores["kappa"].participants, "seeds": len(one.seeds)}
        row |= {"kappa_sd_of_seeds": one.seed_sd["kappa"]}
        if (comparison := differences.get(one.method)) is not None:
            how = comparison.found.interval
            row |= {"difference": how.mean, "difference_low": how.low, "difference_high": how.high}
            row |= {"difference_p": comparison.found.p, "difference_p_holm": comparison.corrected}
        rows.append(row)
    return pd.DataFrame(rows)


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down method (Holm 1979).

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes smaller than the one before, nor
    greater than 1. Those that are NaN stay so and do not count.
    """
    values = np.asarray(p, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    values[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return [float(value) for value in values]


def least_p(participants: int) -> float:
    """The smallest two-sided p that Wilcoxon's signed-rank test can give on so many participants."""
    return float(min(1.0, 2.0 ** (1 - participants)))


def find_method(methods: Sequence[Summary], name: str | None) -> Summary:
    """The method of that name, with or without its mark; the first where none is asked for.

    Raises:
        StudyError: when there is none of that name; the message lists the names that there are.
    """
    if name is None:
        return methods[0]
    for method in methods:
        if name in (method.label, method.method):
            return method
    there = ", ".join(repr(method.label) for method in methods)
    raise StudyError(f"there is no method {name!r} in the results; choose one of {there}")
