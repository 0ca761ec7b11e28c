"""The ``sslwear study`` commands: run, show, list, compare and report studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sslwear.cli.terminal import print_line, standard_output, user_errors
from sslwear.cli.workers import Storage, Tracking, number_of_workers, open_store, run_in_workers
from sslwear.utils.words import count

if TYPE_CHECKING:
    import optuna

    from sslwear.reports.study_report import StudyReport
    from sslwear.studies.compare import Side
    from sslwear.studies.trials import TrialRow
    from sslwear.tracking import Store

MOST_COLUMNS = 1000
"""Width of the widest table, in characters."""
MOST_TRIALS, BEST_TRIALS = 100, 50
"""Number of trials above which only some of them are shown, and how many of the best are."""
MOST_FAILURES = 10
"""Maximum number of failed trials whose reasons are shown."""

study_app = typer.Typer(no_args_is_help=True, help="Run, resume, show, list, compare and report studies.")

StudyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A study file such as experiments/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting, e.g. training.max_epochs=3; repeatable."),
]


TotalTrials = Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")]


@study_app.command("run")
def study_run(
    file: StudyFile,
    trials: TotalTrials = None,
    set_: Overrides = None,
    workers: Annotated[
        str, typer.Option(metavar="N", help="The number of processes that share the cores, or auto.")
    ] = "1",
    storage: Storage = None,
    tracking: Tracking = None,
) -> None:
    """Run a study; the same command resumes an interrupted one."""
    with user_errors("finished trials are kept; the same command resumes the study"):
        from sslwear.config import load
        from sslwear.studies.optimise import run_study
        from sslwear.studies.progress import ConsoleProgress

        overrides = [*(set_ or []), *([f"trials={trials}"] if trials is not None else [])]
        settings = load(file, overrides, "study")
        store = open_store(storage, tracking, settings)
        console, number = standard_output(), number_of_workers(workers, settings)
        if number > 1:
            run_in_workers(["study", "worker", str(file)], overrides, settings, number, console)
        with ConsoleProgress(console, epochs=False, before=number == 1) as progress:  # its workers said it
            study = run_study(settings, store, progress, joint=number > 1)
        _print_study(console, study, store)


@study_app.command("worker")
def study_worker(
    file: StudyFile,
    trials: TotalTrials = None,
    set_: Overrides = None,
    storage: Storage = None,
    tracking: Tracking = None,
) -> None:
    """Join a study with any number of other workers, also on other machines, until its trials or hours are spent."""
    with user_errors("finished trials are kept; others go on, or the same command does"):
        from sslwear.config import load
        from sslwear.studies.optimise import run_study
        from sslwear.studies.progress import ConsoleProgress
        from sslwear.utils.processes import end_with_parent

        end_with_parent()
        overrides = [*(set_ or []), *([f"trials={trials}"] if trials is not None else [])]
        settings = load(file, overrides, "study")
        store = open_store(storage, tracking, settings)
        with ConsoleProgress(standard_output(), epochs=False) as progress:
            run_study(settings, store, progress, joint=True)


@study_app.command("show")
def study_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name.")],
    all_: Annotated[
        bool, typer.Option("--all", help="Show all trials; of more than 100, only the best 50 and running ones are.")
    ] = False,
) -> None:
    """Show the trials of a study with the best one and its scores, and the methods of an evaluation of that name."""
    with user_errors():
        from sslwear.cli.evaluate import print_evaluation
        from sslwear.studies.cross_validation_results import results
        from sslwear.studies.evaluations import find_evaluation
        from sslwear.studies.storage import all_studies, find_study, store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(write=False), standard_output()
        with store_errors(store):
            evaluation = find_evaluation(name, store)
            if evaluation is None or name in [study.study_name for study in all_studies(store)]:
                _print_study(console, find_study(name, store), store, all_)
            if evaluation is not None:
                console.print()
                if evaluation.done is not None:
                    print_line(console, f"Evaluation of {name}: {evaluation.done} of {evaluation.total} jobs done.")
                print_evaluation(console, results(name, store))


@study_app.command("list")
def study_list() -> None:
    """List all studies with their number of trials and best scores, and all evaluations with their best methods."""
    with user_errors():
        from sslwear.cli.study_tables import evaluations_table, studies_table
        from sslwear.cli.ui import NO_STUDY
        from sslwear.studies.evaluations import all_evaluations
        from sslwear.studies.storage import all_studies, store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(write=False), standard_output()
        with store_errors(store):
            studies, evaluations = all_studies(store), all_evaluations(store)
        if not studies and not evaluations:
            print_line(console, NO_STUDY)
            return
        if studies:
            console.print(studies_table(studies))
        if studies and evaluations:
            print_line(console, "")
        if evaluations:
            console.print(evaluations_table(evaluations))
        print_line(
            console,
            "\nvalidation: mean over the judged participants, or over all windows in a study of version 0.1. "
            "test: mean over the test participants.",
        )


@study_app.command("compare")
def study_compare(
    left: Annotated[str, typer.Argument(metavar="A", help="A study's name.")],
    right: Annotated[str, typer.Argument(metavar="B", help="Another study's name.")],
) -> None:
    """Compare two studies: whether scores are comparable, different settings, best trials, and scores by group."""
    with user_errors():
        from sslwear.studies.compare import Side
        from sslwear.studies.storage import find_study, store_errors
        from sslwear.tracking import Store

        store = Store.from_environment(write=False)
        with store_errors(store):
            _print_comparison(*(Side(find_study(name, store), store) for name in (left, right)))


@study_app.command("report")
def study_report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The output folder.")],
    reference: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="The method to compare the others with; by default the first one."),
    ] = None,
) -> None:
    """Write the page of a study (study.html), or the report of an evaluation: REPORT.md, REPORT.json and figures."""
    with user_errors():
        from sslwear.errors import StudyError
        from sslwear.reports.report import write_report
        from sslwear.reports.study_page import study_page
        from sslwear.studies.cross_validation_results import results
        from sslwear.studies.report_inputs import gather_report_inputs
        from sslwear.studies.storage import all_studies, find_study, store_errors
        from sslwear.studies.summary import PAGE
        from sslwear.studies.verdict import report
        from sslwear.tracking import Store

        store = Store.from_environment(write=False)
        with store_errors(store):
            try:
                found = results(name, store)
            except StudyError:
                if name not in [study.study_name for study in all_studies(store)]:
                    raise
                page = study_page(report(find_study(name, store)))  # a study that was not evaluated
                out.mkdir(parents=True, exist_ok=True)
                (out / PAGE).write_text(page, encoding="utf-8")
                print_line(standard_output(), str(out / PAGE))
                return
            inputs = gather_report_inputs(name, store, found)
        for path in write_report(found, inputs, out, reference):
            print_line(standard_output(), str(path))


@study_app.command("check")
def study_check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Give back trials of ended processes, and end runs as their trials ended.")
    ] = False,
) -> None:
    """Check that Optuna and MLflow say the same about a study's trials; the exit status is 1 if they do not."""
    with user_errors():
        from sslwear.studies.check import check_study
        from sslwear.tracking import Store

        store = Store.from_environment(write=repair)
        checked = check_study(name, store, repair)
        for difference in checked.differences:
            print_line(standard_output(), f"{difference.text}.")
        print_line(standard_output(), checked.sentence())
        if checked.repaired < len(checked.differences):
            raise typer.Exit(1)


def _print_study(console: Console, study: optuna.Study, store: Store, all_: bool = False) -> None:
    from sslwear.cli.study_tables import scores_table, trials_table
    from sslwear.cli.ui import ui_command
    from sslwear.reports.study_text import verdict
    from sslwear.studies.tested import main_scores, past_evaluations
    from sslwear.studies.trials import kept_settings, network_run, rows
    from sslwear.studies.verdict import report

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
    if best is None:
        print_line(console, f"No trial of {study.study_name} has finished yet.")
    else:
        for line in verdict(found):
            print_line(console, line)
        console.print(scores_table(found))
        if found.warning is not None:
            print_line(console, found.warning)
        scores, what = main_scores(study, best.number)
        if scores:
            text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            seen = len(past_evaluations(study))
            print_line(console, f"Test scores, {what} (test evaluations: {seen}): {text}.")
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
            print_line(console, f"Running: {_trial_name(row)} on {row.host}, {count(row.epochs, 'epoch')} so far.")
        if row.number in shown:
            why = row.error or "its process ended without an error message"
            print_line(console, f"Failed: {_trial_name(row)}: {why}.")
    if left:
        print_line(console, f"{count(left, 'earlier trial')} failed too. --all lists them.")


def _print_comparison(left: Side, right: Side) -> None:
    from sslwear.cli.comparison_tables import best_table, groups_table, settings_table
    from sslwear.studies.compare import different_settings, incomparable
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
