"""Sentences and tables of a report, generated from the scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from sslwear.evaluation.comparison import SIGNIFICANT, TRANSDUCTIVE, Comparison, Summary, protocol_title, smallest_p
from sslwear.evaluation.intervals import FEWEST, TOO_FEW, Interval, p_text
from sslwear.reports.report_figures import CONFUSION, CURVES, DIFFERENCES, MASKS, PRETEXT
from sslwear.reports.study_report import TrialPoint
from sslwear.utils.words import count

TITLES = {
    "f1": "macro F1",
    "kappa": "kappa",
    "precision": "precision",
    "recall": "recall",
    "f1_all_classes": "macro F1, all classes",
}
CAPTIONS = {
    MASKS: "Scores by tuning strategy",
    PRETEXT: "Pretext tasks compared",
    DIFFERENCES: "Differences from the reference by participant",
    CURVES: "Learning curves",
    CONFUSION: "Windows of the best method, over all folds and seeds, by true and predicted class",
}


@dataclass(frozen=True)
class Group:
    """Methods on one data set with one protocol.

    Attributes:
        summaries: scores of all methods.
        reference: the method that the others are compared with.
        score: the study's objective, by which methods are ranked.
        comparisons: comparisons of the other methods with the reference, by name of the score.
        baselines: methods that are no networks, or not only networks, and what each is in words.
    """

    summaries: Sequence[Summary]
    reference: Summary
    score: str
    comparisons: Mapping[str, Sequence[Comparison]]
    baselines: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name of the data set and the protocol."""
        return f"{self.reference.dataset}, {protocol_title(self.reference.protocol)}"

    @property
    def ranked(self) -> list[Summary]:
        """Methods, the highest mean first; methods without a mean last."""
        return sorted(self.summaries, key=lambda one: -np.nan_to_num(one.scores[self.score].mean, nan=-np.inf))


def answer(group: Group) -> str:
    """The main result: the best method, its difference from the reference, and which methods differ significantly.

    If a baseline, a probe or an average with one is best, the best network is named too, and its difference is given.
    """
    best, reference, score = group.ranked[0], group.reference, group.score
    comparisons = group.comparisons[score]
    sentences = [
        f"On {group.title}, `{best.label}` has the highest mean {TITLES[score]} over "
        f"{count(best.scores[score].participants, 'participant')}: {best.scores[score]}."
    ]
    if not comparisons:
        return f"{sentences[0]} No other method was evaluated."
    networks = [one for one in group.ranked if one.method not in group.baselines]
    if best.method in group.baselines and best is not reference and networks:
        what, best = group.baselines[best.method], networks[0]
        sentences.append(f"It is {what}; the best network is `{best.label}`: {best.scores[score]}.")
    if best is reference:
        return " ".join([*sentences, "It is the reference.", *_significant(group)])
    (mine,) = (one for one in comparisons if one.summary is best)
    difference = (
        f"Its difference from the reference `{reference.label}` ({reference.scores[score].mean:.3f}) is "
        f"{_signed(mine.found.interval)}"
    )
    if np.isnan(mine.corrected):
        shared = count(mine.found.interval.participants, "shared participant")
        return " ".join([*sentences, f"{difference}. With {shared} there is no test."])
    p = f"(Wilcoxon signed-rank test, Holm-corrected p {p_text(mine.corrected)})"
    if mine.significant:
        return " ".join([*sentences, f"{difference}, which is significant {p}."])
    return " ".join([*sentences, f"{difference}, which is not significant {p}.", *_significant(group)])


def _significant(group: Group) -> list[str]:
    """Sentences that name the methods with a significant difference from the reference."""
    better, worse = _by_direction(group.comparisons[group.score])
    reference = f"the reference `{group.reference.label}`"
    sentences = [
        f"Significantly better than {reference}: {_list(better)}."
        if better
        else f"No method was significantly better than {reference}."
    ]
    if worse:
        sentences.append(f"Significantly worse: {_list(worse)}.")
    return sentences


def _by_direction(comparisons: Iterable[Comparison]) -> tuple[list[Comparison], list[Comparison]]:
    """Significantly better and significantly worse methods."""
    significant = [one for one in comparisons if one.significant]
    return [one for one in significant if _way(one) == "better"], [one for one in significant if _way(one) == "worse"]


def incomplete(group: Group) -> str | None:
    """A warning if methods were scored on different participants or seeds; None if they are complete.

    A participant with an undefined score counts as missing. Kappa, for example, is undefined if there is one class and
    it was always predicted.
    """
    people = {one.label: set(one.participants[group.score].dropna().index) for one in group.summaries}
    everybody, seeds = set().union(*people.values()), {seed for one in group.summaries for seed in one.seeds}
    lacking = [
        f"`{one.label}` ({len(people[one.label])} of {len(everybody)} participants, "
        f"{len(one.seeds)} of {len(seeds)} seeds{_missing(one)})"
        for one in group.summaries
        if people[one.label] != everybody or set(one.seeds) != seeds or one.missing
    ]
    if not lacking:
        return None
    return (
        f"**Incomplete:** on {group.title}, some methods lack participants or seeds. Their means are over different "
        f"participants and cannot be ranked; only the paired differences are comparable. Incomplete: "
        f"{', '.join(lacking)}."
    )


def _missing(one: Summary) -> str:
    return f", {count(one.missing, 'result')} missing" if one.missing else ""


def _list(comparisons: Iterable[Comparison]) -> str:
    return ", ".join(f"`{one.summary.label}` (corrected p {p_text(one.corrected)})" for one in comparisons)


def _way(one: Comparison) -> str:
    return "better" if one.found.interval.mean > 0 else "worse"


def scores_table(group: Group) -> list[str]:
    """A Markdown table of the methods' scores, the highest mean first."""
    names = list(TITLES)
    lines = [
        "| method | seeds | " + " | ".join(TITLES[name] for name in names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for one in group.ranked:
        cells = [_cell(one.scores[name], one.seed_sd[name]) for name in names]
        mark = " (reference)" if one is group.reference else ""
        lines.append(f"| {code(one.label)}{mark} | {' '.join(map(str, one.seeds))} | {' | '.join(cells)} |")
    return lines


def _cell(found: Interval, seed_sd: float) -> str:
    seeds = f"; seeds ± {seed_sd:.3f}" if np.isfinite(seed_sd) else ""
    return f"{found.text(spread=True)}{seeds}"


def comparisons_table(group: Group, score: str) -> list[str]:
    """A Markdown table of differences from the reference in one score, the highest first."""
    limits = " [95 % interval]" if any(one.found.interval.known for one in group.comparisons[score]) else ""
    lines = [
        f"| {TITLES[score]}, compared with {code(group.reference.label)} | participants | difference{limits} | p "
        "| p, Holm | significantly different |",
        "|---|---|---|---|---|---|",
    ]
    for one in _best_first(group.comparisons[score]):
        found = one.found.interval
        verdict = _way(one) if one.significant else "no"
        lines.append(
            f"| {code(one.summary.label)} | {found.participants} | {_signed(found)} | {p_text(one.found.p)} "
            f"| {p_text(one.corrected)} | {verdict} |"
        )
    return lines


def _best_first(comparisons: Iterable[Comparison]) -> list[Comparison]:
    return sorted(comparisons, key=lambda one: -np.nan_to_num(one.found.interval.mean, nan=-np.inf))


def significance(group: Group) -> list[str]:
    """A list of the methods that were significantly better, significantly worse, and neither."""
    comparisons = _best_first(group.comparisons[group.score])
    better, worse = _by_direction(comparisons)
    kinds = {
        "Significantly better than the reference": better,
        "Significantly worse than the reference": worse,
        "No significant difference": [one for one in comparisons if not one.significant],
    }
    lines = []
    for title, found in kinds.items():
        what = ", ".join(f"`{one.summary.label}` {_signed(one.found.interval)}" for one in found)
        lines.append(f"- {title}: {what or 'none'}.")
    pairs = max((one.found.interval.participants for one in comparisons), default=0)
    tested = sum(not np.isnan(one.corrected) for one in comparisons)
    least = min(1.0, smallest_p(pairs) * tested) if pairs else 1.0
    if comparisons and least >= SIGNIFICANT:
        advice = "Record more participants."
        if pairs >= FEWEST:
            advice += " The intervals do not replace the test: they are too narrow for so few, and are not corrected."
        lines.append(
            f"- With {count(pairs, 'participant')} and {count(tested, 'comparison')}, the smallest possible "
            f"corrected p is {p_text(least)}. No difference can be significant, however large. {advice}"
        )
    return lines


def searched(points: Sequence[TrialPoint], by: str, score: str) -> list[str]:
    """A Markdown table of the finished trials by tuning strategy or pretext task, the highest score first.

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
    title = {"tuning": "tuning strategy", "pretext": "pretext task"}[by]
    lines = [f"| {title} | finished trials | highest validation {TITLES[score]} | median |", "|---|---|---|---|"]
    for name, values in sorted(found.items(), key=lambda item: -max(item[1])):
        lines.append(f"| `{name}` | {len(values)} | {max(values):.3f} | {median(values):.3f} |")
    return lines


def notes(groups: Sequence[Group]) -> str:
    """Explanation of the scores."""
    summaries = [one for group in groups for one in group.summaries]
    known = {found.known for one in summaries for found in one.scores.values()}
    text = (
        "Scores are from test participants, who were not used for training: mean over participants ± standard "
        f"deviation{', with the 95 % bootstrap interval of the mean' if True in known else ''}. Macro F1, precision "
        "and recall are means over the classes in a participant's true or predicted labels, as in published "
        "benchmarks; *all classes* counts 0 for the other classes."
    )
    if False in known:
        text += f" {TOO_FEW}"
    if any(len(one.seeds) > 1 for one in summaries):
        text += (
            " With several seeds, a participant's score is the mean over seeds; *seeds ±* is the standard deviation of "
            "the seeds' means."
        )
    if any(one.transductive for one in summaries):
        text += (
            f" In an evaluation marked{TRANSDUCTIVE}, pre-training may use unlabelled windows of test participants. "
            "Scores of methods that were pre-trained in this way are not an estimate for new participants."
        )
    if any(one.supervised for one in summaries):
        text += (
            " Methods marked *supervised on* a data set were pre-trained with its labels, so they are not "
            "self-supervised."
        )
    return text


def code(name: str) -> str:
    """A name as code in a table; a vertical bar in it is escaped."""
    return f"`{name}`".replace("|", r"\|")


def _signed(found: Interval) -> str:
    return found.text("+")
