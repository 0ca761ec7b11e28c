"""What ``sslwear study show`` and ``sslwear study compare`` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sslwear.cli.terminal import print_line, standard_output
from sslwear.utils.words import count

if TYPE_CHECKING:
    import optuna
    from rich.console import Console

    from sslwear.reports.study_report import StudyReport
    from sslwear.studies.database.trials import TrialRow
    from sslwear.studies.results.compare import Side
    from sslwear.tracking import Store

MOST_COLUMNS = 1000
"""Width of the widest table, in characters."""
MOST_TRIALS, BEST_TRIALS = 100, 50
"""Number of trials above which only some of them are shown, and how many of the best are."""
MOST_FAILURES = 10
"""Maximum number of failed trials whose reasons are shown."""


def print_study(console: Console, study: optuna.Study, store: Store, all_: bool = False) -> None:
    """Print the trials of a study, its verdict and its scores.

    Args:
        console: the console.
        study: the study.
        store: its store.
        all_: whether all of many trials are shown.
    """
    from sslwear.cli.study_tables import trials_table
    from sslwear.cli.ui import ui_command
    from sslwear.reports.study_text import verdict
    from sslwear.studies.database.trials import kept_settings, network_run, rows
    from sslwear.studies.results.verdict import report

    settings, trials, found = kept_settings(study), rows(study), report(study)
    best = None if found.winner is None else study.get_trials(deepcopy=False)[found.winner]
    candidates = {one.number for one in found.candidates}
    alike = candidates if len(candidates) > 1 else set()
    some = trials if all_ else _most_interesting(trials, found)
    table = trials_table(some, settings.objective, found.winner, settings.search.space, alike)
    if not console.is_terminal:  # a file or pipe has room for all columns
        needed = console.measure(table, options=console.options.update(max_width=MOST_COLUMNS)).maximum
        console.width = max(console.width, needed)
    console.print(table)
    if len(some) < len(trials):
        left = count(len(trials) - len(some), "more trial")
        print_line(console, f"{left}: sslwear study show {study.study_name} --all")
    print_line(console, "")
    if best is not None:
        others = " =: cannot be told from the best." if alike else ""
        print_line(console, f"*: the selected trial.{others}")
    print_line(console, found.judged)
    if best is None:
        for line in verdict(found):
            print_line(console, line)
    else:
        _print_verdict(console, study, found, best.number)
    for note in found.notes:
        print_line(console, note)
    if found.importances:
        text = ", ".join(f"{name} {share.text()}" for name, share in found.importances.items())
        print_line(console, f"Importance of the searched settings for {settings.objective}: {text}.")
    _print_unfinished(console, trials, all_)
    if best is not None:
        print_line(console, f"Repeat a trial with: sslwear rerun {study.study_name} --trial N")
        if (kept := network_run(study, best)) is not None:
            print_line(console, f"Weights of the selected trial: runs:/{kept}")
    print_line(console, f"Browse the study with: {ui_command(store)}")


def _print_verdict(console: Console, study: optuna.Study, found: StudyReport, winner: int) -> None:
    """Which trial is selected and how sure that is, with its scores."""
    from sslwear.cli.study_tables import groups_table, pareto_table, scores_table
    from sslwear.reports.study_text import score_rows, verdict
    from sslwear.studies.database.tested_trials import main_scores, past_evaluations

    for line in verdict(found):
        print_line(console, line)
    if score_rows(found):
        console.print(scores_table(found))
    if found.estimate_note:
        print_line(console, found.estimate_note)
    if found.second is not None:
        console.print(pareto_table(found))
    if found.grouped:
        console.print(groups_table(found))
    if found.warning is not None:
        print_line(console, found.warning)
    scores, what = main_scores(study, winner)
    if scores:
        text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        seen = len(past_evaluations(study))
        print_line(console, f"Test scores, {what} (test evaluations: {seen}): {text}.")


def _most_interesting(trials: Sequence[TrialRow], report: StudyReport) -> Sequence[TrialRow]:
    """Of many trials, the selected one, the best ones and the running ones, in order."""
    if len(trials) <= MOST_TRIALS:
        return trials
    shown = {report.winner, *(one.number for one in report.finished[:BEST_TRIALS])}
    return [row for row in trials if row.number in shown or row.outcome == "running"]


def _print_unfinished(console: Console, trials: Sequence[TrialRow], all_: bool) -> None:
    """Where trials are running, and why trials failed; of many failed ones the last."""
    failed = [row for row in trials if row.outcome == "failed"]
    left = 0 if all_ else max(0, len(failed) - MOST_FAILURES)
    shown = {row.number for row in failed[left:]}
    for row in trials:
        if row.outcome == "running":
            so_far = "" if row.epochs is None else f", {count(row.epochs, 'epoch')} so far"
            print_line(console, f"Running: {_trial_name(row)} on {row.host}{so_far}.")
        if row.number in shown:
            why = row.error or "its process ended without an error message"
            print_line(console, f"Failed: {_trial_name(row)}: {why}.")
    if left:
        print_line(console, f"{count(left, 'earlier trial')} failed too. --all lists them.")


def print_comparison(left: Side, right: Side) -> None:
    """Print what differs between two studies, and their best trials and means."""
    from sslwear.cli.comparison_tables import best_table, groups_table, settings_table
    from sslwear.studies.results.compare import different_settings, incomparable
    from sslwear.training.metrics import HEADLINE_SCORES

    console = standard_output()
    reasons = incomparable(left, right)
    for reason in reasons:
        print_line(console, f"The scores of {left.name} and {right.name} are not comparable: {reason}.")
    if not reasons:
        print_line(
            console,
            f"The scores of {left.name} and {right.name} are comparable: same data, participants and objective.",
        )
    console.print()
    if differing := different_settings(left, right):
        console.print(settings_table(differing, left.name, right.name))
    else:
        print_line(console, "The settings are the same.")
    console.print()
    console.print(best_table(left, right))
    for score in HEADLINE_SCORES:
        for by in ("tuning", "pretext"):
            console.print()
            console.print(groups_table(left, right, score, by))


def _trial_name(row: TrialRow) -> str:
    """Number and tuning strategy of a trial."""
    return f"trial {row.number} ({row.settings.tuning})" if row.settings else f"trial {row.number}"
