"""A study's report: ``REPORT.md`` to read, ``REPORT.json`` to compute with, and a few small pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.evaluation.comparison import Summary, compare, find_method, summaries
from sslwear.pretext.base import CHANCE
from sslwear.reports.report_figures import CURVES, NAMES, MethodPoint, report_pictures, small_png
from sslwear.reports.report_text import (
    CAPTIONS,
    TITLES,
    Group,
    answer,
    comparisons_table,
    helped,
    notes,
    scores_table,
    searched,
    unlike,
)
from sslwear.reports.study_figures import TrialPoint
from sslwear.training import EpochRecord
from sslwear.utils.masking import masked

REPORT, ROWS = "REPORT.md", "REPORT.json"
COMPARED = ("f1", "kappa")


@dataclass(frozen=True)
class Pretrained:
    """What one pretext task came to in the pre-trainings that the methods start from.

    Attributes:
        pretext: the task's name.
        runs: ids of the pre-trainings.
        scores: on held-out participants, means over the runs, by name; ``chance`` is what knowing nothing would score.
    """

    pretext: str
    runs: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class ReportInputs:
    """What a report tells beside the scores.

    Attributes:
        settings: the study's.
        commands: that were given, in order.
        commits: of the code that they ran with.
        outcomes: how many trials of the search ended in which way.
        points: these trials, as charts show them.
        kinds: what learnt and the pretext task, by name of the method, of those that are networks.
        curves: epochs of the winner's training; none where they are not known.
        best_epoch: of these, the one that was kept.
        winner: whose these are, in a few words.
        pretrained: what the pretext tasks came to.
    """

    settings: Settings
    commands: Sequence[str]
    commits: Sequence[str]
    outcomes: Mapping[str, int]
    points: Sequence[TrialPoint] = ()
    kinds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    curves: Sequence[EpochRecord] = ()
    best_epoch: int = 0
    winner: str = ""
    pretrained: Sequence[Pretrained] = ()


def write_report(
    results: pd.DataFrame, account: ReportInputs, folder: Path, reference: str | None = None
) -> list[Path]:
    """Write a study's report into a folder, in place of an earlier one.

    Args:
        results: one row for each data set, protocol, method, seed, fold and participant, see
            `sslwear.evaluation.comparison.summaries`.
        account: of the study.
        folder: made where there is none.
        reference: the method that the others are compared with; the first of the results by default.

    Returns:
        The files, the text first.

    Raises:
        StudyError: when there are no results, no such method, or the folder cannot be written to.
    """
    if results.empty:
        raise StudyError(f"the study {account.settings.study!r} has no evaluation yet, so there is nothing to report")
    groups = grouped(results, account.settings.objective, reference, _baselines(account.settings))
    score = account.settings.objective
    differences = {group.title: group.comparisons[score] for group in groups}
    networks = {
        group.title: [
            MethodPoint(one, *account.kinds[one.method]) for one in group.summaries if one.method in account.kinds
        ]
        for group in groups
    }
    figures = report_pictures(networks, account.points, differences, account.curves, account.best_epoch, score)
    files = {
        REPORT: masked(text(groups, account, list(figures))).encode(),
        ROWS: (json.dumps(json_rows(groups), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        **{name: small_png(figure) for name, figure in figures.items()},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (folder / name).unlink(missing_ok=True)  # a picture that an earlier report had and this one has not
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise StudyError(f"cannot write into {folder} ({error.strerror}); give another folder with --out") from error
    return [folder / name for name in files]


def _baselines(settings: Settings) -> frozenset[str]:
    methods = settings.evaluation.methods if settings.evaluation is not None else {}
    return frozenset(name for name, given in methods.items() if given.baseline is not None)


def grouped(
    results: pd.DataFrame, score: str, reference: str | None = None, baselines: frozenset[str] = frozenset()
) -> list[Group]:
    """The methods by data set and protocol, compared with the reference of each.

    Args:
        results: one row for each data set, protocol, method, seed, fold and participant.
        score: which ranks them.
        reference: the method that the others are compared with; the first of the results by default.
        baselines: names of the methods without a network.

    Raises:
        StudyError: when a data set or protocol has no method of the reference's name.
    """
    found: dict[tuple[str, str], list[Summary]] = {}
    for one in summaries(results):
        found.setdefault((one.dataset, one.protocol), []).append(one)
    groups = []
    for methods in found.values():
        base = find_method(methods, reference)
        scores = {name: compare(methods, base, name) for name in COMPARED}
        groups.append(Group(methods, base, score, scores, baselines))
    return groups


def text(groups: Sequence[Group], account: ReportInputs, pictures: Sequence[str]) -> str:
    """The report as Markdown.

    Args:
        groups: the results.
        account: of the study.
        pictures: file names of those that stand beside it.
    """
    score = account.settings.objective
    parts = [f"# Study {account.settings.study}", "\n\n".join(answer(group) for group in groups)]
    parts += [warning for group in groups if (warning := unlike(group)) is not None]
    parts += ["## Scores", notes(groups)]
    for group in groups:
        parts += [f"### {group.title}", "\n".join(scores_table(group))]
    if any(group.comparisons[score] for group in groups):
        parts += ["## Against the reference", _how_compared()]
        for group in groups:
            if group.comparisons[score]:
                parts.append(f"### {group.title}: what helped, and what did not")
                parts.append("\n".join(helped(group)))
                order = sorted(COMPARED, key=lambda name: name != score)
                parts += ["\n".join(comparisons_table(group, name)) for name in order]
    parts += _pretexts(account.pretrained)
    parts += _pictures(pictures, account.winner)
    parts += _search(groups, account)
    parts += _repeating(groups, account)
    return "\n\n".join(parts) + "\n"


def _how_compared() -> str:
    return (
        "Differences are paired by participant: the mean, its 95 % bootstrap interval, and p of Wilcoxon's signed-rank "
        "test (two-sided), corrected for the number of rows of the table by Holm's method. Two methods can be told "
        "apart where the corrected p is under 0.05; the intervals are not corrected."
    )


def _pretexts(pretrained: Sequence[Pretrained]) -> list[str]:
    """What the pretext tasks came to, so that one that teaches nothing is seen."""
    if not pretrained:
        return []
    lines = ["| pretext task | pre-trainings | chance | on held-out participants |", "|---|---|---|---|"]
    for one in pretrained:
        chance = f"{one.scores[CHANCE]:.3f}" if CHANCE in one.scores else ""
        scores = ", ".join(f"{name} {value:.3f}" for name, value in one.scores.items() if name != CHANCE)
        lines.append(f"| `{one.pretext}` | {len(one.runs)} | {chance} | {scores} |")
    how = (
        "Scores of the pre-trained networks at their own task, on people whom they have not learnt from: means over "
        "the pre-trainings. One that stays at chance has taught nothing."
    )
    return ["## What the pretext tasks learnt", how, "\n".join(lines)]


def _pictures(pictures: Sequence[str], winner: str) -> list[str]:
    captions = {**CAPTIONS, CURVES: f"{CAPTIONS[CURVES]}, {winner}" if winner else CAPTIONS[CURVES]}
    shown = [f"{captions[name]}:\n\n![{captions[name]}]({name})" for name in pictures]
    return ["## Pictures", *shown] if shown else []


def _search(groups: Sequence[Group], account: ReportInputs) -> list[str]:
    """How many configurations were tried, and what came of them."""
    methods = len({one.label for group in groups for one in group.summaries})
    runs = len({run for group in groups for one in group.summaries for run in one.run_ids})
    evaluated = f"{methods} method{'s were' if methods > 1 else ' was'} evaluated, in {runs} runs."
    total = sum(account.outcomes.values())
    if not total:
        return ["## What was tried", f"{evaluated} There was no search."]
    ended = ", ".join(f"{count} {outcome}" for outcome, count in account.outcomes.items())
    score = account.settings.objective
    parts = [
        "## What was tried",
        f"{evaluated} The search before it tried {total} configuration{'s' if total > 1 else ''}: {ended}. These were "
        f"compared by {TITLES[score]} on the search's validation participants, where the best of many looks better "
        "than it is.",
    ]
    tables = [searched(account.points, by, score) for by in ("tuning", "pretext")]
    return parts + ["\n".join(table) for table in tables if table]


def _repeating(groups: Sequence[Group], account: ReportInputs) -> list[str]:
    parts = ["## How to repeat it"]
    if account.commands:
        parts.append("```sh\n" + "\n".join(account.commands) + "\n```")
    seeds = sorted({seed for group in groups for one in group.summaries for seed in one.seeds})
    commits = ", ".join(f"`{commit}`" for commit in account.commits) or "not known"
    parts.append(
        f"Seed of the search: {account.settings.seed}. Seeds of the evaluation: {', '.join(map(str, seeds))}. Commit "
        f"of the code: {commits}. The runs' ids are in `REPORT.json`; a training is repeated, and "
        "compared with what it gave, by `sslwear rerun RUN_ID`."
    )
    parts.append(
        f"The study's settings, every default filled in:\n\n```yaml\n{account.settings.to_yaml().strip()}\n```"
    )
    return parts


def json_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One row for each method on a data set under a protocol; what is undefined is None."""
    return [_row(one) for group in groups for one in group.ranked]


def _row(one: Summary) -> dict[str, Any]:
    row: dict[str, Any] = {"dataset": one.dataset, "protocol": one.protocol, "method": one.method}
    for name, found in one.scores.items():
        row |= {f"{name}_mean": _finite(found.mean), f"{name}_sd": _finite(found.sd)}
        row |= {f"{name}_low": _finite(found.low), f"{name}_high": _finite(found.high)}
        row[f"{name}_seed_sd"] = _finite(one.seed_sd[name])
    people = {
        str(person): {str(name): _finite(value) for name, value in scores.items()}
        for person, scores in one.participants.to_dict("index").items()
    }
    return {
        **row,
        "transductive": one.transductive,
        "supervised": one.supervised or None,
        "seeds": list(one.seeds),
        "participants": people,
        "run_ids": list(one.run_ids),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
