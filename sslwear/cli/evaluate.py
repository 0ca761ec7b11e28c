"""The ``sslwear evaluate`` command: compare methods on test participants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslwear.cli.study import Overrides, StudyFile
from sslwear.cli.terminal import print_line, standard_output, user_errors
from sslwear.cli.ui import ui_command

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


def evaluate(file: StudyFile, set_: Overrides = None) -> None:
    """Compare the methods of the file by cross-validation; the same command resumes an interrupted evaluation."""
    with user_errors("finished jobs are kept; the same command resumes the evaluation"):
        from sslwear.config import load
        from sslwear.studies.cross_validation import evaluate_study
        from sslwear.studies.progress import ConsoleProgress
        from sslwear.tracking import Store

        settings, store = load(file, set_ or [], "evaluate"), Store.from_environment()
        console = standard_output()
        with ConsoleProgress(console, epochs=False) as progress:
            table = evaluate_study(settings, store, progress)
        _print(console, table)
        print_line(console, f"Browse it with: {ui_command(store)}")


def _print(console: Console, table: pd.DataFrame) -> None:
    from sslwear.cli.tables import methods_table
    from sslwear.evaluation.comparison import compare, summaries
    from sslwear.studies.cross_validation_job import TRANSDUCTIVE

    folds, protocol = table["fold"].nunique(), str(table["protocol"].iloc[0]).replace("_", " ")
    people = f"{table['participant'].nunique()} test participants in {folds} {'fold' if folds == 1 else 'folds'}"
    print_line(console, f"{table['dataset'].iloc[0]}, {protocol}: {people}; means with 95 % intervals.")
    if table["transductive"].any():
        print_line(console, f"Results are {TRANSDUCTIVE}.")
    console.print()
    methods = summaries(table)
    console.print(methods_table(methods, compare(methods, methods[0], "kappa")))
    console.print()
    if len(methods) > 1:
        print_line(
            console,
            f"Differences are in kappa from {methods[0].method!r} on the same participants. p: Wilcoxon signed-rank "
            "test with Holm's correction for the number of methods.",
        )
