"""The ``sslwear embed`` command: features of the windows of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.predict_options import (
    NONWEAR_MINUTES,
    STILL_MG,
    ClockKind,
    Columns,
    Device,
    Folder,
    NonwearMinutes,
    NonwearThreshold,
    Overwrite,
    Precision,
    Rate,
    StartTime,
    TableUnit,
    TimeFormat,
    Timezone,
    computation,
    reading_of,
)
from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors

if TYPE_CHECKING:
    from sslwear.data.files.recording_format import Reading
    from sslwear.deployment.prediction.embedder import Embedder

Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A Python file with an encoder; repeatable.")
]


def embed(
    recordings: Annotated[
        list[Path],
        typer.Argument(metavar="RECORDING...", help="Files: .cwa .gt3x .bin .csv, or .gz; .npy .parquet."),
    ],
    model: Annotated[
        str,
        typer.Option(metavar="MODEL", help="NAME@champion, NAME/VERSION, runs:/ID, or an encoder such as harnet10."),
    ],
    out: Folder,
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Weights of an encoder: a file, hub, runs:/ID or models:/NAME@alias."),
    ] = None,
    plugin: Plugins = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    precision: Precision = "float32",
    columns: Columns = None,
    time_format: TimeFormat = None,
    units: TableUnit = "g",
    rate: Rate = None,
    start_time: StartTime = None,
    timezone: Timezone = None,
    clock: ClockKind = "fixed",
    nonwear_threshold: NonwearThreshold = STILL_MG,
    nonwear_minutes: NonwearMinutes = NONWEAR_MINUTES,
) -> None:
    """Write the features of each window of recordings, for a classifier of your own: NAME.features.parquet."""
    with user_errors(f"finished recordings are in {out}"):
        from sslwear.deployment.prediction.embedder import open_embedder
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.tracking import Store
        from sslwear.training.threads import use_threads
        from sslwear.utils import plugins

        plugins.load_files(plugin or [])
        where, how = computation(device, precision)
        times = (start_time, timezone, clock)
        reading = reading_of(columns, time_format, units, rate, *times, nonwear_threshold, nonwear_minutes)
        store = Store.from_environment(write=False)
        with store_errors(store):
            embedder = open_embedder(store, model, weights, where, how)
        use_threads(None)
        _write(recordings, embedder, out, overwrite, reading.unless_default)


def _write(recordings: Sequence[Path], embedder: Embedder, out: Path, overwrite: bool, reading: Reading | None) -> None:
    """Write the features of recordings, and print what was written.

    Raises:
        typer.Exit: with code 1, when a recording was left out.
    """
    from sslwear.cli.progress import PredictProgress
    from sslwear.cli.tables import outcomes_table
    from sslwear.deployment.prediction.embedding import ENDING, embed

    console = standard_output()
    with PredictProgress(console, len(recordings)) as progress:
        outcomes = list(embed(recordings, embedder, out, overwrite, progress, reading))
    console.print(outcomes_table(outcomes, "no features"))
    for outcome in outcomes:
        if outcome.error:
            print_warning(f"{outcome.name} was left out: {outcome.error}")
    windows = f"{embedder.window_s:g} s at {embedder.rate_hz:g} Hz"
    print_line(console, f"\nWindows of {windows}. Files in {out}: NAME{ENDING}.")
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)
