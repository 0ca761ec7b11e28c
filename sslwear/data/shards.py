"""Unlabelled windows for pre-training: a directory with one folder for each participant, of any total size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt

from sslwear.data.arrays import Description, describe
from sslwear.data.changes import FileStates, check_unchanged, file_states
from sslwear.data.dataset import load_array
from sslwear.data.facts import Facts, shards_facts
from sslwear.data.identity import similar
from sslwear.data.window_length import described_length_s
from sslwear.errors import DataError


@dataclass(frozen=True)
class Shard:
    """The unlabelled windows of one participant; they are read when they are used.

    Attributes:
        folder: has ``X.npy`` (N, samples, 3) in g, ``motion.npy`` (N,) and ``worn.npy`` (N,).
        participant: name or number of the participant.
        count: number of windows in which the device was worn.
        fingerprint: SHA-256 of the windows.
        files: states of the files when they were opened.
    """

    folder: Path
    participant: int | str
    count: int
    fingerprint: str
    files: FileStates = field(default_factory=dict, compare=False)

    def windows(self) -> NDArray[np.floating]:
        """All windows (N, samples, 3) in g, memory-mapped.

        Raises:
            DataError: when the file is missing or damaged.
        """
        return load_array(self.folder / "X.npy")

    def rows(self) -> NDArray[np.int64]:
        """Indices of the windows in which the device was worn.

        Raises:
            DataError: when the file is missing or damaged.
        """
        return np.flatnonzero(load_array(self.folder / "worn.npy"))

    def motion(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Motion in some windows in g, see `sslwear.data.arrays.motion`.

        Raises:
            DataError: when the file is missing or damaged.
        """
        moved: NDArray[np.float32] = load_array(self.folder / "motion.npy")[rows]
        return moved

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Zeros (N,), because there are no labels."""
        return np.zeros(len(rows), np.int64)

    def check_unchanged(self) -> None:
        """Check that the files have the same content as when they were opened.

        Raises:
            DataChangedError: when they do not.
        """
        check_unchanged(self.folder, self.files, self.fingerprint, _load)


class _Report(BaseModel):
    """What is read of the report on a participant's windows."""

    model_config = ConfigDict(strict=True)

    participant: int | str
    windows: NonNegativeInt
    nonwear: NonNegativeInt
    fingerprint: str


def _load(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a shard that its fingerprint covers, by name."""
    return {name: load_array(folder / f"{name}.npy") for name in ("X", "pid", "T", "worn")}


@dataclass(frozen=True)
class Shards:
    """A directory of shards.

    Attributes:
        folder: the directory.
        shards: one for each participant with a window.
        description: content of ``dataset.json``.
    """

    folder: Path
    shards: tuple[Shard, ...]
    description: Description

    def __len__(self) -> int:
        return sum(shard.count for shard in self.shards)

    @property
    def participants(self) -> list[int | str]:
        """The participants."""
        return [shard.participant for shard in self.shards]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Empty, because there are no labels."""
        return ()

    @property
    def window_s(self) -> float | None:
        """Length of the windows in seconds; None without ``dataset.json``."""
        return described_length_s(self.folder, self.description, self.samples)

    @property
    def samples(self) -> int:
        """Length of the windows in samples."""
        return int(self.shards[0].windows().shape[1])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may be wrong with the names of the participants, one sentence each."""
        alike = similar(self.participants)
        return (f"{self.folder}: {', '.join(alike)} may be recordings of one person",) if alike else ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shards' fingerprints."""
        return hashlib.sha256(" ".join(shard.fingerprint for shard in self.shards).encode()).hexdigest()

    def check_unchanged(self) -> None:
        """Check that the files of all shards have the same content as when they were opened.

        Raises:
            DataChangedError: when they do not.
        """
        for shard in self.shards:
            shard.check_unchanged()

    def describe(self) -> Facts:
        """Windows and participants, as a table that a notebook shows."""
        return shards_facts(self)


def open_shards(folder: Path) -> Shards:
    """Open a directory of shards; only reports and the shapes of windows are read, which is quick for any number.

    Args:
        folder: written by ``sslwear data prepare ... --unlabelled`` or ``sslwear data import``.

    Raises:
        DataError: when the directory holds no shard, a damaged one, or shards with windows of different lengths.
    """
    shards = []
    notes = sorted(folder.glob("*/report.json")) if folder.is_dir() else []
    for note in notes:
        try:
            report = _Report.model_validate_json(note.read_bytes())
        except (ValueError, OSError) as error:
            raise DataError(f"{note} is not the report of a shard; prepare the data again") from error
        count = report.windows - report.nonwear
        if count > 0:
            shards.append(Shard(note.parent, report.participant, count, report.fingerprint, file_states(note.parent)))
    if notes and not shards:
        raise DataError(f"{folder} has no window in which the device was worn; add recordings of worn devices")
    if not shards:
        raise DataError(
            f"{folder} has neither a data set (X.npy) nor shards of unlabelled windows. Save your arrays there, or "
            "write them with sslwear data import or sslwear data prepare"
        )
    _check_lengths(shards)
    return Shards(folder, tuple(shards), describe(folder))


def _check_lengths(shards: Sequence[Shard]) -> None:
    """Refuse windows of different lengths, as in folders from another directory: they would be stretched in time.

    Raises:
        DataError: with two such folders.
    """
    first, samples = shards[0].folder, shards[0].windows().shape[1]
    for shard in shards[1:]:
        if (other := shard.windows().shape[1]) != samples:
            raise DataError(
                f"{first} has windows of {samples} samples, and {shard.folder} of {other}. Keep windows of different "
                "lengths in different directories"
            )
