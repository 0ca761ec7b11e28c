"""Preparation of a data set directory from a source: parallel, resumable, and complete or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from sslwear.data import unfinished
from sslwear.data.arrays import Description, describe, join, take_name
from sslwear.data.participant import RATE_HZ, PreparationResult, WindowPlan, prepare_participant, raw_state
from sslwear.data.sources.base import Source
from sslwear.errors import DataError
from sslwear.utils import processes
from sslwear.utils.paths import is_folder

__all__ = [
    "PREPARATION_VERSION",
    "RATE_HZ",
    "NoWindowsError",
    "PreparationProgress",
    "PreparationResult",
    "WindowPlan",
    "prepare",
]

PREPARATION_VERSION = 3
"""Version of the arithmetic from raw files to windows; raise it by hand when other windows come out."""


class NoWindowsError(DataError):
    """No participant has a window.

    Attributes:
        results: the result for each participant, with the reason.
    """

    def __init__(self, source: Source, results: list[PreparationResult]) -> None:
        self.results = results
        failed = [result.error for result in results if result.error]
        if len(results) == len(failed) == 1:
            super().__init__(failed[0])  # the windows are not the problem
            return
        if len(results) == len(failed):
            reason = f"none of {len(results)} participants could be read; the first: {failed[0]}"
        else:
            names = ", ".join(str(result.participant) for result in results[:5] if not result.error)
            reason = f"check the window length against the recordings of {names}, and their labels"
        super().__init__(f"{source.name}: there is no window to write; {reason}")


PreparationProgress = Callable[[PreparationResult, int, int], None]
"""Callback with the result of a participant, the number of finished participants, and the number of all."""


def prepare(
    source: Source,
    folder: Path,
    plan: WindowPlan | None = None,
    jobs: int = 1,
    progress: PreparationProgress | None = None,
    wait_s: float = 0,
) -> list[PreparationResult]:
    """Write a source's recordings as a data set directory of windows.

    The windows of each participant are written to a temporary folder beside `folder`. When all are complete, they are
    joined and renamed in one step. A repeated call with the same arguments continues an interrupted one, and reads
    only changed raw files again. A participant who cannot be read is left out and reported.

    Args:
        source: the source of the recordings.
        folder: the directory to write. A directory that the same call has written is not changed.
        plan: lengths and rate of the windows; by default those of the source.
        jobs: number of participants at a time, each in another process.
        progress: callback after each participant.
        wait_s: seconds to wait for another process that writes the same directory.

    Returns:
        One result for each participant.

    Raises:
        NoWindowsError: when no participant has a window.
        DataError: when the source cannot be read, `folder` has another content, or raw files changed during the call.
    """
    plan = plan or WindowPlan(source.window_s, source.step_s)
    if is_folder(folder) and folder.is_symlink():  # whose name a folder cannot take
        folder = folder.resolve()
    key = _key(source, plan)
    partial = folder.parent / f".{folder.name}.partial"
    with unfinished.locked(partial, folder, wait_s):
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            return _existing_results(source, folder, key)
        if folder.is_mount():  # the name cannot be taken at the end
            raise DataError(f"cannot write {folder}: a disk is mounted there; give a folder in it, {folder / 'data'}")
        unfinished.wait_for_workers(partial / "shards", folder)
        places = _places(source, partial, key)
        ordered = _read_all(source, plan, places, jobs, progress)
        whole = partial / "whole"
        try:
            _assemble(source, plan, key, ordered, places, whole)
        except DataError:
            unfinished.remove(partial)
            raise
        if not take_name(whole, folder):
            raise DataError(f"cannot write {folder}: it exists; give an unused directory")
        unfinished.remove(partial)
    return ordered


def _read_all(
    source: Source,
    plan: WindowPlan,
    places: Mapping[int | str, Path],
    jobs: int,
    progress: PreparationProgress | None,
) -> list[PreparationResult]:
    """Write the windows of each participant to its folder; one result for each, in order.

    Raises:
        DataError: when raw files changed while they were read.
    """
    results: dict[int | str, PreparationResult] = {}
    for result in _run([(source, participant, plan, place) for participant, place in places.items()], jobs):
        results[result.participant] = result
        if progress is not None:
            progress(result, len(results), len(places))
    ordered = [results[participant] for participant in places]
    for participant in _changed(source, ordered):
        raise DataError(
            f"raw files of {source.name}'s participant {participant} changed while they were read; repeat the "
            "command, which reads the changed files again"
        )
    return ordered


def _places(source: Source, partial: Path, key: str) -> dict[int | str, Path]:
    """Folder for the windows of each participant; what a call with other arguments left there is removed."""
    participants = source.participants()
    kept = partial / "plan.json"
    if kept.is_file() and kept.read_text(encoding="utf-8") != key:
        unfinished.remove(partial)
    shards = partial / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    kept.write_text(key, encoding="utf-8")
    return {participant: shards / _safe(i, participant) for i, participant in enumerate(participants)}


def _assemble(
    source: Source,
    plan: WindowPlan,
    key: str,
    results: list[PreparationResult],
    places: Mapping[int | str, Path],
    whole: Path,
) -> None:
    """Join the windows of all participants to a data set in the folder `whole`."""
    made = [places[result.participant] for result in results if result.windows]
    if not made:
        raise NoWindowsError(source, results)
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    description = _describe(source, plan, key, results)
    if plan.unlabelled:
        _gather_shards(made, whole, description)
    else:
        join(made, whole, description, source.class_names)


def _key(source: Source, plan: WindowPlan) -> str:
    """All settings that the windows depend on, as text."""
    return json.dumps({**source.identity(), **asdict(plan), "version": PREPARATION_VERSION}, indent=2, sort_keys=True)


def _safe(index: int, participant: int | str) -> str:
    """Name of a participant's folder."""
    return f"{index:04d}-{re.sub(r'[^A-Za-z0-9._-]', '_', str(participant))[:80]}"


def _gather_shards(shards: Iterable[Path], folder: Path, description: Description) -> None:
    """Copy the participants' folders into one folder, with hard links where possible."""
    for shard in shards:
        shutil.copytree(shard, folder / shard.name, copy_function=_link)
    description.save(folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _changed(source: Source, results: Iterable[PreparationResult]) -> Iterator[int | str]:
    """Participants whose raw files have changed since they were read."""
    return (result.participant for result in results if raw_state(source, result.participant) != result.raw)


def _existing_results(source: Source, folder: Path, key: str) -> list[PreparationResult]:
    """The results of a directory that the same call has written before.

    Raises:
        DataError: when it was written with other settings, or from other raw files.
    """
    try:
        description = describe(folder)
    except DataError:
        description = None
    if description is None or description.plan is None:  # such as a folder of recordings, which must not be deleted
        raise DataError(f"{folder} exists, and was not written by this command; give an unused directory")
    if description.plan != json.loads(key):
        raise DataError(f"{folder} exists, and was prepared with other settings; give an unused directory or delete it")
    results = [PreparationResult(**result) for result in description.participants or ()]
    added = set(source.participants()) - {result.participant for result in results}
    for participant in (*_changed(source, results), *added):
        raise DataError(
            f"{folder} exists, and raw files of participant {participant} have changed since; give an unused directory "
            "or delete it"
        )
    return results


def _run(tasks: list[tuple[Source, int | str, WindowPlan, Path]], jobs: int) -> Iterator[PreparationResult]:
    """Prepare the participants in parallel, and yield results in the order in which they finish."""
    waiting = []
    for task in tasks:
        source, participant, _, shard = task
        done = _finished(shard)
        if done is not None and (done.participant, done.raw) == (participant, raw_state(source, participant)):
            yield done
        else:
            shutil.rmtree(shard, ignore_errors=True)
            waiting.append(task)
    if jobs == 1 or len(waiting) <= 1:
        for task in waiting:
            yield prepare_participant(*task)
        return
    try:
        yield from processes.run(_prepare_in_worker, waiting, jobs)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed, probably for lack of memory; repeat the command with a smaller --jobs, which "
            "continues from here"
        ) from error


def _prepare_in_worker(source: Source, participant: int | str, plan: WindowPlan, shard: Path) -> PreparationResult:
    """Prepare a participant under a lock, which tells a later run that this worker still writes."""
    processes.exit_if_orphaned()
    # A file lock of the library would make a folder anew that a later run has removed.
    with Path(f"{shard}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        processes.exit_if_orphaned()
        return prepare_participant(source, participant, plan, shard)


def _finished(shard: Path) -> PreparationResult | None:
    """The result of a participant whose windows are complete, or None."""
    note = shard / "report.json"
    return PreparationResult(**json.loads(note.read_text(encoding="utf-8"))) if note.is_file() else None


def _describe(source: Source, plan: WindowPlan, key: str, results: Iterable[PreparationResult]) -> Description:
    return Description(
        name=source.name,
        rate_hz=plan.rate_hz,
        window_s=plan.window_s,
        step_s=plan.step_s,
        source=source.title,
        licence=source.licence,
        citation=source.citation,
        plan=json.loads(key),
        participants=tuple(asdict(result) for result in results),
    )
