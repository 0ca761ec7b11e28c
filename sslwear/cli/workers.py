"""Options and processes of commands that several workers may do together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_line

if TYPE_CHECKING:
    from rich.console import Console

    from sslwear.config import Settings
    from sslwear.tracking import Store

Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Optuna's storage; by default that of SSLWEAR_STORAGE, of the file, or the embedded one."
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="MLflow's store; by default that of MLFLOW_TRACKING_URI, of the file, or the embedded one."
    ),
]
Workers = Annotated[str, typer.Option(metavar="N", help="The number of processes that share the cores, or auto.")]


def open_store(storage: str | None, tracking: str | None, settings: Settings) -> Store:
    """The store that options name, or the environment, or the settings; processes started later use it too.

    Raises:
        StudyError: when an address has no meaning.
    """
    from sslwear.tracking import STORAGE_VARIABLE, Store
    from sslwear.tracking.client import TRACKING_VARIABLE

    for variable, address in ((STORAGE_VARIABLE, storage), (TRACKING_VARIABLE, tracking)):
        if address is not None:
            os.environ[variable] = address
    return Store.from_environment(settings=settings)


def number_of_workers(text: str, settings: Settings) -> int:
    """The number of workers that an option asks for.

    Raises:
        SettingsError: when it is neither a number from 1 on nor ``auto``.
    """
    from sslwear.errors import SettingsError
    from sslwear.studies.workers.local_workers import automatic_workers

    if text == "auto":
        return automatic_workers(settings)
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"--workers is {text!r}. Write a number from 1 on, or auto")
    return int(text)


def run_in_workers(command: list[str], overrides: list[str], number: int, console: Console) -> None:
    """Run a command in several processes, with their lines on one console."""
    from sslwear.studies.workers.local_workers import run_workers

    options = [part for one in overrides for part in ("--set", one)]
    run_workers([*command, *options], number, lambda worker, line: print_line(console, f"worker {worker}: {line}"))
