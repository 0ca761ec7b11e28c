"""The ``sslwear`` command: parse, call, print. Heavy imports stay inside the commands, so that --help is quick."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sslwear import __version__
from sslwear.cli_data import data_app
from sslwear.cli_predict import predict
from sslwear.errors import SslwearError
from sslwear.terminal import friendly, say, standard_output

if TYPE_CHECKING:
    import optuna

    from sslwear.tracking import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Self-supervised learning on wrist accelerometers: which layers to fine-tune, how fast, after which pretext "
    "task. Studies are searched by Optuna and kept in MLflow, by default in the folder mlruns/.",
)
study_app = typer.Typer(no_args_is_help=True, help="Search with Optuna: run, resume and show studies.")
app.add_typer(study_app, name="study")
app.add_typer(data_app, name="data")
app.command()(predict)

StudyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A study file such as experiments/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting, e.g. training.max_epochs=3; repeatable."),
]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@study_app.command("run")
def study_run(
    file: StudyFile,
    trials: Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")] = None,
    set_: Overrides = None,
) -> None:
    """Run a study, or what is missing of it: the same command resumes an interrupted one."""
    with friendly("finished trials are kept, and the same command goes on from there"):
        from sslwear.console import ConsoleListener
        from sslwear.search.study import run_study
        from sslwear.settings import load
        from sslwear.tracking import Store

        overrides = [*(set_ or []), *([f"trials={trials}"] if trials is not None else [])]
        settings, store = load(file, overrides), Store.from_environment()
        console = standard_output()
        with ConsoleListener(console, epochs=False) as listener:
            study = run_study(settings, store, listener)
        _print_study(console, study, store)


@study_app.command("show")
def study_show(name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name.")]) -> None:
    """Show a study's trials, the best one and its scores."""
    with friendly():
        from sslwear.search.storage import find_study
        from sslwear.tracking import Store

        store = Store.from_environment()
        _print_study(standard_output(), find_study(name, store), store)


@app.command()
def train(file: StudyFile, set_: Overrides = None) -> None:
    """Train once with the file's fixed settings; what it has under search is not searched."""
    with friendly("nothing was kept; the same command starts anew"):
        from sslwear.console import ConsoleListener
        from sslwear.search.single import train_once
        from sslwear.settings import load
        from sslwear.tracking import Store

        settings, store = load(file, set_ or []), Store.from_environment()
        console = standard_output()
        with ConsoleListener(console, epochs=True) as listener:
            run, result = train_once(settings, store, listener)
        scores = ", ".join(f"{name} {value:.3f}" for name, value in result.validation.scores.items())
        say(console, f"Validation participants, epoch {result.best_epoch} of {len(result.history)}: {scores}.")
        say(console, f"Run {run.id}; use its weights with: weights: runs:/{run.id}")
        say(console, f"Browse it with: {_ui_command(store)}")


@app.command()
def pretrain(file: StudyFile, set_: Overrides = None) -> None:
    """Pre-train the encoder on the pretext task that the file has under training, once for the same settings."""
    with friendly("nothing was kept; the same command starts anew"):
        from sslwear.console import ConsoleListener
        from sslwear.search.single import pretrain_once
        from sslwear.settings import load
        from sslwear.tracking import Store

        settings, store = load(file, set_ or []), Store.from_environment()
        console = standard_output()
        with ConsoleListener(console, epochs=True) as listener:
            run_id, scores = pretrain_once(settings, store, listener)
        text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        say(console, f"Pretext task {settings.training.pretext}, held-out participants: {text}.")
        say(console, f"Run {run_id}; use its weights with: weights: runs:/{run_id}")
        say(console, f"Browse it with: {_ui_command(store)}")


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000,
) -> None:
    """Browse studies in the MLflow UI, reachable from this machine only."""
    with friendly():
        from sslwear.tracking import Store

        store = Store.from_environment()
        if store.tracking_uri.startswith(("http://", "https://")):
            print(f"MLFLOW_TRACKING_URI is set: open {store.tracking_uri} in a browser")
            return
        _check_port(port)
        address = f"http://127.0.0.1:{port}"
        experiments = [e for e in store.client.search_experiments() if e.experiment_id != "0"]
        if not experiments:
            print("There is no study yet: run 'make study' or 'sslwear study run FILE' first, or meanwhile.")
        for experiment in experiments:
            page = f"{address}/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
            print(f"{experiment.name}: {page}")
        print("Starting the MLflow UI takes a few seconds; Ctrl-C ends it.", flush=True)
        raise typer.Exit(_serve(store, port))


def main() -> None:
    """Entry point of the command."""
    app()


def _print_study(console: Console, study: optuna.Study, store: Store) -> None:
    from sslwear.console import trials_table
    from sslwear.search.report import kept_settings, rows, winner

    best, objective = winner(study), kept_settings(study).objective
    console.print(trials_table(rows(study), objective, best.number if best else None))
    if best is None:
        say(console, f"No trial of {study.study_name} has finished yet.")
        return
    looks = study.user_attrs.get("tested", {})
    say(console, f"\nBest: trial {best.number}, validation {objective} {best.value:.3f}.")
    if scores := looks.get(str(best.number)):
        text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        times = "once" if len(looks) == 1 else f"{len(looks)} times, for a winner each"
        say(console, f"Test participants (looked at {times}): {text}.")
    say(console, f"Its weights: runs:/{best.user_attrs['run_id']}")
    say(console, f"Browse the study with: {_ui_command(store)}")


def _ui_command(store: Store) -> str:
    if store.tracking_uri.startswith(("http://", "https://")):
        return f"a browser at {store.tracking_uri}"
    return "make ui (or sslwear ui)"


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SslwearError(
                f"port {port} is in use ({error.strerror}); choose another with --port {port + 1}"
            ) from error


def _serve(store: Store, port: int) -> int:
    """Run the server until it ends or the user ends it, with all the processes that it starts."""
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store.tracking_uri),
        *("--default-artifact-root", str(store.home / "artifacts"), "--no-serve-artifacts"),
    ]
    quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(command, env={**quick, **os.environ}, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        return 0
