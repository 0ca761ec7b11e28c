"""Source to data set directory: participant by participant, several at a time, resumable, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from sslwear import __version__
from sslwear.data.arrays import Description, describe, join, take_name
from sslwear.data.participant import RATE_HZ, Plan, Report, prepare_participant, raw_state
from sslwear.data.sources.base import Source
from sslwear.errors import DataError
from sslwear.utils import processes

__all__ = ["RATE_HZ", "NoWindowsError", "Plan", "Progress", "Report", "prepare"]


class NoWindowsError(DataError):
    """Nobody gave a window; `reports` say of each participant why."""

    def __init__(self, source: Source, reports: list[Report]) -> None:
        self.reports = reports
        failed = [report.error for report in reports if report.error]
        if len(reports) == len(failed) == 1:
            reason = failed[0]
        elif len(reports) == len(failed):
            reason = f"none of {len(reports)} participants could be read; the first: {failed[0]}"
        else:
            reason = "check the window length against the recordings', and the labels"
        super().__init__(f"{source.name}: there is no window to write; {reason}")


Progress = Callable[[Report, int, int], None]
"""Hears of a participant, how many are done, and how many there are."""


def prepare(
    source: Source,
    folder: Path,
    plan: Plan | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    wait_s: float = 0,
) -> list[Report]:
    """Write a source's recordings as a data set directory of windows.

    Each participant's windows are written beside `folder`, and only when all are there do they become the data set,
    which takes its name in one step. What was finished when a run is stopped is used by the next one with the same
    arguments, unless raw files were changed since. A participant who cannot be read is left out and reported. Memory
    holds `jobs` participants.

    Args:
        source: where the recordings come from.
        folder: the directory to make. One that the same call made is left as it is.
        plan: window length and the like; the source's usual ones by default.
        jobs: participants to work on at a time, each in a process of its own.
        progress: hears of each participant.
        wait_s: how long to wait for another process that is making the same directory.

    Returns:
        One report a participant.

    Raises:
        NoWindowsError: when nobody gives a window, with the reports.
        DataError: when the source cannot be read, `folder` is something else already, or raw files were changed
            meanwhile.
    """
    plan = plan or Plan(source.window_s, source.step_s)
    key = _key(source, plan)
    partial = folder.parent / f".{folder.name}.partial"
    with _alone(partial, folder, wait_s):
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            return _made_before(source, folder, key)
        places = _places(source, partial, key)
        reports: dict[int | str, Report] = {}
        for report in _run([(source, participant, plan, place) for participant, place in places.items()], jobs):
            reports[report.participant] = report
            if progress is not None:
                progress(report, len(reports), len(places))
        ordered = [reports[participant] for participant in places]
        for who in _changed(source, ordered):
            raise DataError(
                f"raw files of {source.name}'s participant {who} were changed while they were read; repeat the command "
                "when nothing writes to them, which reads anew what was changed"
            )
        whole = partial / "whole"
        try:
            _assemble(source, plan, key, ordered, places, whole)
        except DataError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if not take_name(whole, folder):
            raise DataError(f"cannot write {folder}: it is there already; give an unused directory")
        shutil.rmtree(partial, ignore_errors=True)
    return ordered


def _places(source: Source, partial: Path, key: str) -> dict[int | str, Path]:
    """Where each participant's windows go; what another call left there is removed."""
    participants = source.participants()
    kept = partial / "plan.json"
    if kept.is_file() and kept.read_text() != key:
        shutil.rmtree(partial)
    shards = partial / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    kept.write_text(key)
    return {participant: shards / _safe(i, participant) for i, participant in enumerate(participants)}


def _assemble(
    source: Source, plan: Plan, key: str, reports: list[Report], places: Mapping[int | str, Path], whole: Path
) -> None:
    """Make the data set of all participants' windows in the folder `whole`."""
    made = [places[report.participant] for report in reports if report.windows]
    if not made:
        raise NoWindowsError(source, reports)
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    description = _describe(source, plan, key, reports)
    if plan.unlabelled:
        _gather_shards(made, whole, description)
    else:
        join(made, whole, description, source.class_names)


def _key(source: Source, plan: Plan) -> str:
    """All that the outcome depends on, as text."""
    return json.dumps({**source.identity(), **asdict(plan), "version": __version__}, indent=2, sort_keys=True)


def _safe(index: int, participant: int | str) -> str:
    """A folder's name for a participant."""
    return f"{index:04d}-{re.sub(r'[^A-Za-z0-9._-]', '_', str(participant))[:80]}"


def _gather_shards(shards: Iterable[Path], folder: Path, description: Description) -> None:
    """Put participants' folders side by side; unlike windows in one file, they can have any total size."""
    for shard in shards:
        shutil.copytree(shard, folder / shard.name, copy_function=_link)
    description.save(folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _changed(source: Source, reports: Iterable[Report]) -> Iterator[int | str]:
    """Whose raw files are not as they were when they were read."""
    return (report.participant for report in reports if raw_state(source, report.participant) != report.raw)


def _made_before(source: Source, folder: Path, key: str) -> list[Report]:
    """The reports of a directory that was made by the same call.

    Raises:
        DataError: when it was not, or of other raw files.
    """
    try:
        description = describe(folder)
    except DataError:
        description = None
    if description is None or description.plan != json.loads(key):
        raise DataError(f"{folder} is there already, and was made otherwise; give an unused directory or delete it")
    reports = [Report(**report) for report in description.participants or ()]
    added = set(source.participants()) - {report.participant for report in reports}
    for who in (*_changed(source, reports), *added):
        raise DataError(
            f"{folder} is there already, and raw files of participant {who} were changed since; give an unused "
            "directory or delete it"
        )
    return reports


@contextmanager
def _alone(partial: Path, folder: Path, wait_s: float) -> Iterator[None]:
    """Keep other processes from making the same directory."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{partial}.lock", timeout=wait_s)
        lock.acquire()
    except Timeout as error:
        raise DataError(f"{folder} is being made by another process; wait for it or stop it") from error
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; give an unused directory") from error
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; make room, then repeat the command") from error
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _run(tasks: list[tuple[Source, int | str, Plan, Path]], jobs: int) -> Iterator[Report]:
    """Work on participants, finished ones first, and yield reports as they come."""
    waiting = []
    for task in tasks:
        source, participant, _, shard = task
        done = _done(shard)
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
        yield from processes.run(prepare_participant, waiting, jobs)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was ended, probably for lack of memory; repeat the command, which goes on from there, "
            "with a smaller --jobs"
        ) from error


def _done(shard: Path) -> Report | None:
    """What is noted beside a participant's windows, where they are there."""
    note = shard / "report.json"
    return Report(**json.loads(note.read_text())) if note.is_file() else None


def _describe(source: Source, plan: Plan, key: str, reports: Iterable[Report]) -> Description:
    return Description(
        name=source.name,
        rate_hz=plan.rate_hz,
        window_s=plan.window_s,
        step_s=plan.step_s,
        source=source.title,
        licence=source.licence,
        citation=source.citation,
        plan=json.loads(key),
        participants=tuple(asdict(report) for report in reports),
    )
