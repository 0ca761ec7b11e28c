"""The ``sslwear predict`` command: label new recordings with a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import friendly, say, standard_output
from sslwear.errors import SettingsError
from sslwear.utils.processes import max_parallel_jobs

if TYPE_CHECKING:
    from sslwear.deployment.prediction import Options, Outcome

DEVICES, PRECISIONS = r"auto|cpu|mps|cuda(:\d+)?", ("auto", "float32", "bf16")
RECORDING_GB = 1.0
"""Memory that labelling a recording takes, however long it is: Python with PyTorch, Java, and some of its samples."""


def predict(
    recordings: Annotated[
        list[Path],
        typer.Argument(metavar="RECORDING...", help="Device files: .cwa .gt3x .bin .csv, or these with .gz."),
    ],
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="NAME@champion, NAME/VERSION, or runs:/ID of a finished trial.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")],
    format_: Annotated[
        str, typer.Option("--format", metavar="csv|parquet", help="Of the windows' table; summaries are CSV.")
    ] = "csv",
    smooth: Annotated[
        bool,
        typer.Option("--smooth", help="Take the likeliest sequence of labels in place of each window's likeliest."),
    ] = False,
    bout: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="How long one stays at one thing, for --smooth; 1 by default."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there already, which is refused otherwise.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Recordings at a time; by default as many as the process has cores and memory for, at "
            f"{RECORDING_GB:g} GB each.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="auto|float32|bf16", help="bf16 where the device computes in it, with auto.")
    ] = "auto",
) -> None:
    """Label new recordings: a table of windows, minutes a day and an hour, and a picture of each."""
    with friendly(f"recordings that were finished are in {out}"):
        from sslwear.cli.console_predict import PredictProgress, outcomes_table
        from sslwear.deployment.prediction import Options, in_order
        from sslwear.deployment.prediction import predict as label
        from sslwear.deployment.registry import load_model
        from sslwear.evaluation.smoothing import BOUT_MINUTES
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        where, how = _resolved(device, precision)
        if bout is not None and not smooth:
            raise SettingsError("--bout is for --smooth, which was not given; add it, or leave --bout out")
        bout_s = 60 * (BOUT_MINUTES if bout is None else bout) if smooth else None
        options = Options(out, format_, bout_s, where, how, overwrite)
        store = Store.from_environment()
        with store_errors(store):
            loaded = load_model(store, model)
        console = standard_output()
        with PredictProgress(console, len(recordings)) as progress:
            outcomes = list(label(recordings, loaded, options, jobs or max_parallel_jobs(RECORDING_GB), progress))
        outcomes = in_order(outcomes)
        console.print(outcomes_table(outcomes))
        for outcome in outcomes:
            if outcome.warning:
                typer.echo(f"sslwear: {outcome.name}: {outcome.warning}", err=True)
            if outcome.error:
                typer.echo(f"sslwear: {outcome.name} was left out: {outcome.error}", err=True)
        _finalise(outcomes, options)


def _resolved(device: str, precision: str) -> tuple[str, str]:
    """Device and precision as they are on this machine.

    Raises:
        SettingsError: when they are not what a study file may have, or the machine does not have them.
    """
    from sslwear.training.device import resolve_device, resolve_precision

    if not re.fullmatch(DEVICES, device):
        raise SettingsError(f"--device {device}: write auto, cpu, mps, cuda, or cuda:N")
    if precision not in PRECISIONS:
        raise SettingsError(f"--precision {precision}: write {', '.join(PRECISIONS)}")
    found = resolve_device(device)
    return str(found), resolve_precision(precision, found)


def _finalise(outcomes: Sequence[Outcome], options: Options) -> None:
    """Say what was written.

    Raises:
        typer.Exit: with code 1, when a recording was left out.
    """
    made = [outcome for outcome in outcomes if not outcome.error]
    if made:
        endings = ", ".join(path.name.removeprefix(made[0].name) for path in options.outputs(made[0].name).values())
        say(standard_output(), f"\n{options.out} has for each recording the files {endings}.")
    if len(made) < len(outcomes):
        raise typer.Exit(1)
