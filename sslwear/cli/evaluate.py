"""The ``sslwear evaluate`` command: compare methods on test participants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.study import Overrides, StudyFile
from sslwear.cli.terminal import print_line, standard_output, user_errors
from sslwear.cli.ui import ui_command
from sslwear.cli.workers import Storage, Tracking, Workers, number_of_workers, open_store, run_in_workers
from sslwear.utils.words import count

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


def evaluate(
    file: StudyFile,
    set_: Overrides = None,
    workers: Workers = "1",
    storage: Storage = None,
    tracking: Tracking = None,
    joint: Annotated[
        bool, typer.Option("--join", help="Do jobs while another process on this machine does too.")
    ] = False,
) -> None:
    """Compare the methods of the file by cross-validation; the same command resumes an interrupted evaluation."""
    with user_errors("finished jobs are kept; the same command resumes the evaluation"):
        from sslwear.config import load
        from sslwear.studies.evaluations.cross_validation import evaluate_study
        from sslwear.studies.setup.progress import ConsoleProgress
        from sslwear.utils.processes import end_with_parent

        end_with_parent()
        settings = load(file, set_ or [], "evaluate")
        store = open_store(storage, tracking, settings)
        console, number = standard_output(), number_of_workers(workers, settings)
        if number > 1:
            run_in_workers(["evaluate", str(file), "--join"], set_ or [], number, console)
        with ConsoleProgress(console, epochs=False, before=number == 1) as progress:  # its workers said it
            table = evaluate_study(settings, store, progress, joint=joint or number > 1)
        if joint:
            return
        print_evaluation(console, table, settings.objective)
        print_line(console, f"Browse it with: {ui_command(store)}")


def print_evaluation(console: Console, table: pd.DataFrame, objective: str) -> None:
    """Print the methods of an evaluation.

    Args:
        console: where to print.
        table: scores of the test participants, see `sslwear.studies.evaluations.results.results`.
        objective: score by which the methods are compared.
    """
    from sslwear.cli.study_tables import methods_table
    from sslwear.evaluation.comparison import compare, interval_note, protocol_title, summaries
    from sslwear.studies.evaluations.job import TRANSDUCTIVE

    if table.empty:
        print_line(console, "No job has finished yet, so there are no scores.")
        return
    methods = summaries(table)
    folds, protocol = count(table["fold"].nunique(), "fold"), protocol_title(str(table["protocol"].iloc[0]))
    people = count(table["participant"].nunique(), "test participant")
    print_line(console, f"{table['dataset'].iloc[0]}, {protocol}: {people} in {folds}.")
    print_line(console, f"Scores are means over test participants. {interval_note(methods)}")
    if table["transductive"].any():
        print_line(console, f"Results are {TRANSDUCTIVE}.")
    console.print()
    console.print(methods_table(methods, compare(methods, methods[0], objective), objective))
    console.print()
    if any(len(one.seeds) > 1 for one in methods):
        print_line(console, f"seed sd: standard deviation of the seeds' means, in {objective}.")
    if len(methods) > 1:
        print_line(
            console,
            f"Differences are in {objective} from {methods[0].method!r} on the same participants. p: Wilcoxon "
            "signed-rank test with Holm's correction for the number of methods.",
        )
