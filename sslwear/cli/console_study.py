"""What the command line prints of studies and runs: lists, and two of them side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import optuna
from mlflow.entities import Run as MlflowRun
from rich.table import Table

from sslwear.evaluation.comparison import Comparison, Summary
from sslwear.studies.compare import Row, Side, groups
from sslwear.studies.final_test import training_of
from sslwear.studies.trials import TrialRow, kept_settings, rows, winner
from sslwear.training.metrics import HEADLINE_SCORES

SHOWN_LETTERS = 60


def studies_table(studies: Sequence[optuna.Study]) -> Table:
    """One study a row: how far it is, its best trial and its test score."""
    table = _table("study", "data", "encoder", "objective")
    for name in ("trials", "pruned", "failed", "running", "best", "test"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("best tunes", no_wrap=True)
    for study in studies:
        if "settings" not in study.user_attrs:
            table.add_row(study.study_name, "(not of sslwear)")
            continue
        settings, best, trials = kept_settings(study), winner(study), rows(study)
        count = {outcome: sum(row.outcome == outcome for row in trials) for outcome in ("pruned", "failed", "running")}
        counted = sum(row.outcome in ("finished", "pruned", "failed") for row in trials)
        tested = study.user_attrs.get("tested", {}).get(str(best.number), {}) if best else {}
        table.add_row(
            *(study.study_name, settings.data, settings.encoder, settings.objective),
            f"{counted} of {max(settings.trials, counted)}",
            *(str(number or "-") for number in count.values()),
            number(best.value if best else None),
            number(tested.get(settings.objective)),
            training_of(best).tuning if best else "-",
        )
    return table


def trial_name(row: TrialRow) -> str:
    """A trial with what it tunes, for a sentence."""
    return f"trial {row.number} ({row.settings.tuning})" if row.settings else f"trial {row.number}"


def differences_table(title: str, differing: Sequence[Row], left: str, right: str) -> Table:
    """What two sides do not share, with the difference where both have numbers."""
    table = _table(title, left, right)
    with_numbers = any(isinstance(row.left, float) and isinstance(row.right, float) for row in differing)
    if with_numbers:
        table.add_column("difference", justify="right", no_wrap=True)
    for row in differing:
        change = row.right - row.left if isinstance(row.left, float) and isinstance(row.right, float) else None
        extra = [f"{change:+.4g}" if change is not None else ""] if with_numbers else []
        table.add_row(row.name, _text(row.left), _text(row.right), *extra)
    return table


def groups_table(left: Side, right: Side, score: str, by: str) -> Table:
    """A score's best and median by what was tuned or by pretext task, on both sides."""
    table = _table(f"validation {score} by {'pretext task' if by == 'pretext' else 'what was tuned'}")
    for side in (left, right):
        for what in ("best", "median", "trials"):
            table.add_column(f"{side.name}: {what}", justify="right")
    for row in groups(left, right, score, by):
        cells = []
        for found in (row.left, row.right):
            cells += [number(found[0]), number(found[1]), str(found[2])] if found else ["-"] * 3
        table.add_row(row.name, *cells)
    return table


def methods_table(methods: Sequence[Summary], comparisons: Sequence[Comparison]) -> Table:
    """Methods of an evaluation, one a row: means with intervals, spread over seeds, difference to the first one."""
    differences = {comparison.summary.method: comparison for comparison in comparisons}
    table = _table("method")
    names = ["kappa", "f1", "people", "seeds", "seed sd", *(("difference", "p, Holm") if comparisons else ())]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for one in methods:
        kappa, spread = one.scores["kappa"], one.seed_sd["kappa"]
        shown = "-" if math.isnan(spread) else f"{spread:.3f}"
        cells = [str(kappa), str(one.scores["f1"]), str(kappa.participants), str(len(one.seeds)), shown]
        if (found := differences.get(one.method)) is not None:
            cells += [str(found.found.interval), "-" if math.isnan(found.corrected) else f"{found.corrected:.3f}"]
        table.add_row(one.label, *cells)
    return table


def best_table(left: Side, right: Side) -> Table:
    """The best trial of each side, its settings and its scores."""
    table = _table("best trial", left.name, right.name)
    bests = [side.best for side in (left, right)]
    found = [training_of(best).model_dump() if best else {} for best in bests]
    table.add_row("number", *(str(best.number) if best else "-" for best in bests))
    for key in dict.fromkeys([*found[0], *found[1]]):
        table.add_row(key, *(_text(settings.get(key)) for settings in found))
    for score in HEADLINE_SCORES:
        values = [_validation(side, score) for side in (left, right)]
        table.add_row(f"validation {score}", *map(number, values))
    for score in HEADLINE_SCORES:
        tests = [
            side.tests.get(str(best.number), {}) if best else {}
            for side, best in zip((left, right), bests, strict=True)
        ]
        if any(tests):
            table.add_row(f"test {score}", *(number(test.get(score)) if test else "not looked at" for test in tests))
    return table


def _validation(side: Side, score: str) -> float | None:
    """The best trial's score, that of the epoch that was kept."""
    if side.best is None:
        return None
    run = side.store.find_run(side.best.user_attrs["run_id"])
    if run is not None and score in run.data.metrics:
        return float(run.data.metrics[score])
    return side.best.value if score == side.settings.objective else None


def run_line(run: MlflowRun) -> str:
    """A run in a line: its id, its name, what it is of, and how it ended."""
    tags = run.data.tags
    kind = tags.get("sslwear.kind", "run")
    outcome = tags.get("sslwear.outcome", run.info.status.lower())
    of = f" of {tags['sslwear.study']}" if "sslwear.study" in tags else ""
    return f"{run.info.run_id[:8]}: {run.info.run_name}, {kind}{of}, {outcome}"


def number(value: float | None) -> str:
    """A score to three digits."""
    return "-" if value is None else f"{value:.3f}"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)
