"""Comparison of methods: scores over participants, and paired differences from a reference method.

A participant is one observation. With several seeds, a participant's score is the mean over the seeds, so more seeds do
not count as more participants. The standard deviation between seeds is reported beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sslwear.errors import StudyError
from sslwear.evaluation.intervals import TOO_FEW, Difference, Interval, difference, interval

SCORES = ("f1", "kappa", "precision", "recall", "f1_all_classes")
TRANSDUCTIVE = " (transductive)"
"""Mark of methods whose pre-training may use the test participants' windows, without labels."""
SUPERVISED_MARK = " (supervised on {})"
"""Mark of methods whose encoder was trained on labels of other data sets."""
SIGNIFICANT = 0.05
PROTOCOLS = {
    "hold_out": "hold-out",
    "k_fold": "k-fold cross-validation",
    "leave_one_out": "leave-one-participant-out cross-validation",
}
"""Names of protocols in text, by their names in study files."""


@dataclass(frozen=True)
class Summary:
    """Results of a method on a data set with a protocol.

    Attributes:
        dataset: name of the data set.
        protocol: how participants were held out.
        method: name of the method.
        transductive: whether pre-training may use the test participants' windows, without labels.
        supervised: names of other data sets on whose labels the encoder was trained; empty if there are none.
        seeds: seeds of the runs, or those that an ensemble averages.
        scores: means over participants by name of the score.
        seed_sd: sample standard deviation between the seeds' means by name of the score, over the participants with
            a score for all seeds; NaN with one seed, without such participants, and for an average over seeds.
        participants: scores of each participant (rows), averaged over seeds.
        missing: number of missing results: seeds that a participant lacks and other participants of the method have.
        run_ids: ids of the runs.
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
    missing: int
    run_ids: tuple[str, ...]

    @property
    def label(self) -> str:
        """Name of the method with its marks, `TRANSDUCTIVE` and `SUPERVISED_MARK`."""
        supervised = SUPERVISED_MARK.format(self.supervised) if self.supervised else ""
        return self.method + (TRANSDUCTIVE if self.transductive else "") + supervised


@dataclass(frozen=True)
class Comparison:
    """Comparison of a method with the reference method on the same participants.

    Attributes:
        summary: results of the method.
        each: difference of each participant, the method's score minus the reference's.
        found: mean difference with Wilcoxon's p.
        corrected: p after Holm's correction for all comparisons; NaN if p is NaN.
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
    """Results of each method over participants, in the order of the methods in the table.

    Args:
        results: one row for each data set, protocol, method, seed, fold and participant, with the columns ``dataset``,
            ``protocol``, ``transductive``, ``supervised``, ``method``, ``seed``, ``averaged_seeds``, ``participant``,
            ``run_id`` and `SCORES`.
    """
    keys = ["dataset", "protocol", "method", "transductive", "supervised"]
    found = []
    for (dataset, protocol, method, transductive, supervised), rows in results.groupby(keys, sort=False):
        each = rows.groupby(["seed", "participant"])[list(SCORES)].mean()  # a participant in several folds counts once
        participants = each.groupby("participant").mean()
        seeds_of, number = each.groupby("participant").size(), rows["seed"].nunique()
        found.append(
            Summary(
                dataset=str(dataset),
                protocol=str(protocol),
                method=str(method),
                transductive=bool(transductive),
                supervised=str(supervised),
                seeds=_seeds(rows),
                scores={name: interval(participants[name].to_numpy()) for name in SCORES},
                seed_sd={name: _seed_sd(each[name]) for name in SCORES},
                participants=participants,
                missing=int((number - seeds_of).sum()),
                run_ids=tuple(dict.fromkeys(rows["run_id"].astype(str))),
            )
        )
    return found


def _seed_sd(scores: pd.Series[float]) -> float:
    """Sample standard deviation between the means of seeds, over the participants whose score is defined for all.

    Args:
        scores: a score by seed and participant.
    """
    return float(scores.unstack("seed").dropna().mean().std(ddof=1))


def _seeds(rows: pd.DataFrame) -> tuple[int, ...]:
    averaged = str(rows["averaged_seeds"].iloc[0]).split()
    return tuple(sorted({int(seed) for seed in averaged or rows["seed"].unique()}))


def compare(methods: Sequence[Summary], reference: Summary, score: str) -> list[Comparison]:
    """Comparisons of all other methods with a reference, with Holm's correction.

    Args:
        methods: results on one data set with one protocol; the reference may be among them.
        reference: results of the reference method.
        score: score to compare, one of `SCORES`.
    """
    others = [method for method in methods if method is not reference]
    base = reference.participants[score]
    each = [(method.participants[score] - base).dropna() for method in others]
    found = [difference(method.participants[score], base) for method in others]
    corrected = holm([one.p for one in found])
    return [Comparison(*row) for row in zip(others, each, found, corrected, strict=True)]


def as_frame(methods: Sequence[Summary], comparisons: Sequence[Comparison], score: str) -> pd.DataFrame:
    """Table of the methods' kappa and F1, and of the differences, one row for each method.

    Args:
        methods: the methods.
        comparisons: comparisons of some of them, in `score`.
        score: objective of the evaluation; participants are counted for whom it is defined.
    """
    differences = {comparison.summary.method: comparison for comparison in comparisons}
    rows = []
    for one in methods:
        row: dict[str, object] = {"method": one.method, "supervised": one.supervised, "objective": score}
        for name in ("kappa", "f1"):
            found = one.scores[name]
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_sd": found.sd}
        row |= {"participants": one.scores[score].participants, "seeds": len(one.seeds)}
        row |= {f"{name}_sd_of_seeds": one.seed_sd[name] for name in ("kappa", "f1")}
        if (comparison := differences.get(one.method)) is not None:
            how = comparison.found.interval
            row |= {"difference": how.mean, "difference_low": how.low, "difference_high": how.high}
            row |= {"difference_p": comparison.found.p, "difference_p_holm": comparison.corrected}
        rows.append(row)
    return pd.DataFrame(rows)


def interval_note(methods: Iterable[Summary]) -> str:
    """What is in brackets after the means of some methods: intervals, or why there are none."""
    known = {one.known for method in methods for one in method.scores.values()}
    notes = {True: "In brackets: 95 % bootstrap intervals.", False: TOO_FEW}
    return " ".join(text for which, text in notes.items() if which in known)


def protocol_title(protocol: str) -> str:
    """Name of a protocol in text."""
    return PROTOCOLS.get(protocol, protocol)


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for multiple comparisons by Holm's step-down method (Holm 1979).

    The smallest of m p-values is multiplied by m, the next one by m - 1, and so on. A corrected p-value is at least as
    large as the one before, and at most 1. NaN stays NaN and does not count.
    """
    values = np.asarray(p, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    values[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return [float(value) for value in values]


def smallest_p(participants: int) -> float:
    """Smallest possible two-sided p of Wilcoxon's signed-rank test for a number of participants."""
    return float(min(1.0, 2.0 ** (1 - participants)))


def find_method(methods: Sequence[Summary], name: str | None) -> Summary:
    """Method by name, with or without its marks; the first method if the name is None.

    Raises:
        StudyError: when no method has the name; the message lists the names.
    """
    if name is None:
        return methods[0]
    for method in methods:
        if name in (method.label, method.method):
            return method
    known = ", ".join(repr(method.label) for method in methods)
    raise StudyError(f"there is no method {name!r} in the results. Choose one of {known}")
