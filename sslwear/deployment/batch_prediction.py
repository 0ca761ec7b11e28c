"""Prediction of many recordings in parallel, with output files for each."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from sslwear.data.devices import recordings_by_name
from sslwear.data.sources.raw import natural
from sslwear.deployment import prediction_record
from sslwear.deployment.recording_prediction import PredictionProgress, label
from sslwear.encoders.classifier import Model
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.daily import LabelledRecording, minutes
from sslwear.evaluation.smoothing import HiddenMarkovModel
from sslwear.reports.day_figure import day_figure
from sslwear.training.threads import idle_cores, use_threads
from sslwear.utils import processes
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


def predict(
    files: Sequence[Path], model: Model, options: Options, jobs: int = 1, progress: PredictionProgress | None = None
) -> Iterator[Outcome]:
    """Label recordings in parallel, and write the files of `Options.outputs`.

    Output files are complete or do not exist. A recording with an error is reported, and the others are labelled. A
    recording that was finished before with the same model and options is not labelled again, so that a killed command
    goes on when it is repeated.

    Args:
        files: device files and CSV files.
        model: classifier; each process has a copy on `options.device`.
        options: options of the prediction.
        jobs: number of processes.
        progress: callback with the share of each recording that is done.

    Yields:
        Outcomes of the recordings as they finish.

    Raises:
        DataError: when two files have the same name, an output file exists that was made otherwise or would replace a
            recording, or the folder is not writable.
        SettingsError: when a bout is not longer than a window.
    """
    recordings = _check_outputs(files, options)
    if options.bout_s is not None:
        HiddenMarkovModel.from_bouts(len(model.card.class_names), model.card.window_s, options.bout_s)
    with _temporary_folder(options.out) as folder:
        model.save(folder)
        digest = prediction_record.model_digest(folder)
        earlier = {name: _earlier(name, file, digest, options) for name, file in recordings.items()}
        for outcome in filter(None, earlier.values()):
            if progress is not None:
                progress(outcome.name, 1.0)
            yield outcome
        tasks = [(name, file, folder, digest, options) for name, file in recordings.items() if earlier[name] is None]
        jobs = max(1, min(jobs, len(tasks)))
        threads = max(1, idle_cores() // jobs)
        if jobs == 1:
            _load_worker(folder, options, threads, progress)
            for task in tasks:
                yield _predict_one(*task)
            return
        queue = processes.CONTEXT.SimpleQueue()

        def forward_progress() -> None:
            while not queue.empty():
                name, share = queue.get()
                if progress is not None:
                    progress(name, share)

        try:
            arguments = (folder, options, threads, _QueueProgress(queue))
            yield from processes.run(_predict_one, tasks, jobs, _load_worker, arguments, forward_progress)
        except BrokenProcessPool as error:
            raise DataError(
                f"a worker process was killed, probably for lack of memory. Finished recordings are in {options.out}. "
                "Repeat the command with a smaller --jobs"
            ) from error


def in_order(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes in the natural order of their names."""
    return sorted(outcomes, key=lambda outcome: natural(outcome.name))


class _QueueProgress:
    """Progress callback that sends the progress of a worker to the parent process."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def __call__(self, name: str, share: float) -> None:
        self._queue.put((name, share))


@dataclass
class _Worker:
    """Model and progress callback of a process."""

    model: Model
    progress: PredictionProgress | None


_worker: _Worker | None = None


def _load_worker(folder: Path, options: Options, threads: int, progress: PredictionProgress | None) -> None:
    """Load the model of a process, and set its number of threads."""
    global _worker
    use_threads(threads)
    threadpool_limits(threads)
    _worker = _Worker(Model.load(folder, torch.device(options.device), options.precision), progress)


def _check_outputs(files: Sequence[Path], options: Options) -> dict[str, Path]:
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


def _earlier(name: str, file: Path, model: str, options: Options) -> Outcome | None:
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


@contextmanager
def _temporary_folder(out: Path) -> Iterator[Path]:
    """Temporary folder for unfinished files in the output folder; files of a killed process are deleted.

    Raises:
        DataError: when another process writes to `out`, or `out` is not writable.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".sslwear-predict.lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise DataError(
            f"another process writes predictions to {out}. Wait until it has ended, or give another --out"
        ) from error
    except OSError as error:
        raise DataError(f"cannot write to {out} ({error.strerror}). Give another --out") from error
    folder = out / ".sslwear-predict"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
    except OSError as error:
        raise DataError(f"cannot write to {out} ({error.strerror}). Give another --out") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _predict_one(name: str, file: Path, folder: Path, model: str, options: Options) -> Outcome:
    """Label a recording in a worker; errors become its outcome."""
    assert _worker is not None
    place = Path(tempfile.mkdtemp(dir=folder))
    try:
        found, table, note, warning = label(name, file, place, _worker.model, options.bout_s, _worker.progress)
        made_from = options.identity(file, model)
        prediction_record.write(options.record(name), place, made_from, None)
        _write(found, table, place, options)
        nonwear = int((found.codes < 0).sum())
        result: dict[str, Any] = {"windows": len(table), "nonwear": nonwear, "note": note, "warning": warning}
        prediction_record.write(options.record(name), place, made_from, result)
        return Outcome(name, **result)
    except DataError as error:
        return Outcome(name, error=str(error))
    except MemoryError:
        return Outcome(name, error=f"{file} needs more memory than is available. Repeat with a smaller --jobs")
    except OSError as error:
        return Outcome(name, error=f"{file}: cannot write samples or results ({error.strerror or error})")
    except Exception as error:  # noqa: BLE001 - one file must not stop the others
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Outcome(
            name,
            error=f"{file} cannot be labelled ({reason}). Please report this if a new copy of the file does not help",
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if _worker.progress is not None:
            _worker.progress(name, 1.0)


def _write(found: LabelledRecording, table: pd.DataFrame, place: Path, options: Options) -> None:
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
