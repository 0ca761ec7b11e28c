"""The ``sslwear evaluate`` command: methods compared on test participants, with how sure one can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslwear.cli.study import Overrides, StudyFile, ui_command
from sslwear.cli.terminal import friendly, say, standard_output

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


def evaluate(file: StudyFile, set_: Overrides = None) -> None:
    """Compare the file's evaluation methods in folds of participants; the same command resumes what was interrupted."""
    with friendly("what has finished is kept, and the same command goes on from there"):
        from sslwear.cli.console import ConsoleProgress
        from sslwear.config import load
        from sslwear.studies.cross_validation import evaluate_study
        from sslwear.tracking import Store

        settings, store = load(file, set_ or []), Store.from_environment()
        console = standard_output()
        with ConsoleProgress(console, epochs=False) as listener:
            table = evaluate_study(settings, store, listener)
        _print(console, table)
        say(console, f"Browse it with: {ui_command(store)}")


def _print(console: Console, table: pd.DataFrame) -> None:
    from sslwear.cli.console_study import methods_table
    from sslwear.evaluation.comparison import compare, summaries
    from sslwear.studies.cross_validation_job import TRANSDUCTIVE

    folds, protocol = table["fold"].nunique(), str(table["protocol"].iloc[0]).replace("_", " ")
    people = f"{table['participant'].nunique()} test participants in {folds} {'fold' if folds == 1 else 'folds'}"
    say(console, f"{table['dataset'].iloc[0]}, {protocol}: {people}; means over them with 95 % intervals.")
    if table["transductive"].any():
        say(console, f"Results are {TRANSDUCTIVE}.")
    console.print()
    methods = summaries(table)
    console.print(methods_table(methods, compare(methods, methods[0], "kappa")))
    console.print()
    if len(methods) > 1:
        say(
            console,
            f"Differences are in kappa, to {methods[0].method!r} on the same people; p is of Wilcoxon's signed-rank "
            "test, corrected for the number of methods by Holm's method.",
        )
