"""The ``sslwear study`` commands: run, show, list, compare and report studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sslwear.cli.study_output import print_comparison, print_study
from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors
from sslwear.cli.workers import Storage, Tracking, number_of_workers, open_store, run_in_workers
from sslwear.utils.words import count

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
        from sslwear.studies.search.optimise import run_study
        from sslwear.studies.setup.progress import ConsoleProgress

        overrides = [*(set_ or []), *([f"trials={trials}"] if trials is not None else [])]
        settings = load(file, overrides, "study")
        store = open_store(storage, tracking, settings)
        console, number = standard_output(), number_of_workers(workers, settings)
        if number > 1:
            run_in_workers(["study", "worker", str(file)], overrides, number, console)
        with ConsoleProgress(console, epochs=False, before=number == 1) as progress:  # its workers said it
            study = run_study(settings, store, progress, joint=number > 1)
        print_study(console, study, store)


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
        from sslwear.studies.search.optimise import run_study
        from sslwear.studies.setup.progress import ConsoleProgress
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
        from sslwear.studies.database.optuna_storage import all_studies, find_study, store_errors
        from sslwear.studies.evaluations.listing import find_evaluation
        from sslwear.studies.evaluations.results import results
        from sslwear.tracking import Store

        store, console = Store.from_environment(write=False), standard_output()
        with store_errors(store):
            evaluation = find_evaluation(name, store)
            if evaluation is None or name in [study.study_name for study in all_studies(store)]:
                print_study(console, find_study(name, store), store, all_)
            if evaluation is not None:
                console.print()
                if evaluation.done is not None:
                    print_line(console, f"Evaluation of {name}: {evaluation.done} of {evaluation.total} jobs done.")
                print_evaluation(console, results(name, store), evaluation.objective)


@study_app.command("list")
def study_list() -> None:
    """List all studies with their number of trials and best scores, and all evaluations with their best methods."""
    with user_errors():
        from sslwear.cli.study_tables import evaluations_table, studies_table
        from sslwear.cli.ui import NO_STUDY
        from sslwear.studies.database.optuna_storage import all_studies, store_errors
        from sslwear.studies.evaluations.listing import all_evaluations
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
        from sslwear.studies.database.optuna_storage import find_study, store_errors
        from sslwear.studies.results.compare import Side
        from sslwear.tracking import Store

        store = Store.from_environment(write=False)
        with store_errors(store):
            print_comparison(*(Side(find_study(name, store), store) for name in (left, right)))


@study_app.command("report")
def study_report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The output folder.")],
    reference: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="The method to compare the others with; by default the first one."),
    ] = None,
) -> None:
    """Write the page of a study (study.html) and the report of its evaluation: REPORT.md, REPORT.json and figures."""
    with user_errors():
        from dataclasses import replace

        from sslwear.errors import StudyError
        from sslwear.reports.report import write_report
        from sslwear.reports.study_page import study_page
        from sslwear.studies.database.optuna_storage import all_studies, find_study, store_errors
        from sslwear.studies.evaluations.listing import find_evaluation
        from sslwear.studies.evaluations.results import confusions, is_evaluated, results
        from sslwear.studies.results.report_inputs import gather_report_inputs
        from sslwear.studies.results.summary import PAGE
        from sslwear.studies.results.verdict import report
        from sslwear.tracking import Store

        store = Store.from_environment(write=False)
        with store_errors(store):
            searched = name in [study.study_name for study in all_studies(store)]
            alone = searched and not is_evaluated(name, store)
            if alone and reference is not None:
                raise StudyError(
                    f"the study {name!r} has no evaluation, so there are no methods to compare. Leave --reference out"
                )
            if searched:
                page = study_page(report(find_study(name, store)))
                out.mkdir(parents=True, exist_ok=True)
                (out / PAGE).write_text(page, encoding="utf-8")
                print_line(standard_output(), str(out / PAGE))
            if alone:
                return
            found, evaluation = results(name, store), find_evaluation(name, store)
            unfinished = ""
            if evaluation is not None and evaluation.done is not None and evaluation.done < evaluation.total:
                unfinished = (
                    f"{evaluation.done} of {count(evaluation.total, 'job')} of the evaluation of {name} are done. The "
                    "report has these only: it lacks participants, seeds or methods"
                )
                print_warning(unfinished)
            inputs = gather_report_inputs(name, store, found, unfinished)
            inputs = replace(inputs, confusions=confusions(found, store))
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
        from sslwear.studies.workers.check import check_study
        from sslwear.tracking import Store

        store = Store.from_environment(write=repair)
        checked = check_study(name, store, repair)
        for difference in checked.differences:
            print_line(standard_output(), f"{difference.text}.")
        print_line(standard_output(), checked.sentence())
        if checked.repaired < len(checked.differences):
            raise typer.Exit(1)
