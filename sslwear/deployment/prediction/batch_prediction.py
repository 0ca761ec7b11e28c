"""Prediction of many recordings in parallel, with output files for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from sslwear.data.files.device_checks import check_readable
from sslwear.data.sources.raw import natural
from sslwear.deployment.card_smoothing import model_of
from sslwear.deployment.prediction import record as prediction_record
from sslwear.deployment.prediction.files import Options, Outcome, check_outputs, earlier_outcome, write_outputs
from sslwear.deployment.prediction.recording_prediction import PredictionProgress, label
from sslwear.encoders.card import Card
from sslwear.encoders.classifier import Model
from sslwear.errors import DataError
from sslwear.evaluation.smoothing import HiddenMarkovModel
from sslwear.training.threads import idle_cores, use_threads
from sslwear.utils import processes


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
    recordings = check_outputs(files, options)
    chosen_smoothing(model.card, options)
    with output_folder(options.out) as folder:
        model.save(folder)
        digest = prediction_record.model_digest(folder)
        earlier = {name: earlier_outcome(name, file, digest, options) for name, file in recordings.items()}
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
        yield from _in_processes(tasks, jobs, (folder, options, threads), progress)


def _in_processes(
    tasks: Sequence[tuple[str, Path, Path, str, Options]],
    jobs: int,
    arguments: tuple[Path, Options, int],
    progress: PredictionProgress | None,
) -> Iterator[Outcome]:
    """Label recordings in worker processes; one whose process is killed is tried alone, and left out if it is again."""
    queue = processes.CONTEXT.SimpleQueue()
    _queues.append(queue)

    def forward_progress() -> None:
        while not queue.empty():
            name, share = queue.get()
            if progress is not None:
                progress(name, share)

    def run(some: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[Outcome]:
        given = (*arguments, _QueueProgress(queue))
        return processes.run(_predict_one, some, jobs, _load_worker, given, forward_progress)

    waiting = {task[0]: task for task in tasks}
    while waiting:
        try:
            for outcome in run(list(waiting.values()), min(jobs, len(waiting))):
                del waiting[outcome.name]
                yield outcome
        except BrokenProcessPool:
            # Tasks start in their order, so that the recording is among the first ones. Two that need much memory may
            # have been at work together, and each is alone now.
            for name in list(waiting)[: jobs + 1]:
                task = waiting.pop(name)
                try:
                    yield from run([task], 1)
                except BrokenProcessPool:
                    message = f"{task[1]}: its process was killed, probably for lack of memory. Repeat with --jobs 1"
                    yield Outcome(name, error=message, reason="its process was killed", file=task[1].name)


def chosen_smoothing(card: Card, options: Options) -> HiddenMarkovModel | None:
    """The hidden Markov model that labels are smoothed with; None for no smoothing.

    Raises:
        SettingsError: when a bout is not longer than a window.
        WeightsError: when the model's own one cannot be used.
    """
    if options.bout_s is not None:
        return HiddenMarkovModel.from_bouts(len(card.class_names), card.window_s, options.bout_s)
    return model_of(card) if options.learnt else None


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
_queues: list[Any] = []
"""Queues of progress. A worker that is still starting when the last recording is finished looks for its queue."""


def _load_worker(folder: Path, options: Options, threads: int, progress: PredictionProgress | None) -> None:
    """Load the model of a process, and set its number of threads."""
    global _worker
    use_threads(threads)
    threadpool_limits(threads)
    _worker = _Worker(Model.load(folder, torch.device(options.device), options.precision), progress)


@contextmanager
def output_folder(out: Path) -> Iterator[Path]:
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
        card = _worker.model.card
        smoothing = chosen_smoothing(card, options)
        check_readable(file)
        made_from = options.identity(file, model)  # before it is read, because it may still be copied to its folder
        found = label(name, file, place, _worker.model, smoothing, options.reading, _worker.progress)
        prediction_record.write(options.record(name), place, made_from, None)
        write_outputs(found, place, options, [about_labels(card, options)])
        result: dict[str, Any] = {
            "windows": len(found.table),
            "nonwear": int((found.windows.codes < 0).sum()),
            "note": found.note,
            "warning": found.warning,
            "file": file.name,
            "quality": asdict(found.quality),
            "span": list(found.windows.limits),
            "rule": asdict(options.rule),
            "clock": asdict(found.clock),
        }
        prediction_record.write(options.record(name), place, made_from, result)
        return Outcome(name, **result)
    except DataError as error:
        return _left_out(name, file, str(error), error.reason or "cannot be read")
    except MemoryError:
        message = f"{file} needs more memory than is available. Repeat with a smaller --jobs"
        return _left_out(name, file, message, "not enough memory")
    except OSError as error:
        message = f"{file}: cannot write samples or results ({error.strerror or error})"
        return _left_out(name, file, message, "results cannot be written")
    except Exception as error:  # noqa: BLE001 - one file must not stop the others
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        message = f"{file} cannot be labelled ({reason}). Please report this if a new copy of the file does not help"
        return _left_out(name, file, message, "cannot be labelled")
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if _worker.progress is not None:
            _worker.progress(name, 1.0)


def _left_out(name: str, file: Path, error: str, reason: str) -> Outcome:
    return Outcome(name, error=error, reason=reason, file=file.name)


def about_labels(card: Card, options: Options) -> str:
    """How labels are made, in a sentence."""
    if options.bout_s is not None:
        return f"Labels are smoothed for bouts of {options.bout_s / 60:g} minutes."
    if card.smoothing is not None and options.learnt:
        return "Labels are smoothed by the hidden Markov model that was learnt with the model."
    if not options.learnt:
        return "Labels are not smoothed."
    why = f", because {card.no_smoothing}" if card.no_smoothing else ""
    return f"Labels are not smoothed: the model has no learnt smoothing{why}."
