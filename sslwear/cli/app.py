"""The ``sslwear`` command: parse, call, print. Heavy imports stay inside the commands, so that --help is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from sslwear import __version__
from sslwear.cli import model, rerun
from sslwear.cli.data import data_app
from sslwear.cli.evaluate import evaluate
from sslwear.cli.predict import predict
from sslwear.cli.pretext import pretext_app
from sslwear.cli.study import Overrides, StudyFile, dashboard, runs_app, study_app, ui_command
from sslwear.cli.terminal import friendly, say, standard_output, warn
from sslwear.deployment.server import LOOPBACK
from sslwear.utils.masking import masked

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
app.command()(evaluate)
app.add_typer(data_app, name="data")
app.add_typer(pretext_app, name="pretext")
app.command()(rerun.rerun)
app.command()(model.promote)
app.add_typer(model.models_app, name="models")
app.command()(model.export)
app.command()(model.serve)
app.command()(predict)


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
        from sslwear.cli.console import ConsoleProgress
        from sslwear.config import load
        from sslwear.studies.single_run import train_once
        from sslwear.tracking import Store

        settings, store = load(file, set_ or []), Store.from_environment()
        console = standard_output()
        with ConsoleProgress(console, epochs=True) as listener:
            run, result = train_once(settings, store, listener)
        scores = ", ".join(f"{name} {value:.3f}" for name, value in result.validation.scores.items())
        say(console, f"Validation participants, epoch {result.best_epoch} of {len(result.history)}: {scores}.")
        say(console, f"Run {run.id}; use its weights with: weights: runs:/{run.id}")
        say(console, f"Browse it with: {ui_command(store)}")


@app.command()
def pretrain(file: StudyFile, set_: Overrides = None) -> None:
    """Pre-train the encoder on the pretext task that the file has under training, once for the same settings."""
    with friendly("nothing was kept; the same command starts anew"):
        from sslwear.cli.console import ConsoleProgress
        from sslwear.config import load
        from sslwear.studies.single_run import pretrain_once
        from sslwear.tracking import Store

        settings, store = load(file, set_ or []), Store.from_environment()
        console = standard_output()
        with ConsoleProgress(console, epochs=True) as listener:
            run_id, scores = pretrain_once(settings, store, listener)
        text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        say(console, f"Pretext task {settings.training.pretext}, held-out participants: {text}.")
        say(console, f"Run {run_id}; use its weights with: weights: runs:/{run_id}")
        say(console, f"Browse it with: {ui_command(store)}")


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Listen wider than on this machine.")] = LOOPBACK,
    expose: Annotated[bool, typer.Option("--expose", help="Other machines may reach it.")] = False,
) -> None:
    """Browse studies and models in the MLflow UI, on this machine only."""
    with friendly("the server has ended"):
        from sslwear.deployment import server
        from sslwear.studies.mlflow_page import lines
        from sslwear.tracking import Store

        store = Store.from_environment()
        if store.tracking_uri.startswith(("http://", "https://")):
            print(f"MLFLOW_TRACKING_URI is set: open {masked(store.tracking_uri)} in a browser")
            return
        exposed = "read, change and delete all runs and models, and read the files of this store"
        if (warning := server.check_address(host, port, expose, exposed)) is not None:
            warn(warning)
        pages = lines(f"http://{host}:{port}", store)
        if not pages:
            print("There is no study yet: run 'make study' or 'sslwear study run FILE' first, or meanwhile.")
        for line in pages:
            print(line)
        print("Starting the MLflow UI takes a few seconds; Ctrl-C ends it.", flush=True)
        command = ["mlflow", "server", "--host", host, "--port", str(port), "--workers", "1", "--no-serve-artifacts"]
        command += ["--default-artifact-root", str(store.home / "artifacts")]
        environment = {"MLFLOW_BACKEND_STORE_URI": store.tracking_uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        raise typer.Exit(server.run(command, environment))


def main() -> None:
    """Entry point of the command."""
    app()
