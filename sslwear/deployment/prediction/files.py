"""Output files of predicted recordings: their names, checks before a prediction, and writing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sslwear.data.devices import recordings_by_name
from sslwear.data.files.clock import texts
from sslwear.data.files.recording_format import Reading
from sslwear.deployment.prediction import record as prediction_record
from sslwear.deployment.prediction.recording_prediction import Labelled
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.bouts import bouts
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.daily import minutes
from sslwear.evaluation.minute_table import minute_table
from sslwear.reports.day_figure import day_figure
from sslwear.reports.plain_text import any_letters
from sslwear.reports.recording_page import recording_page
from sslwear.utils.csv_cells import write_csv

FORMATS = ("csv", "parquet")
ENDINGS = {
    "days": ".days.csv",
    "hours": ".hours.csv",
    "bouts": ".bouts.csv",
    "minutes": ".minutes.parquet",
    "picture": ".png",
    "page": ".html",
}
"""Output files of each recording beside the table of windows."""
COHORT = {
    "people": "people.csv",
    "people, Parquet": "people.parquet",
    "days": "days.csv",
    "recordings": "recordings.csv",
    "page": "people.html",
}
"""Output files of all recordings together."""
RECORD = ".prediction.json"
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
        learnt: whether labels are smoothed by the model that was learnt with the network, if there is one and `bout_s`
            is None.
        reading: how recordings are read.
        rule: which days and people count.

    Raises:
        SettingsError: when the format is unknown.
    """

    out: Path
    format: str = "csv"
    bout_s: float | None = None
    device: str = "cpu"
    precision: str = "float32"
    overwrite: bool = False
    learnt: bool = True
    reading: Reading = field(default_factory=Reading)
    rule: CountingRule = field(default_factory=CountingRule)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise SettingsError(f"--format: there is no format {self.format!r}. Write {' or '.join(FORMATS)}")

    def stale(self, name: str) -> list[Path]:
        """Tables of the recording in other formats, which are deleted so that no outdated one remains."""
        return [self.out / f"{name}.{other}" for other in FORMATS if other != self.format]

    def outputs(self, name: str) -> dict[str, Path]:
        """Output files of a recording by kind."""
        endings = {"windows": f".{self.format}", **ENDINGS}
        return {what: self.out / f"{name}{ending}" for what, ending in endings.items()}

    def record(self, name: str) -> Path:
        """File by which a repeated command knows that the recording is finished."""
        return self.out / f"{name}{RECORD}"

    def identity(self, file: Path, model: str) -> prediction_record.Identity:
        """What the output files of a recording depend on; `model` is the digest of the model.

        Raises:
            DataError: when the recording cannot be read.
        """
        chosen = {
            "format": self.format,
            "bout_s": self.bout_s,
            "learnt": self.learnt,
            "device": self.device,
            "precision": self.precision,
            "reading": self.reading.identity(),
        }
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
        error: message why there are no labels, or None.
        reason: the same in a few words, by which a summary counts; None for a recording with labels.
        file: name of the file.
        quality: attributes of its `Quality`; None without labels.
        span: start and end of the recording, as instants in nanoseconds since 1970; None without labels.
        rule: the rule of counted days that its page was made with; None without labels.
        clock: attributes of its `Clock`; None without labels, and in folders of earlier versions.
        participant: the participant that a table declared; None if none did.
    """

    name: str
    windows: int = 0
    nonwear: int = 0
    note: str = ""
    warning: str | None = None
    error: str | None = None
    reason: str | None = None
    file: str = ""
    quality: Mapping[str, Any] | None = None
    span: Sequence[int] | None = None
    rule: Mapping[str, Any] | None = None
    clock: Mapping[str, Any] | None = None
    participant: str | None = None


def check_outputs(files: Sequence[Path], options: Options) -> dict[str, Path]:
    """Recordings by name, after a check of the names of their output files.

    Raises:
        DataError: when an output file would overwrite a recording, belong to two, or have too long a name.
    """
    recordings = recordings_by_name(files)
    inputs = {os.path.realpath(path) for path in recordings.values()}
    outputs: dict[Path, str] = {options.out / name: "the table of people" for name in COHORT.values()}
    for path in outputs:
        if os.path.realpath(path) in inputs:
            raise DataError(f"{path} is one of the recordings and would be overwritten. Give another --out")
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


def written(folder: Path) -> set[str]:
    """Names of the files that predictions of recordings have written into a folder."""
    names = [path.name.removesuffix(RECORD) for path in folder.glob(f"*{RECORD}")]
    endings = [*(f".{one}" for one in FORMATS), *ENDINGS.values(), RECORD]
    made = {f"{name}{ending}" for name in names for ending in endings}
    return made.union(COHORT.values()) if names else made


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
    try:
        same = record is not None and file.is_file() and record[0] == options.identity(file, model)
    except DataError:
        return None  # why it cannot be read is said when it is to be labelled
    if record is not None and same:
        if record[1] is None or not all(path.exists() for path in made):
            return None
        outcome = Outcome(name, **record[1])
        return replace(outcome, note=f"{outcome.note}; finished earlier")
    if found:
        raise DataError(
            f"{found[0]} exists already. Leave that recording out, give another --out, or replace it with --overwrite"
        )
    return None


def write_outputs(found: Labelled, place: Path, options: Options, about: Sequence[str]) -> None:
    """Write the output files of a recording under temporary names, then rename them, the table of windows last.

    Args:
        found: the recording.
        place: folder for unfinished files, on the same disk.
        options: options of the prediction.
        about: lines about the model for the page.
    """
    windows, table = found.windows, found.table
    made = {what: place / path.name for what, path in options.outputs(windows.name).items()}
    if options.format == "parquet":
        table.to_parquet(made["windows"], index=False)
    else:
        times = texts(windows.begins // 10**6 * 10**6, windows.zone)
        write_csv(table.assign(time=times), made["windows"], "%.4f")
    write_csv(minutes(windows, "day"), made["days"], "%.3f")
    write_csv(minutes(windows, "hour"), made["hours"], "%.3f")
    write_csv(bouts(windows), made["bouts"], "%.3f")
    by_minute = minute_table(windows)
    by_minute.table().to_parquet(made["minutes"], index=False)
    with any_letters():
        figure = day_figure(windows.local())
        figure.savefig(made["picture"], dpi=130)
        page = recording_page(windows.name, by_minute, found.quality, options.rule, [found.note, *about], found.warning)
    made["page"].write_text(page, encoding="utf-8")
    for path in options.stale(windows.name):
        path.unlink(missing_ok=True)
    for what, path in reversed(options.outputs(windows.name).items()):
        made[what].replace(path)
