"""The ``sslwear`` command; each command group has a module here.

Heavy imports stay inside the commands, so that ``--help`` is quick.
"""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sslwear import __version__
from sslwear.cli.agreement import agreement
from sslwear.cli.augment import augment_app
from sslwear.cli.data import data_app
from sslwear.cli.embed import embed
from sslwear.cli.evaluate import evaluate
from sslwear.cli.model import export, models_app, promote, serve
from sslwear.cli.predict import predict
from sslwear.cli.pretext import pretext_app
from sslwear.cli.rerun import rerun
from sslwear.cli.schema import schema
from sslwear.cli.store import store_app
from sslwear.cli.study import study_app
from sslwear.cli.terminal import ENDED_S, end_at_once, first_process, print_warning, several_processes
from sslwear.cli.train import pretrain, train
from sslwear.cli.ui import dashboard, ui
from sslwear.utils.console import escape_unencodable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Self-supervised learning on wrist accelerometers: which blocks to fine-tune, at which learning rate, after "
    "which pretext task. Optuna searches; MLflow keeps the runs, by default in the folder mlruns/.",
)
app.add_typer(study_app, name="study")
app.command()(evaluate)
app.command()(train)
app.command()(pretrain)
app.command()(rerun)
app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")
app.add_typer(augment_app, name="augment")
app.add_typer(pretext_app, name="pretext")
app.command()(promote)
app.add_typer(models_app, name="models")
app.command()(export)
app.command()(serve)
app.command()(predict)
app.command()(agreement)
app.command()(embed)
app.command()(ui)
app.command()(dashboard)
app.command()(schema)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand not in ("train", "pretrain") and several_processes():
        if not first_process():
            time.sleep(ENDED_S)  # torchrun would end the first one before it has printed this
            raise typer.Exit(1)
        print_warning("torchrun is for sslwear pretrain and sslwear train. Start this command without it")
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the command."""
    escape_unencodable()
    try:
        app(prog_name="sslwear")
    except SystemExit as end:
        if several_processes():
            end_at_once(end)
        raise
