"""The ``sslwear predict`` command: predict activities in new recordings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors
from sslwear.errors import SettingsError
from sslwear.utils.processes import max_parallel_jobs

if TYPE_CHECKING:
    from sslwear.deployment.prediction_files import Options, Outcome

DEVICES, PRECISIONS = r"auto|cpu|mps|cuda(:\d+)?", ("auto", "float32", "bf16")
RECORDING_GB = 1.0
"""Memory of one prediction, independent of the recording's length: Python with PyTorch, Java, buffered samples."""


def predict(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDING...", help="Device files: .cwa .gt3x .bin .csv, or these with .gz; or windows: X.npy."
        ),
    ],
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="NAME@champion, NAME/VERSION, or runs:/ID of a finished trial.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The output folder.")],
    format_: Annotated[
        str, typer.Option("--format", metavar="csv|parquet", help="Format of the table of windows; summaries are CSV.")
    ] = "csv",
    smooth: Annotated[
        bool,
        typer.Option("--smooth", help="Smooth predictions over time with a hidden Markov model."),
    ] = False,
    bout: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="Expected duration of an activity, for --smooth; by default 1."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files; without it, finished recordings are skipped.")
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
        str, typer.Option(metavar="auto|float32|bf16", help="auto is bf16 if the device supports it, else float32.")
    ] = "auto",
) -> None:
    """Predict activities in recordings: for each a table of windows, minutes per day and hour, and a figure."""
    with user_errors(f"finished recordings are in {out}"):
        from sslwear.cli.progress import PredictProgress
        from sslwear.cli.tables import outcomes_table
        from sslwear.deployment.array_prediction import is_array, predict_arrays
        from sslwear.deployment.batch_prediction import in_order
        from sslwear.deployment.batch_prediction import predict as label
        from sslwear.deployment.prediction_files import Options
        from sslwear.deployment.registry import load_model
        from sslwear.evaluation.smoothing import BOUT_MINUTES
        from sslwear.studies.storage import store_errors
        from sslwear.tracking import Store

        where, how = _resolved(device, precision)
        if bout is not None and not smooth:
            raise SettingsError("--bout needs --smooth. Add --smooth or remove --bout")
        bout_s = 60 * (BOUT_MINUTES if bout is None else bout) if smooth else None
        options = Options(out, format_, bout_s, where, how, overwrite)
        store = Store.from_environment(write=False)
        with store_errors(store):
            loaded = load_model(store, model)
        console = standard_output()
        arrays = [file for file in recordings if is_array(file)]
        files = [file for file in recordings if not is_array(file)]
        tables = predict_arrays(arrays, loaded, options) if arrays else []
        labelled: list[Outcome] = []
        if files:
            with PredictProgress(console, len(files)) as progress:
                labelled += label(files, loaded, options, jobs or max_parallel_jobs(RECORDING_GB), progress)
        outcomes = [*tables, *in_order(labelled)]
        console.print(outcomes_table(outcomes))
        for outcome in outcomes:
            if outcome.warning:
                print_warning(f"{outcome.name}: {outcome.warning}")
            if outcome.error:
                print_warning(f"{outcome.name} was left out: {outcome.error}")
        _finalise(tables, labelled, options)


def _resolved(device: str, precision: str) -> tuple[str, str]:
    """Device and precision on this machine.

    Raises:
        SettingsError: when they are unknown, or this machine does not support them.
    """
    from sslwear.training.device import resolve_device, resolve_precision

    if not re.fullmatch(DEVICES, device):
        raise SettingsError(f"--device {device} is unknown. Write auto, cpu, mps, cuda, or cuda:N")
    if precision not in PRECISIONS:
        raise SettingsError(f"--precision {precision} is unknown. Write one of {', '.join(PRECISIONS)}")
    found = resolve_device(device)
    return str(found), resolve_precision(precision, found)


def _finalise(tables: Sequence[Outcome], labelled: Sequence[Outcome], options: Options) -> None:
    """Print which files were written.

    Args:
        tables: outcomes of arrays of windows.
        labelled: outcomes of recordings.
        options: options of the prediction.

    Raises:
        typer.Exit: with code 1, when a file was left out.
    """
    print_line(standard_output(), "")
    for outcome in tables:
        if not outcome.error:
            print_line(standard_output(), f"Labels of the windows: {options.outputs(outcome.name)['windows']}.")
    made = [outcome for outcome in labelled if not outcome.error]
    if made:
        endings = ", ".join(path.name.removeprefix(made[0].name) for path in options.outputs(made[0].name).values())
        print_line(standard_output(), f"Files for each recording in {options.out}: {endings}.")
    if any(outcome.error for outcome in (*tables, *labelled)):
        raise typer.Exit(1)
