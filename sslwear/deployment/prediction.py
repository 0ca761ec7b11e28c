"""A model on many new recordings, side by side, and the files that it gives of each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from sslwear.data.devices import DeviceFiles
from sslwear.data.sources.raw import natural
from sslwear.deployment.recording import Share, label
from sslwear.encoders import weights
from sslwear.encoders.classifier import CARD, CHECKPOINT, Model
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.daily import LabelledRecording, minutes
from sslwear.evaluation.smoothing import HiddenMarkovModel
from sslwear.reports.day_figure import day_figure
from sslwear.training.device import use_threads
from sslwear.utils import processes

FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class Options:
    """How recordings are labelled.

    Attributes:
        out: folder to write to.
        format: of the windows' table, ``csv`` or ``parquet``.
        bout_s: expected length of a bout in seconds for smoothing; None for none.
        device: where to compute, as torch names it.
        precision: ``float32`` or ``bf16``.
        overwrite: whether files of an earlier call may be replaced.
    """

    out: Path
    format: str = "csv"
    bout_s: float | None = None
    device: str = "cpu"
    precision: str = "float32"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise SettingsError(f"--format {self.format}: write {' or '.join(FORMATS)}")

    def stale(self, name: str) -> list[Path]:
        """Tables in another format, which would be taken for this call's: replaced as its own files are."""
        return [self.out / f"{name}.{other}" for other in FORMATS if other != self.format]

    def outputs(self, name: str) -> dict[str, Path]:
        """The files that a recording gives, by what they are."""
        endings = {"windows": f".{self.format}", "days": ".days.csv", "hours": ".hours.csv", "picture": ".png"}
        return {what: self.out / f"{name}{ending}" for what, ending in endings.items()}


@dataclass(frozen=True)
class Outcome:
    """What became of a recording.

    Attributes:
        name: the file's, without endings.
        windows: how many were cut.
        nonwear: in how many of them the device was not worn.
        note: how it was read.
        warning: what a reader of the labels must know, or None.
        error: why there are no labels, or None.
    """

    name: str
    windows: int = 0
    nonwear: int = 0
    note: str = ""
    warning: str | None = None
    error: str | None = None


def predict(
    files: Sequence[Path], model: Model, options: Options, jobs: int = 1, progress: Share | None = None
) -> Iterator[Outcome]:
    """Label recordings, several at a time, and write what `Options.outputs` names, each file whole or not at all.

    A file that cannot be used is reported, and the others are labelled all the same.

    Args:
        files: device files and CSV files.
        model: on whatever device; each process has a copy on `options.device`.
        options: how.
        jobs: recordings to work on at a time, each in a process of its own.
        progress: hears how far each is.

    Raises:
        DataError: when two files have the same name, an output is there already or would replace a recording, or the
            folder cannot be written to.
        SettingsError: when there is nothing to smooth.
    """
    named = _named(files, options)
    if options.bout_s is not None:
        HiddenMarkovModel.from_bouts(len(model.card.class_names), model.card.window_s, options.bout_s)
    jobs = max(1, min(jobs, len(named)))
    threads = max(1, joblib.cpu_count() // jobs)
    with _working(options.out) as folder:
        weights.save(model.network, folder / CHECKPOINT)
        (folder / CARD).write_text(model.card.to_json())
        tasks = [(name, file, folder, options) for name, file in named.items()]
        if jobs == 1:
            _begin(folder, options, threads, progress)
            for task in tasks:
                yield _predict_one(*task)
            return
        said = processes.CONTEXT.SimpleQueue()

        def listen() -> None:
            while not said.empty():
                name, share = said.get()
                if progress is not None:
                    progress(name, share)

        try:
            arguments = (folder, options, threads, _Said(said))
            yield from processes.run(_predict_one, tasks, jobs, _begin, arguments, listen)
        except BrokenProcessPool as error:
            raise DataError(
                f"a worker process was ended, probably for lack of memory; what was finished is in {options.out}: "
                "label the others with a smaller --jobs"
            ) from error


def in_order(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes, which come as they are finished, in the natural order of names."""
    return sorted(outcomes, key=lambda outcome: natural(outcome.name))


class _Said:
    """Tells another process how far a recording is."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def __call__(self, name: str, share: float) -> None:
        self._queue.put((name, share))


@dataclass
class _Here:
    """What a process works with."""

    model: Model
    progress: Share | None


_here: _Here | None = None


def _begin(folder: Path, options: Options, threads: int, progress: Share | None) -> None:
    """Load the model once in a process, and share the machine's cores with the other processes."""
    global _here
    use_threads(threads)
    threadpool_limits(threads)
    _here = _Here(Model.load(folder, torch.device(options.device), options.precision), progress)


def _named(files: Sequence[Path], options: Options) -> dict[str, Path]:
    """Files by the names of what they give.

    Raises:
        DataError: when something would be written over.
    """
    source = DeviceFiles(files)
    named = {str(who): Path(source.files(who)[0]) for who in source.participants()}
    inputs = {path.resolve(): path for path in named.values()}
    wanted: dict[Path, str] = {}
    for name in named:
        for path in [*options.outputs(name).values(), *options.stale(name)]:
            if path in wanted:
                raise DataError(f"{wanted[path]!r} and {name!r} would both write {path}; rename one of the recordings")
            if path.resolve() in inputs:
                raise DataError(f"{path} is one of the recordings and would be written over; give another --out")
            if path.exists() and not options.overwrite:
                raise DataError(
                    f"{path} is there already; leave that recording out, give another --out, or replace it with "
                    "--overwrite"
                )
            wanted[path] = name
    return named


@contextmanager
def _working(out: Path) -> Iterator[Path]:
    """A folder for unfinished files on the disk of the results; what a killed process left there is removed.

    Raises:
        DataError: when another process writes to `out`, or it cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".sslwear-predict.lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise DataError(f"another process writes predictions to {out}; wait for it, or give another --out") from error
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror}; give another --out") from error
    folder = out / ".sslwear-predict"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror}; give another --out") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _predict_one(name: str, file: Path, folder: Path, options: Options) -> Outcome:
    """Label a recording in a process that has begun; whatever is wrong with it becomes its outcome."""
    assert _here is not None
    place = Path(tempfile.mkdtemp(dir=folder))
    try:
        found, table, note, warning = label(name, file, place, _here.model, options.bout_s, _here.progress)
        _write(found, table, place, options)
        nonwear = int((found.codes < 0).sum())
        return Outcome(name, len(table), nonwear, note, warning)
    except DataError as error:
        return Outcome(name, error=str(error))
    except MemoryError:
        return Outcome(name, error=f"{file} needs more memory than there is; repeat with a smaller --jobs")
    except OSError as error:
        return Outcome(name, error=f"{file}: {error.strerror or error} while its samples or results were written")
    except Exception as error:  # noqa: BLE001 - nobody's file may keep the others' from being labelled
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Outcome(name, error=f"{file} cannot be labelled ({reason}); tell us if getting it again does not help")
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if _here.progress is not None:
            _here.progress(name, 1.0)


def _write(found: LabelledRecording, table: pd.DataFrame, place: Path, options: Options) -> None:
    """Write all of a recording's files, and then give them their names, the windows' table last."""
    made = {what: place / path.name for what, path in options.outputs(found.name).items()}
    if options.format == "parquet":
        table.to_parquet(made["windows"], index=False)
    else:
        times = np.char.replace(np.datetime_as_string(table["time"].to_numpy(), unit="ms"), "T", " ")
        table.assign(time=times).to_csv(made["windows"], index=False, float_format="%.4f")
    minutes(found, "day").to_csv(made["days"], index=False, float_format="%.3f")
    minutes(found, "hour").to_csv(made["hours"], index=False, float_format="%.3f")
    day_figure(found).savefig(made["picture"], dpi=130)
    for path in options.stale(found.name):
        path.unlink(missing_ok=True)
    for what, path in reversed(options.outputs(found.name).items()):
        made[what].replace(path)
