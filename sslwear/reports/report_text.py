"""The sentences and tables of a report, all generated from the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from sslwear.evaluation.comparison import SIGNIFICANT, TRANSDUCTIVE, Comparison, Summary, smallest_p
from sslwear.evaluation.intervals import Interval
from sslwear.reports.report_figures import CURVES, DIFFERENCES, MASKS, PRETEXT
from sslwear.reports.study_figures import TrialPoint

TITLES = {
    "f1": "macro F1",
    "kappa": "kappa",
    "precision": "precision",
    "recall": "recall",
    "f1_all_classes": "macro F1, all classes",
}
CAPTIONS = {
    MASKS: "The effect of what learnt",
    PRETEXT: "Pretext tasks compared",
    DIFFERENCES: "Differences to the reference, participant by participant",
    CURVES: "Learning curves of the winner",
}


@dataclass(frozen=True)
class Group:
    """The methods on one data set under one protocol.

    Attributes:
        summaries: of all methods.
        reference: the one that the others are compared with.
        score: the study's objective, which ranks them.
        comparisons: of all others with the reference, by name of the score.
        baselines: names of the methods without a network.
    """

    summaries: Sequence[Summary]
    reference: Summary
    score: str
    comparisons: Mapping[str, Sequence[Comparison]]
    baselines: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The data set and the protocol."""
        return f"{self.reference.dataset}, {self.reference.protocol.replace('_', ' ')}"

    @property
    def ranked(self) -> list[Summary]:
        """The methods, the best mean first; those without one last."""
        return sorted(self.summaries, key=lambda one: -np.nan_to_num(one.scores[self.score].mean, nan=-np.inf))


def answer(group: Group) -> str:
    """Two sentences: which method is best and by how much, and whether it can be told apart from the reference.

    Where a baseline is best, it is named, and the comparison is that of the best network.
    """
    best, reference, score = group.ranked[0], group.reference, group.score
    first = (
        f"On {group.title}, `{best.label}` has the best mean {TITLES[score]} over "
        f"{best.scores[score].participants} participants, {best.scores[score]}"
    )
    comparisons = group.comparisons[score]
    if not comparisons:
        return f"{first}. No other method was evaluated, so that there is nothing to compare it with."
    apart = [one for one in comparisons if one.significant]
    networks = [one for one in group.ranked if one.method not in group.baselines]
    if best.method in group.baselines and best is not reference and networks:
        best = networks[0]
        first += f", and of the networks `{best.label}`, {best.scores[score]}"
        if best is reference:
            return f"{first}, which is the reference. {_others(apart, len(comparisons))}"
    if best is reference:
        return f"{first}; it is the reference, and none of the others is better. {_others(apart, len(comparisons))}"
    (mine,) = (one for one in comparisons if one.summary is best)
    first += (
        f", which is {_signed(mine.found.interval)} against the reference `{reference.label}` with "
        f"{reference.scores[score].mean:.3f}."
    )
    if mine.significant:
        return f"{first} The two can be told apart: {_p(mine)}, is under {SIGNIFICANT:g}."
    if np.isnan(mine.corrected):
        return f"{first} On {mine.found.interval.participants} shared participants nothing can be told apart."
    second = f"The two cannot be told apart: {_p(mine)}, is not under {SIGNIFICANT:g}"
    if not apart:
        return f"{first} {second}, and neither can any other method from the reference."
    return f"{first} {second}; {_list(apart)} can be told apart from the reference."


def unlike(group: Group) -> str | None:
    """A warning where the methods were not scored on the same participants with the same seeds; else None.

    A participant whose score is undefined, as kappa is where there is one class and it was always right, is lacking.
    """
    people = {one.label: set(one.participants[group.score].dropna().index) for one in group.summaries}
    everybody, seeds = set().union(*people.values()), {seed for one in group.summaries for seed in one.seeds}
    lacking = [
        f"`{one.label}` ({len(people[one.label])} of {len(everybody)} participants, "
        f"{len(one.seeds)} of {len(seeds)} seeds)"
        for one in group.summaries
        if people[one.label] != everybody or set(one.seeds) != seeds
    ]
    if not lacking:
        return None
    return (
        f"**Not complete:** on {group.title} some methods lack participants or seeds, so that their means are of other "
        f"people and cannot be ranked, and only the paired differences compare like with like: {', '.join(lacking)}."
    )


def _others(apart: Sequence[Comparison], comparisons: int) -> str:
    among = f"{comparisons} comparison{'s' if comparisons > 1 else ''} with it"
    if not apart:
        return f"Nothing can be told apart: in {among} no corrected p is under {SIGNIFICANT:g}."
    return f"In {len(apart)} of {among} the two can be told apart: {_list(apart)}."


def _list(apart: Iterable[Comparison]) -> str:
    return ", ".join(f"`{one.summary.label}` ({_way(one)}, corrected p {_number(one.corrected)})" for one in apart)


def _way(one: Comparison) -> str:
    return "better" if one.found.interval.mean > 0 else "worse"


def _p(one: Comparison) -> str:
    return f"p of Wilcoxon's test, corrected by Holm's method, {_number(one.corrected)}"


def scores_table(group: Group) -> list[str]:
    """A Markdown table of what the methods score, the best first."""
    names = list(TITLES)
    lines = [
        "| method | seeds | " + " | ".join(TITLES[name] for name in names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for one in group.ranked:
        cells = [_cell(one.scores[name], one.seed_sd[name]) for name in names]
        mark = " (reference)" if one is group.reference else ""
        lines.append(f"| {_code(one)}{mark} | {' '.join(map(str, one.seeds))} | {' | '.join(cells)} |")
    return lines


def _cell(found: Interval, seed_sd: float) -> str:
    if found.participants < 2:
        return str(found)
    seeds = f"; seeds ± {seed_sd:.3f}" if np.isfinite(seed_sd) else ""
    return f"{found.mean:.3f} ± {found.sd:.3f} [{found.low:.3f}, {found.high:.3f}]{seeds}"


def comparisons_table(group: Group, score: str) -> list[str]:
    """A Markdown table of the methods against the reference by one score, the best first."""
    lines = [
        f"| {TITLES[score]}, against {_code(group.reference)} | participants | difference [95 % interval] | p "
        "| p, Holm | can be told apart |",
        "|---|---|---|---|---|---|",
    ]
    for one in _best_first(group.comparisons[score]):
        found = one.found.interval
        verdict = _way(one) if one.significant else "no"
        lines.append(
            f"| {_code(one.summary)} | {found.participants} | {_signed(found)} | {_number(one.found.p)} "
            f"| {_number(one.corrected)} | {verdict} |"
        )
    return lines


def _best_first(comparisons: Iterable[Comparison]) -> list[Comparison]:
    return sorted(comparisons, key=lambda one: -np.nan_to_num(one.found.interval.mean, nan=-np.inf))


def helped(group: Group) -> list[str]:
    """What was better than the reference, what worse, and of what neither can be said, a line each."""
    comparisons = _best_first(group.comparisons[group.score])
    kinds = {
        "Better than the reference": [one for one in comparisons if one.significant and _way(one) == "better"],
        "Worse than the reference": [one for one in comparisons if one.significant and _way(one) == "worse"],
        "Not told apart from the reference": [one for one in comparisons if not one.significant],
    }
    lines = []
    for title, found in kinds.items():
        what = ", ".join(f"`{one.summary.label}` {_signed(one.found.interval)}" for one in found)
        lines.append(f"- {title}: {what or 'nothing'}.")
    pairs = max((one.found.interval.participants for one in comparisons), default=0)
    least = min(1.0, smallest_p(pairs) * len(comparisons)) if pairs else 1.0
    if comparisons and least >= SIGNIFICANT:
        lines.append(
            f"- With {pairs} participants and {len(comparisons)} comparisons the smallest corrected p is at best "
            f"{_number(least)}, so that no difference, however large, could have passed the test: read the intervals, "
            "or record more people."
        )
    return lines


def searched(points: Sequence[TrialPoint], by: str, score: str) -> list[str]:
    """A Markdown table of the search's finished trials, by what was tuned or by pretext task, the best first.

    Args:
        points: the trials.
        by: ``tuning`` or ``pretext``.
        score: the study's objective.
    """
    found: dict[str, list[float]] = {}
    for point in points:
        if point.value is not None and not point.pruned:
            found.setdefault(getattr(point, by), []).append(point.value)
    if len(found) < 2:
        return []
    title = {"tuning": "what learnt", "pretext": "pretext task"}[by]
    lines = [f"| {title} | finished trials | best {TITLES[score]} | median |", "|---|---|---|---|"]
    for name, values in sorted(found.items(), key=lambda item: -max(item[1])):
        lines.append(f"| `{name}` | {len(values)} | {max(values):.3f} | {median(values):.3f} |")
    return lines


def notes(groups: Sequence[Group]) -> str:
    """How the numbers are to be read."""
    text = (
        "Scores are of held-out participants, who were not learnt from: the mean over participants ± standard "
        "deviation, with the 95 % bootstrap interval of the mean. Macro F1, precision and recall are over the classes "
        "that occur in a participant's true or predicted labels, the published benchmarks' rule; *all classes* counts "
        "0 for those that do not."
    )
    summaries = [one for group in groups for one in group.summaries]
    if any(len(one.seeds) > 1 for one in summaries):
        text += (
            " With several seeds a participant's score is the mean over them; *seeds ±* is the standard deviation of "
            "the seeds' means."
        )
    if any(one.transductive for one in summaries):
        text += (
            f" What is marked{TRANSDUCTIVE} is of an evaluation in which pre-training may see the windows of the "
            "participants who are tested, without their labels: what is pre-trained there, or starts from weights "
            "that were, is no estimate for people who are new to it."
        )
    if any(one.supervised for one in summaries):
        text += (
            " What is marked *supervised on* a data set has learnt the labels of the people in it before it was "
            "fine-tuned, and is not self-supervised."
        )
    return text


def _code(one: Summary) -> str:
    """A method's name in a table, where a bar would begin another column."""
    return f"`{one.label}`".replace("|", r"\|")


def _signed(found: Interval) -> str:
    if not found.participants:
        return "undefined"
    text = f"{found.mean:+.3f}"
    return f"{text} [{found.low:+.3f}, {found.high:+.3f}]" if found.participants > 1 else f"{text} (one participant)"


def _number(p: float) -> str:
    if np.isnan(p):
        return "undefined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
