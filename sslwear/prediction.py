"""A model on new recordings: labels of windows, minutes a day and an hour, a picture; many files side by side."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sslwear import workers
from sslwear.data.devices import DeviceFiles
from sslwear.data.sources.raw import natural
from sslwear.data.streaming import stream
from sslwear.encoders import weights
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.daily import Labelled, minutes
from sslwear.evaluation.day_figure import day_figure
from sslwear.evaluation.smoothing import Chain, smooth
from sslwear.model import BATCH, CARD, CHECKPOINT, Card, Model, statistics, unlike
from sslwear.training.device import use_threads

FORMATS = ("csv", "parquet")
READING = 0.2
"""Share of a recording's time that reading it takes, for the bar; about, and none of the network's."""
GAP_S = 1e-3
"""Windows further apart than this are not neighbours."""


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


Share = Callable[[str, float], None]
"""Hears of a recording and of the share of it that is done."""


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
        Chain.from_bouts(len(model.card.class_names), model.card.window_s, options.bout_s)
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
        said = workers.CONTEXT.SimpleQueue()

        def listen() -> None:
            while not said.empty():
                name, share = said.get()
                if progress is not None:
                    progress(name, share)

        try:
            arguments = (folder, options, threads, _Said(said))
            yield from workers.run(_predict_one, tasks, jobs, _begin, arguments, listen)
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


def label(
    name: str, file: Path, place: Path, model: Model, bout_s: float | None = None, progress: Share | None = None
) -> tuple[Labelled, pd.DataFrame, str, str | None]:
    """Label the windows of a recording, side by side.

    Args:
        name: the recording's.
        file: where it is.
        place: a folder on a disk with room for its samples, 24 bytes each.
        model: what labels it.
        bout_s: expected length of a bout in seconds for smoothing; None for none.
        progress: hears how far it is.

    Returns:
        The windows; their table (``time``, ``worn``, ``label`` and ``p_CLASS`` of each class, empty where not worn);
        how the file was read; and a warning, or None.

    Raises:
        DataError: when it cannot be read, or not be brought to what the model takes.
    """
    card = model.card
    parts: dict[str, list[NDArray[Any]]] = {key: [] for key in ("start", "worn", "enmo", "statistics")}
    network = _Batches(model)
    with stream(file, place) as recording:
        _check_rate(file, recording.rate_hz, card)
        for windows in recording.windows(card.rate_hz, card.window_samples):
            parts["start"].append(windows.start)
            parts["worn"].append(windows.worn)
            length = np.linalg.norm(windows.samples, axis=2)
            parts["enmo"].append(1000 * np.maximum(length - 1, 0).mean(axis=1))
            known = windows.samples[windows.worn]
            network.add(known)
            parts["statistics"].append(statistics(known))
            if progress is not None and len(windows):
                share = windows.start[-1] / max(recording.seconds, windows.start[-1] + 1)
                progress(name, READING + (1 - READING) * float(share))
    p = network.finish()
    start, enmo, found = (np.concatenate(parts[key]) for key in ("start", "enmo", "statistics"))
    worn: NDArray[np.bool_] = np.concatenate(parts["worn"])
    if len(start) == 0:
        raise DataError(f"{file} has no stretch without a gap that is as long as a window, {card.window_s:g} s")
    codes = np.full(len(start), -1)
    codes[worn] = _classes(p, start[worn], card, bout_s)
    when = recording.start + np.rint(start * 1e9).astype("timedelta64[ns]")
    labelled = Labelled(
        name, card.class_names, when, card.window_s, codes, enmo.astype(np.float32), recording.start, recording.end
    )
    return labelled, _table(labelled, worn, p), recording.note, unlike(card, found)


class _Batches:
    """A model's probabilities of windows that come in pieces, computed in batches of one size.

    A batch of another size is another shape to the libraries below PyTorch, which keep memory for each that they saw.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting = np.empty((0, model.card.window_samples, 3), np.float32)
        self._found = [np.empty((0, len(model.card.class_names)), np.float32)]

    def add(self, windows: NDArray[np.float32]) -> None:
        """Go on with windows (N, samples, 3)."""
        windows = np.concatenate([self._waiting, windows])
        whole = len(windows) // BATCH * BATCH
        self._found.append(self._model.probabilities(windows[:whole]))
        self._waiting = windows[whole:].copy()

    def finish(self) -> NDArray[np.float32]:
        """All probabilities (N, classes)."""
        self._found.append(self._model.probabilities(self._waiting))
        return np.concatenate(self._found)


def _check_rate(file: Path, rate_hz: float, card: Card) -> None:
    """Refuse a recording that lacks more than half of the frequencies that the model was made for.

    Sampled at r Hz it holds movement below r / 2 Hz. Resampling to the model's rate cannot bring back what is above.

    Raises:
        DataError: with both rates.
    """
    if rate_hz < card.rate_hz / 2:
        raise DataError(
            f"{file} has {rate_hz:g} samples a second and the model takes {card.rate_hz:g}: with fewer than "
            f"{card.rate_hz / 2:g} more than half of the frequencies that it looks at were not recorded"
        )


def _classes(p: NDArray[np.float32], start: NDArray[np.float64], card: Card, bout_s: float | None) -> NDArray[np.int64]:
    """Indices of the classes of worn windows (N,), smoothed or not; a gap or time not worn breaks the chain."""
    if bout_s is None:
        likeliest: NDArray[np.int64] = p.argmax(axis=1)
        return likeliest
    begins = np.diff(start, prepend=-np.inf) > card.window_s + GAP_S
    return smooth(p, Chain.from_bouts(len(card.class_names), card.window_s, bout_s), begins)


def _table(found: Labelled, worn: NDArray[np.bool_], p: NDArray[np.float32]) -> pd.DataFrame:
    names = np.array([*found.class_names, ""], dtype=object)
    whole = np.full((len(worn), p.shape[1]), np.nan, np.float32)
    whole[worn] = p
    columns: Mapping[str, Any] = {
        "time": found.start.astype("datetime64[ms]"),
        "worn": worn,
        "label": names[found.codes],
        **{f"p_{name}": whole[:, i] for i, name in enumerate(found.class_names)},
    }
    return pd.DataFrame(columns)


def _write(found: Labelled, table: pd.DataFrame, place: Path, options: Options) -> None:
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
