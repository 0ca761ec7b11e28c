"""Output files of predicted recordings: their names, checks before a prediction, and writing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from sslwear.data.devices import recordings_by_name
from sslwear.deployment import prediction_record
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.daily import LabelledRecording, minutes
from sslwear.reports.day_figure import day_figure
from sslwear.utils.csv_cells import write_csv

FORMATS = ("csv", "parquet")
LONGEST_NAME = 255
"""Bytes of a file's name on the usual file systems."""


@dataclass(frozen=True)
class Options:
    """Options of a prediction.

    Attributes:
        out: output folder.
        format: format of the table of windows, ``csv`` or ``parquet``.
        bout_s: expected length of a bout in seconds for smoothing; None for no smoothing.
        device: name of the torch device.
        precision: ``float32`` or ``bf16``.
        overwrite: whether existing output files may be replaced.

    Raises:
        SettingsError: when the format is unknown.
    """

    out: Path
    format: str = "csv"
    bout_s: float | None = None
    device: str = "cpu"
    precision: str = "float32"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise SettingsError(f"--format: there is no format {self.format!r}. Write {' or '.join(FORMATS)}")

    def stale(self, name: str) -> list[Path]:
        """Tables of the recording in other formats, which are deleted so that no outdated one remains."""
        return [self.out / f"{name}.{other}" for other in FORMATS if other != self.format]

    def outputs(self, name: str) -> dict[str, Path]:
        """Output files of a recording by kind."""
        endings = {"windows": f".{self.format}", "days": ".days.csv", "hours": ".hours.csv", "picture": ".png"}
        return {what: self.out / f"{name}{ending}" for what, ending in endings.items()}

    def record(self, name: str) -> Path:
        """File by which a repeated command knows that the recording is finished."""
        return self.out / f"{name}.prediction.json"

    def identity(self, file: Path, model: str) -> prediction_record.Identity:
        """What the output files of a recording depend on; `model` is the digest of the model.

        Raises:
            OSError: when the recording cannot be read.
        """
        chosen = {"format": self.format, "bout_s": self.bout_s, "device": self.device, "precision": self.precision}
        return prediction_record.identity(file, model, chosen)


@dataclass(frozen=True)
class Outcome:
    """Result of a recording.

    Attributes:
        name: name of the file without extensions.
        windows: number of windows.
        nonwear: number of non-wear windows.
        note: one line about how the file was read.
        warning: warning about the labels, or None.
        error: reason why there are no labels, or None.
    """

    name: str
    windows: int = 0
    nonwear: int = 0
    note: str = ""
    warning: str | None = None
    error: str | None = None


def check_outputs(files: Sequence[Path], options: Options) -> dict[str, Path]:
    """Recordings by name, after a check of the names of their output files.

    Raises:
        DataError: when an output file would overwrite a recording, belong to two, or have too long a name.
    """
    recordings = recordings_by_name(files)
    inputs = {os.path.realpath(path) for path in recordings.values()}
    outputs: dict[Path, str] = {}
    for name, file in recordings.items():
        if len(os.fsencode(options.record(name).name)) > LONGEST_NAME:
            raise DataError(f"{file} has too long a name for its output files. Rename it")
        for path in [*options.outputs(name).values(), *options.stale(name), options.record(name)]:
            if path in outputs:
                raise DataError(f"{outputs[path]!r} and {name!r} would both write {path}. Rename one of the recordings")
            if os.path.realpath(path) in inputs:
                raise DataError(f"{path} is one of the recordings and would be overwritten. Give another --out")
            outputs[path] = name
    return recordings


def earlier_outcome(name: str, file: Path, model: str, options: Options) -> Outcome | None:
    """Outcome of a recording that was finished before with the same model and options; None if it is to be labelled.

    Raises:
        DataError: when an output file exists that was made otherwise, and may not be replaced.
    """
    if options.overwrite:
        return None
    made = list(options.outputs(name).values())
    found = [path for path in [*made, *options.stale(name)] if path.exists()]
    record = prediction_record.read(options.record(name))
    if record is not None and file.is_file() and record[0] == options.identity(file, model):
        if record[1] is None or not all(path.exists() for path in made):
            return None
        outcome = Outcome(name, **record[1])
        return replace(outcome, note=f"{outcome.note}; finished earlier")
    if found:
        raise DataError(
            f"{found[0]} exists already. Leave that recording out, give another --out, or replace it with --overwrite"
        )
    return None


def write_outputs(found: LabelledRecording, table: pd.DataFrame, place: Path, options: Options) -> None:
    """Write the output files of a recording under temporary names, then rename them, the table of windows last."""
    made = {what: place / path.name for what, path in options.outputs(found.name).items()}
    if options.format == "parquet":
        table.to_parquet(made["windows"], index=False)
    else:
        times = np.char.replace(np.datetime_as_string(table["time"].to_numpy(), unit="ms"), "T", " ")
        write_csv(table.assign(time=times), made["windows"], "%.4f")
    write_csv(minutes(found, "day"), made["days"], "%.3f")
    write_csv(minutes(found, "hour"), made["hours"], "%.3f")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters of a name that matplotlib's font lacks
        day_figure(found).savefig(made["picture"], dpi=130)
    for path in options.stale(found.name):
        path.unlink(missing_ok=True)
    for what, path in reversed(options.outputs(found.name).items()):
        made[what].replace(path)
