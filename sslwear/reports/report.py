"""Report of an evaluation: ``REPORT.md`` as text, ``REPORT.json`` as data, and small figures."""

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
from sslwear.reports.class_scores import class_section, f1_by_class
from sslwear.reports.report_figures import CONFUSION, CURVES, NAMES, MethodPoint, report_pictures, small_png
from sslwear.reports.report_text import (
    CAPTIONS,
    TITLES,
    Group,
    answer,
    comparisons_table,
    incomplete,
    notes,
    scores_table,
    searched,
    significance,
)
from sslwear.reports.study_report import TrialPoint
from sslwear.reports.training_figures import confusion_figure
from sslwear.training import EpochRecord
from sslwear.utils.masking import masked
from sslwear.utils.words import count

REPORT, ROWS = "REPORT.md", "REPORT.json"
COMPARED = ("f1", "kappa")


@dataclass(frozen=True)
class Pretrained:
    """Scores of the pre-trainings on one pretext task that the methods start from.

    Attributes:
        pretext: name of the task.
        runs: ids of the pre-training runs.
        scores: means over the runs of scores on held-out participants, by name; ``chance`` is the score at random.
    """

    pretext: str
    runs: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class ReportInputs:
    """Contents of a report besides the scores of the evaluation.

    Attributes:
        settings: settings of the study.
        commands: commands of the study and the evaluation, in order.
        commits: commits of the code.
        outcomes: number of trials of the search, by outcome.
        points: the trials of the search.
        kinds: tuning strategy and pretext task of the networks, by name of the method.
        curves: epochs of the training of the search's best trial, or of the best network that has a run; empty if they
            are not known.
        best_epoch: the epoch whose weights were kept.
        curves_of: name of the run with these epochs.
        pretrained: scores of the pre-trainings.
        judged: how the trials of the search were judged, in a sentence; empty if the study did not keep it.
        unfinished: what the report lacks because jobs are not done, in a sentence; empty if all are.
        confusions: windows by true class (index) and predicted class (columns) over all folds and seeds, by name of the
            method; methods without are left out.
    """

    settings: Settings
    commands: Sequence[str]
    commits: Sequence[str]
    outcomes: Mapping[str, int]
    points: Sequence[TrialPoint] = ()
    kinds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    curves: Sequence[EpochRecord] = ()
    best_epoch: int = 0
    curves_of: str = ""
    pretrained: Sequence[Pretrained] = ()
    judged: str = ""
    unfinished: str = ""
    confusions: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def write_report(results: pd.DataFrame, inputs: ReportInputs, folder: Path, reference: str | None = None) -> list[Path]:
    """Write the report of an evaluation into a folder; an earlier report is replaced.

    Args:
        results: one row for each data set, protocol, method, seed, fold and participant, see
            `sslwear.evaluation.comparison.summaries`.
        inputs: further contents of the report.
        folder: output folder, created if it does not exist.
        reference: the method that the others are compared with; by default the first one of the results.

    Returns:
        Paths of the files; the first one is the text.

    Raises:
        StudyError: when there are no results, there is no such method, or the folder cannot be written to.
    """
    if results.empty:
        raise StudyError(f"the study {inputs.settings.study!r} has no evaluation yet. Run sslwear evaluate first")
    groups = grouped(results, inputs.settings.objective, reference, not_only_networks(inputs.settings))
    score = inputs.settings.objective
    differences = {group.title: group.comparisons[score] for group in groups}
    networks = {
        group.title: [
            MethodPoint(one, *inputs.kinds[one.method]) for one in group.summaries if one.method in inputs.kinds
        ]
        for group in groups
    }
    figures = report_pictures(networks, inputs.points, differences, inputs.curves, inputs.best_epoch, score)
    if (best := next((one for one in _ranked(groups) if one.method in inputs.confusions), None)) is not None:
        counts = inputs.confusions[best.method]
        figures[CONFUSION] = confusion_figure(counts.to_numpy(), list(counts.index), best.label)
    rows = json_rows(groups, inputs.confusions)
    files = {
        REPORT: masked(text(groups, inputs, list(figures))).encode(),
        ROWS: (json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        **{name: small_png(figure) for name, figure in figures.items()},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (folder / name).unlink(missing_ok=True)  # figures of an earlier report that this one does not have
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise StudyError(f"cannot write into {folder} ({error.strerror}). Give another folder with --out") from error
    return [folder / name for name in files]


def not_only_networks(settings: Settings) -> dict[str, str]:
    """Methods of an evaluation that are no networks, or not only networks, and what each is in words."""
    methods = settings.evaluation.methods if settings.evaluation is not None else {}

    found = {name: "a baseline" for name, given in methods.items() if given.baseline is not None}
    found |= {name: "a linear probe" for name, given in methods.items() if given.probe is not None}
    members = {name: {found[one] for one in given.ensemble or () if one in found} for name, given in methods.items()}
    return found | {name: f"an average with {' and '.join(sorted(kinds))}" for name, kinds in members.items() if kinds}


def grouped(
    results: pd.DataFrame, score: str, reference: str | None = None, baselines: Mapping[str, str] | None = None
) -> list[Group]:
    """Methods by data set and protocol, compared with the reference.

    Args:
        results: one row for each data set, protocol, method, seed, fold and participant.
        score: name of the score by which methods are ranked.
        reference: the method that the others are compared with; by default the first one of the results.
        baselines: methods that are not only networks, see `not_only_networks`.

    Raises:
        StudyError: when a data set and protocol lack the reference.
    """
    found: dict[tuple[str, str], list[Summary]] = {}
    for one in summaries(results):
        found.setdefault((one.dataset, one.protocol), []).append(one)
    groups = []
    for methods in found.values():
        base = find_method(methods, reference)
        scores = {name: compare(methods, base, name) for name in COMPARED}
        groups.append(Group(methods, base, score, scores, baselines or {}))
    return groups


def text(groups: Sequence[Group], inputs: ReportInputs, pictures: Sequence[str]) -> str:
    """The report as Markdown.

    Args:
        groups: methods by data set and protocol.
        inputs: further contents.
        pictures: file names of the figures.
    """
    score = inputs.settings.objective
    parts = [f"# Study {inputs.settings.study}", "\n\n".join(answer(group) for group in groups)]
    parts += [f"**Unfinished:** {inputs.unfinished}."] if inputs.unfinished else []
    parts += [warning for group in groups if (warning := incomplete(group)) is not None]
    parts += ["## Scores", notes(groups)]
    for group in groups:
        parts += [f"### {group.title}", "\n".join(scores_table(group))]
    if any(group.comparisons[score] for group in groups):
        parts += ["## Comparison with the reference", _how_compared(groups, score)]
        for group in groups:
            if group.comparisons[score]:
                parts.append(f"### {group.title}: differences from the reference")
                parts.append("\n".join(significance(group)))
                order = sorted(COMPARED, key=lambda name: name != score)
                parts += ["\n".join(comparisons_table(group, name)) for name in order]
    parts += class_section(inputs.confusions, _ranked(groups))
    parts += _pretexts(inputs.pretrained)
    parts += _pictures(pictures, inputs.curves_of)
    parts += _search(groups, inputs)
    parts += _repeating(groups, inputs)
    return "\n\n".join(parts) + "\n"


def _ranked(groups: Sequence[Group]) -> list[Summary]:
    return [one for group in groups for one in group.ranked]


def _how_compared(groups: Sequence[Group], score: str) -> str:
    intervals = any(one.found.interval.known for group in groups for one in group.comparisons[score])
    return (
        f"Differences are paired by participant: mean{' with 95 % bootstrap interval' if intervals else ''}, and p of "
        "the two-sided Wilcoxon signed-rank test. Holm's method corrects p for the number of rows of the table. A "
        "difference is significant if the corrected p is below 0.05."
        f"{' The intervals are not corrected.' if intervals else ''}"
    )


def _pretexts(pretrained: Sequence[Pretrained]) -> list[str]:
    """Scores of the pre-trainings beside chance, which show whether a pretext task was learnt."""
    if not pretrained:
        return []
    lines = ["| pretext task | pre-trainings | chance | held-out participants |", "|---|---|---|---|"]
    for one in pretrained:
        chance = f"{one.scores[CHANCE]:.3f}" if CHANCE in one.scores else ""
        scores = ", ".join(f"{name} {value:.3f}" for name, value in one.scores.items() if name != CHANCE)
        lines.append(f"| `{one.pretext}` | {len(one.runs)} | {chance} | {scores} |")
    how = (
        "Scores on the pretext task for held-out participants, as means over the pre-trainings. A score at chance "
        "means that the network learnt nothing."
    )
    return ["## Scores on the pretext tasks", how, "\n".join(lines)]


def _pictures(pictures: Sequence[str], curves_of: str) -> list[str]:
    captions = {**CAPTIONS, CURVES: f"{CAPTIONS[CURVES]} of {curves_of}" if curves_of else CAPTIONS[CURVES]}
    shown = [f"{captions[name]}:\n\n![{captions[name]}]({name})" for name in pictures]
    return ["## Figures", *shown] if shown else []


def _search(groups: Sequence[Group], inputs: ReportInputs) -> list[str]:
    """Number of configurations and scores of the search."""
    methods = len({one.label for group in groups for one in group.summaries})
    runs = len({run for group in groups for one in group.summaries for run in one.run_ids})
    evaluated = f"{methods} method{'s were' if methods > 1 else ' was'} evaluated, in {count(runs, 'run')}."
    evaluation = inputs.settings.evaluation
    methods_of_file = evaluation.methods if evaluation is not None else {}
    searching = [
        f"`{name}` chose one of {count(one.trials or 0, 'trial')} in each fold."
        for name, one in methods_of_file.items()
        if one.search is not None
    ]
    total = sum(inputs.outcomes.values())
    if not total:
        return ["## Search", " ".join([evaluated, *(searching or ["There was no search."])])]
    ended = ", ".join(f"{number} {outcome}" for outcome, number in inputs.outcomes.items())
    score = inputs.settings.objective
    before = f"Trials were compared by {TITLES[score]} over all windows of the validation participants."  # version 0.1
    parts = [
        "## Search",
        " ".join([evaluated, *searching, f"The search had {count(total, 'trial')}: {ended}.", inputs.judged or before])
        + " The highest of many validation scores is too optimistic.",
    ]
    tables = [searched(inputs.points, by, score) for by in ("tuning", "pretext")]
    return parts + ["\n".join(table) for table in tables if table]


def _repeating(groups: Sequence[Group], inputs: ReportInputs) -> list[str]:
    parts = ["## How to reproduce"]
    if inputs.commands:
        parts.append("```sh\n" + "\n".join(inputs.commands) + "\n```")
    seeds = sorted({seed for group in groups for one in group.summaries for seed in one.seeds})
    commits = ", ".join(f"`{commit}`" for commit in inputs.commits) or "unknown"
    searched_with = f"Seed of the search: {inputs.settings.seed}. " if sum(inputs.outcomes.values()) else ""
    parts.append(
        f"{searched_with}Seeds of the evaluation: {', '.join(map(str, seeds))}. Commit of the code: {commits}. "
        "`REPORT.json` has the ids of the runs; `sslwear rerun RUN_ID` repeats a run and compares the results."
    )
    parts.append(f"Settings of the study, with all defaults:\n\n```yaml\n{inputs.settings.to_yaml().strip()}\n```")
    return parts


def json_rows(groups: Sequence[Group], confusions: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """One row for each data set, protocol and method; undefined values are None."""
    return [_row(one, confusions.get(one.method)) for one in _ranked(groups)]


def _row(one: Summary, confusion: pd.DataFrame | None) -> dict[str, Any]:
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
        "f1_by_class": None if confusion is None else {key: _finite(f1) for key, f1 in f1_by_class(confusion).items()},
        "run_ids": list(one.run_ids),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
