"""Checkpoints of a training: everything that it needs to go on as if it had not been interrupted.

A checkpoint is written beside its place and renamed when it is complete, and the one before is kept, so that a killed
process, a full disk or a damaged file costs the time since one of the two at most.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sslwear.training import checked_files
from sslwear.training.results import EpochRecord
from sslwear.utils.interrupts import signals_deferred

CHECKPOINT_VERSION = 2
"""Raise it when the content of a checkpoint changes: checkpoints of another version are not used."""
ENDING, BEFORE = ".training", ".before"
SHORT_S = 60.0
"""Time in seconds that a training may have to repeat for want of a checkpoint at its end."""
ABANDONED_S = 30 * 24 * 3600.0
"""Age of a checkpoint in seconds after which nobody is expected to go on from it."""

State = dict[str, Any]
"""State of a training: tensors, numbers and texts in lists and dictionaries."""


class Checkpoints:
    """The last two checkpoints of one training.

    Args:
        folder: folder of the checkpoints of all trainings; created on first use.
        key: key of everything that the result of the training depends on.
        minutes: time between two checkpoints.
        warn: receives a sentence about each checkpoint that cannot be used or written.
        check: called before each one is written; what it raises ends the training. By default nothing is checked.

    Attributes:
        on_resume: receives the records of the epochs that are not trained again, when a training goes on.
    """

    on_resume: Callable[[Sequence[EpochRecord]], None] | None = None

    def __init__(
        self,
        folder: Path,
        key: str,
        minutes: float,
        warn: Callable[[str], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check = check
        self._path = folder / f"{key}{ENDING}"
        self._before = folder / f"{key}{BEFORE}{ENDING}"
        self._interval_s = 60 * minutes
        self._warn = warn
        self._written = time.monotonic()

    def read(self) -> State | None:
        """The newest checkpoint that can be used; None if there is none."""
        _forget_abandoned(self._path.parent)
        self._written = time.monotonic()
        for path in (self._path, self._before):
            try:
                if (state := _read(path)) is not None:
                    return state
            except FileNotFoundError:
                continue
            except OSError as error:
                self._warn(f"the checkpoint {path} cannot be read ({error.strerror}), so it is not used")
                continue
            self._warn(f"the checkpoint {path} is damaged or of another version, so it is not used")
        return None

    @property
    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.monotonic() - self._written >= self._interval_s

    @property
    def due_at_end(self) -> bool:
        """Whether it is time for one at the end of the training, because to repeat the rest would take long."""
        return time.monotonic() - self._written >= min(self._interval_s, SHORT_S)

    def write(self, state: State) -> None:
        """Write a checkpoint; if that is not possible, the one before stays, and a warning says so."""
        self._check()
        try:
            with signals_deferred():
                self._write(state)
        except MemoryError:
            self._warn(f"the checkpoint {self._path} cannot be written (out of memory). The training goes on")
        except OSError as error:
            self._warn(
                f"the checkpoint {self._path} cannot be written ({error.strerror}). The training goes on; free space "
                "where the store is"
            )
        self._written = time.monotonic()

    def _write(self, state: State) -> None:
        content = io.BytesIO()
        torch.save({"version": CHECKPOINT_VERSION, "state": state}, content)
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{self._path.stem}-", suffix=ENDING)
        unfinished = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.getbuffer())
                file.write(checked_files.ending(zlib.crc32(content.getbuffer())))
                file.flush()
                os.fsync(file.fileno())  # otherwise a power failure could leave a named file without its content
            with suppress(FileNotFoundError):
                self._path.replace(self._before)
            unfinished.rename(self._path)
        finally:
            unfinished.unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the checkpoints of a training that has ended, and what killed processes did not finish of them."""
        unfinished = self._path.parent.glob(f".{self._path.stem}-*{ENDING}")
        for path in (self._path, self._before, *unfinished):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _read(path: Path) -> State | None:
    """Content of a checkpoint; None if it is damaged or of another version.

    Raises:
        OSError: when it cannot be read.
    """
    content = path.read_bytes()
    end = max(0, len(content) - checked_files.CHECKSUM_BYTES)
    if content[end:] != checked_files.ending(zlib.crc32(content[:end])):
        return None
    found: dict[str, Any] = torch.load(io.BytesIO(content[:end]), map_location="cpu", weights_only=True)
    state: State | None = found["state"] if found.get("version") == CHECKPOINT_VERSION else None
    return state


def _forget_abandoned(folder: Path) -> None:
    """Delete checkpoints that are older than `ABANDONED_S`, and what killed processes did not finish."""
    for path in folder.glob(f"*{ENDING}") if folder.is_dir() else ():
        with suppress(OSError):  # another process deletes it too
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                path.unlink()
