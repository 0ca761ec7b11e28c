"""A study in words: the verdict, the table of scores, what to report in a paper, and a description in Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sslwear.evaluation.intervals import FEWEST, Interval
from sslwear.reports.study_report import FINISHED, INTERRUPTED, OUTCOMES, Rated, StudyReport
from sslwear.utils.console import printable
from sslwear.utils.words import count

ROLES = SELECTED, DEFAULT, BASELINE = ("selected", "file's own settings", "baseline")
CANNOT_BE_TOLD = "cannot be told from the best"
MOST_LISTED = 12
"""Maximum number of trials that the Markdown lists."""
_MARKUP = re.compile(r"[\\`*<>|]|(?<!\w)_|_(?!\w)|(?<=\])\(")


@dataclass(frozen=True)
class ScoreRow:
    """A row of the table of scores.

    Attributes:
        role: one of `ROLES`.
        rated: its scores.
        alike: whether it cannot be told from the best trial; None for a baseline.
    """

    role: str
    rated: Rated
    alike: bool | None


def limited(found: Interval | None, between: str = "[{}, {}]") -> str:
    """Mean with its limits, the mean alone if they are not known, or ``-`` without an interval.

    Args:
        found: the mean with its limits.
        between: how the limits are written.
    """
    if found is None:
        return "-"
    if not found.participants or not math.isfinite(found.mean):
        return "undefined"
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{found.mean:.3f}"
    return f"{found.mean:.3f} {between.format(f'{found.low:.3f}', f'{found.high:.3f}')}"


def people(found: Interval | None) -> str:
    """Number of participants of a mean; empty without an interval."""
    return count(found.participants, "participant") if found is not None else ""


def score_rows(report: StudyReport) -> list[ScoreRow]:
    """The selected trial, the study file's own settings and the baseline, as far as there are scores."""
    alike = {one.number for one in report.candidates}
    rows = []
    if report.selected is not None:
        rows.append(ScoreRow(SELECTED, report.selected, True))
    if report.default is not None and (report.selected is None or report.default.trial != report.winner):
        rows.append(ScoreRow(DEFAULT, report.default, report.default.trial in alike))
    if report.baseline is not None:
        rows.append(ScoreRow(BASELINE, report.baseline, None))
    # A trial of version 0.1 has no scores of participants.
    return [row for row in rows if row.rated.estimate or row.rated.test or row.rated.scores]


def verdict(report: StudyReport) -> list[str]:
    """Sentences: which trial was selected, how sure its score is, and what cannot be told from it."""
    if report.winner is None:
        reason = f"{outcomes_text(report)}." if report.trials else "no trial has been run."
        return [f"No trial has been selected: {reason}", *filter(None, [report.selection, report.finding])]
    (trial,) = (one for one in report.trials if one.number == report.winner)
    settings = f" ({named})" if (named := report.named(trial)) else ""
    own = ", the file's own settings," if report.default is not None and report.default.trial == report.winner else ""
    estimate = report.selected.estimate if report.selected is not None else None
    if report.pooled:
        score = f"Its {report.score} over all windows is {trial.text()}."
    elif estimate is None or not estimate.participants:
        score = f"Its mean {report.score} is {trial.text()}, with the standard error over participants."
    elif math.isfinite(estimate.low):
        score = (
            f"Its estimated mean {report.score} is {limited(estimate, '(95 % interval {} to {})')}, from "
            f"{people(estimate)}."
        )
    else:
        score = f"Its estimated mean {report.score} is {limited(estimate)}, from {people(estimate)}" + (
            ", too few for an interval." if estimate.participants < FEWEST else "."
        )
    selected = f"Trial {trial.number}{settings}{own} was selected."
    return [selected, score, *filter(None, [_better_baseline(report), report.finding, report.selection])]


def _better_baseline(report: StudyReport) -> str:
    """A sentence that says where the baseline has a higher score than the selected trial; empty if nowhere."""
    if report.selected is None or report.baseline is None:
        return ""
    mine, other = report.selected, report.baseline
    places = {"in the search": (mine.estimate, other.estimate), "on the test participants": (mine.test, other.test)}
    higher = [
        f"{where} ({theirs.mean:.3f})"
        for where, (own, theirs) in places.items()
        if own is not None and theirs is not None and theirs.mean > own.mean
    ]
    return f"The baseline, {other.name}, has a higher mean {' and '.join(higher)}." if higher else ""


def outcomes_text(report: StudyReport) -> str:
    """Number of trials of each outcome, such as ``26 finished, 3 pruned``."""
    known = [*OUTCOMES, *(name for name in report.outcomes if name not in OUTCOMES)]
    return ", ".join(f"{report.outcomes[name]} {name}" for name in known if report.outcomes[name])


def evaluations_note(report: StudyReport) -> str:
    """A sentence: how often the test participants were scored."""
    if not report.test_evaluations:
        return "The test participants have not been scored."
    if report.test_evaluations == 1:
        return "The test participants were scored once, after the search."
    return (
        f"The test participants were scored {report.test_evaluations} times. If any choice was made by these scores, "
        "they are too high."
    )


def paper(report: StudyReport) -> list[str]:
    """Two paragraphs for a paper, methods and results; none without a winner with an estimate."""
    if report.winner is None or report.selected is None or report.selected.estimate is None:
        return []
    names = ", ".join(name for name in report.searched if report.varied(name))
    searched = f", which differed in {names}" if names else ""
    # Interrupted trials are run again, and a repeated configuration counts once.
    tried = [one for one in report.trials if one.outcome != INTERRUPTED and not one.repeats]
    configurations = count(len(tried), "configuration")
    if early := sum(one.outcome != FINISHED for one in tried):
        searched += f"; {early} of them did not run to the end"
    methods = (
        f"We compared {configurations} of {report.encoder} (initial weights: {report.weights}) on "
        f"{report.data}{searched}. {report.judged} {report.selection}"
    )
    results = [f"Mean {report.score} of the selected configuration: {_in_brackets(report.selected)}."]
    if report.estimate_note:
        results.append(report.estimate_note)
    if report.baseline is not None and _in_brackets(report.baseline):
        results.append(f"Baseline ({report.baseline.name}): {_in_brackets(report.baseline)}.")
    if (compared := sum(not one.repeats for one in report.finished) - report.excluded) > 1:
        kept = " and keep the constraint" if report.excluded else ""
        alike = sum(not one.repeats for one in report.candidates)
        results.append(
            f"Of the {count(compared, 'configuration')} that ran to the end{kept}, "
            + (
                f"{alike}, the best included, could not be told apart."
                if alike > 1
                else "one was better than all others."
            )
        )
    return [methods.strip(), " ".join(results)]


def _in_brackets(rated: Rated) -> str:
    """Estimate and test score, each with interval and number of participants; empty without both."""
    parts = []
    for found, where in (
        (rated.estimate, "estimated without the test participants"),
        (rated.test, "on the test participants"),
    ):
        if found is not None:
            limits = limited(found, "(95 % interval {} to {})")
            parts.append(f"{limits} {where} (n = {found.participants})")
    return ", and ".join(parts)


def study_markdown(report: StudyReport) -> str:
    """A short description of a study in Markdown: the verdict, the scores, and the trials that cannot be told apart."""
    blocks = [markdown_text(report.judged), " ".join(map(markdown_text, verdict(report)))]
    if report.warning:
        blocks.append(f"**Warning:** {markdown_text(report.warning)}")
    if rows := score_rows(report):
        blocks.append("\n".join(_score_table(report, rows)))
        notes = [report.estimate_note * (report.selected is not None), evaluations_note(report)]
        blocks.append(" ".join(markdown_text(note) for note in notes if note))
    if len(report.candidates) > 1:
        blocks.append(f"Trials that {CANNOT_BE_TOLD}:")
        blocks.append("\n".join(_candidates_table(report)))
        if (left := len(report.candidates) - MOST_LISTED) > 0:
            blocks.append(f"{count(left, 'more trial')} cannot be told from the best.")
    return "\n\n".join(blocks)


def _score_table(report: StudyReport, rows: Sequence[ScoreRow]) -> list[str]:
    lines = [f"| {report.score} | estimate [95 % interval] | test score [95 % interval] |", "|---|---|---|"]
    for row in rows:
        cells = [
            ", ".join(filter(None, [limited(found), people(found)])) for found in (row.rated.estimate, row.rated.test)
        ]
        mark = f"; {CANNOT_BE_TOLD}" if row.alike and row.rated.trial != report.winner else ""
        lines.append(f"| {markdown_text(row.rated.name)} ({row.role}{mark}) | {' | '.join(cells)} |")
    return lines


def _candidates_table(report: StudyReport) -> list[str]:
    lines = [f"| trial | {report.score} ± standard error | settings |", "|---|---|---|"]
    for one in report.candidates[:MOST_LISTED]:
        mark = " (selected)" if one.number == report.winner else ""
        lines.append(f"| {one.number}{mark} | {one.text()} | {markdown_text(report.named(one, most=4)) or '-'} |")
    return lines


def markdown_text(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", printable(" ".join(text.split())))
