"""The ``sslwear`` command: parse, call, print. Heavy imports stay inside the commands, so that --help is quick."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear import __version__
from sslwear.cli_data import data_app
from sslwear.cli_study import Overrides, StudyFile, dashboard, runs_app, study_app, ui_command
from sslwear.errors import SslwearError
from sslwear.terminal import friendly, say, standard_output

if TYPE_CHECKING:
    from sslwear.tracking import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Self-supervised learning on wrist accelerometers: which layers to fine-tune, how fast, after which pretext "
    "task. Studies are searched by Optuna and kept in MLflow, by default in the folder mlruns/.",
)
app.add_typer(study_app, name="study")
app.add_typer(runs_app, name="runs")
app.command()(dashboard)
app.add_typer(data_app, name="data")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


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
        say(console, f"Browse it with: {ui_command(store)}")


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
        say(console, f"Browse it with: {ui_command(store)}")


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000,
) -> None:
    """Browse studies in the MLflow UI, reachable from this machine only."""
    with friendly():
        from sslwear.search.page import lines
        from sslwear.tracking import Store

        store = Store.from_environment()
        if store.tracking_uri.startswith(("http://", "https://")):
            print(f"MLFLOW_TRACKING_URI is set: open {store.tracking_uri} in a browser")
            return
        _check_port(port)
        address = f"http://127.0.0.1:{port}"
        pages = lines(address, store)
        if not pages:
            print("There is no study yet: run 'make study' or 'sslwear study run FILE' first, or meanwhile.")
        for line in pages:
            print(line)
        print("Starting the MLflow UI takes a few seconds; Ctrl-C ends it.", flush=True)
        raise typer.Exit(_serve(store, port))


def main() -> None:
    """Entry point of the command."""
    app()


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
