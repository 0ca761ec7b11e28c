"""The ``sslwear study`` and ``sslwear runs`` commands: search, look at results, and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sslwear.cli.terminal import friendly, say, standard_output
from sslwear.errors import StudyError
from sslwear.utils.masking import masked

if TYPE_CHECKING:
    import optuna

    from sslwear.studies.compare import Side
    from sslwear.tracking import Store

study_app = typer.Typer(no_args_is_help=True, help="Search with Optuna: run, resume, show, list and compare studies.")
runs_app = typer.Typer(no_args_is_help=True, help="Look at single runs.")

StudyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A study file such as experiments/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting, e.g. training.max_epochs=3; repeatable."),
]
RunId = "A run's id, or as much of its beginning as no other has."


@study_app.command("run")
def study_run(
    file: StudyFile,
    trials: Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")] = None,
    set_: Overrides = None,
) -> None:
    """Run a study, or what is missing of it: the same command resumes an interrupted one."""
    with friendly("finished trials are kept, and the same command goes on from there"):
        from sslwear.cli.console import ConsoleProgress
        from sslwear.config import load
        from sslwear.studies.optimise import run_study
        from sslwear.tracking import Store

        overrides = [*(set_ or []), *([f"trials={trials}"] if trials is not None else [])]
        settings, store = load(file, overrides), Store.from_environment()
        console = standard_output()
        with ConsoleProgress(console, epochs=False) as listener:
            study = run_study(settings, store, listener)
        _print_study(console, study, store)


@study_app.command("show")
def study_show(name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name.")]) -> None:
    """Show a study's trials, the best one and its scores, what mattered, what is running and what failed."""
    with friendly():
        from sslwear.studies.storage import find_study, store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store):
            _print_study(standard_output(), find_study(name, store), store)


@study_app.command("list")
def study_list() -> None:
    """List the studies of the store, with how far they are and their best scores."""
    with friendly():
        from sslwear.cli.console_study import studies_table
        from sslwear.studies.storage import all_studies, store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store):
            studies = all_studies(store)
            if not studies:
                print(f"There is no study in {masked(store.storage_url)} yet: run 'make study' first.")
                return
            standard_output().print(studies_table(studies))


@study_app.command("compare")
def study_compare(
    left: Annotated[str, typer.Argument(metavar="A", help="A study's name.")],
    right: Annotated[str, typer.Argument(metavar="B", help="Another study's name.")],
) -> None:
    """Show two studies side by side: settings that differ, the best of each, scores, and what forbids comparing."""
    with friendly():
        from sslwear.studies.compare import Side
        from sslwear.studies.storage import find_study, store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store):
            _print_comparison(*(Side(find_study(name, store), store) for name in (left, right)))


@study_app.command("report")
def study_report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write into.")],
    reference: Annotated[
        str | None, typer.Option(metavar="METHOD", help="What the others are compared with; the first by default.")
    ] = None,
) -> None:
    """Write what a study's evaluation found: REPORT.md, REPORT.json and a few pictures."""
    with friendly():
        from sslwear.reports.report import write_report
        from sslwear.studies.cross_validation_results import results
        from sslwear.studies.report_inputs import gather_report_inputs
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store = Store.from_environment()
        with store_errors(store):
            found = results(name, store)
            told = gather_report_inputs(name, store, found)
        for path in write_report(found, told, out, reference):
            say(standard_output(), str(path))


@runs_app.command("diff")
def runs_diff(
    left: Annotated[str, typer.Argument(metavar="RUN1", help=RunId)],
    right: Annotated[str, typer.Argument(metavar="RUN2", help=RunId)],
) -> None:
    """Show in what two runs differ: parameters, metrics, data and tags, such as the commit of the code."""
    with friendly():
        from sslwear.cli.console_study import differences_table, run_line
        from sslwear.studies.compare import find_run, run_differences
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        store, console = Store.from_environment(), standard_output()
        with store_errors(store):
            runs = [find_run(prefix, store) for prefix in (left, right)]
        for run in runs:
            say(console, run_line(run))
        found = {title: rows for title, rows in run_differences(*runs).items() if rows}
        for title, rows in found.items():
            console.print()
            console.print(differences_table(title, rows, *(run.info.run_id[:8] for run in runs)))
        if not found:
            say(console, "They are alike in parameters, metrics, data and tags.")


def dashboard(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 8080,
) -> None:
    """Browse trials in Optuna's dashboard (extra: dashboard), reachable from this machine only."""
    with friendly():
        try:
            from optuna_dashboard import wsgi
        except ImportError as error:
            raise StudyError(
                "Optuna's dashboard is not installed; install the extra with pip install 'sslwear[dashboard]', or in a "
                "clone of the repository start it with make dashboard"
            ) from error
        from sslwear.deployment import server
        from sslwear.studies.storage import all_studies, open_storage
        from sslwear.tracking import Store

        server.check_address(server.LOOPBACK, port, expose=False, exposed="")
        store = Store.from_environment()
        storage, address = open_storage(store), f"http://{server.LOOPBACK}:{port}"
        if not (studies := all_studies(store)):
            print("There is no study yet: run 'make study' or 'sslwear study run FILE' first, or meanwhile.")
        for study in studies:
            print(f"{study.study_name}: {address}/dashboard/studies/{study._study_id}")
        print("Ctrl-C ends it.", flush=True)
        server.serve(wsgi(storage), port)


def ui_command(store: Store) -> str:
    """How to browse a store, for a sentence."""
    if store.tracking_uri.startswith(("http://", "https://")):
        return f"a browser at {masked(store.tracking_uri)}"
    return "make ui (or sslwear ui)"


def _print_study(console: Console, study: optuna.Study, store: Store) -> None:
    from sslwear.cli.console import trials_table
    from sslwear.cli.console_study import trial_name
    from sslwear.studies.test_evaluation import looks
    from sslwear.studies.trials import importances, kept_settings, rows, winner

    best, objective, trials = winner(study), kept_settings(study).objective, rows(study)
    console.print(trials_table(trials, objective, best.number if best else None))
    say(console, "")
    if best is None:
        say(console, f"No trial of {study.study_name} has finished yet.")
    else:
        say(console, f"Best: trial {best.number}, validation {objective} {best.value:.3f}.")
    seen = looks(study)
    if best is not None and (scores := study.user_attrs.get("tested", {}).get(str(best.number))):
        text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        times = "once" if len(seen) == 1 else f"{len(seen)} times"
        say(console, f"Test participants (looked at {times}): {text}.")
    if shares := importances(study):
        text = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
        say(console, f"Importance of what was searched for {objective}: {text}.")
    for row in trials:
        if row.outcome == "running":
            say(console, f"Running: {trial_name(row)} on {row.host}, {row.epochs} epochs so far.")
        if row.outcome == "failed":
            why = row.error or "its process ended before it could say why"
            say(console, f"Failed: {trial_name(row)}: {why}.")
    if best is not None:
        say(console, f"Its weights: runs:/{best.user_attrs['run_id']}")
    say(console, f"Browse the study with: {ui_command(store)}")


def _print_comparison(left: Side, right: Side) -> None:
    from sslwear.cli.console_study import best_table, differences_table, groups_table
    from sslwear.studies.compare import different_settings, incomparable
    from sslwear.training.metrics import HEADLINE_SCORES

    console = standard_output()
    reasons = incomparable(left, right)
    for reason in reasons:
        say(console, f"Scores of {left.name} and {right.name} are not comparable: {reason}.")
    if not reasons:
        say(console, f"{left.name} and {right.name} have the same data, participants and objective.")
    console.print()
    if differing := different_settings(left, right):
        console.print(differences_table("setting", differing, left.name, right.name))
    else:
        say(console, "Their settings are the same.")
    console.print()
    console.print(best_table(left, right))
    for score in HEADLINE_SCORES:
        for by in ("tuning", "pretext"):
            console.print()
            console.print(groups_table(left, right, score, by))
