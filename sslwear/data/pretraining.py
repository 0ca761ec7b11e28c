"""Pre-training data: windows of several data sets and directories of shards."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.arrays import Description, motion
from sslwear.data.dataset import Dataset
from sslwear.data.identity import participant_key
from sslwear.data.loading import open_windows
from sslwear.data.shards import Shard, Shards
from sslwear.data.splits import rows


@dataclass(frozen=True)
class DatasetParticipant:
    """The windows of one participant of a data set.

    Attributes:
        dataset: the data set.
        pid: the participant in the data set.
        participant: name of the participant among the pre-training data.
        first_class: index of the data set's first class among all classes.
    """

    dataset: Dataset
    pid: Any
    participant: int | str
    first_class: int = 0

    @property
    def count(self) -> int:
        """Number of windows in which the device was worn."""
        return len(self.rows())

    def windows(self) -> NDArray[np.floating]:
        """All windows of the data set (N, samples, 3) in g."""
        return self.dataset.windows

    def rows(self) -> NDArray[np.int64]:
        """Indices of the participant's windows."""
        return rows(self.dataset, (self.pid,))

    def motion(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Motion in some windows in g, see `sslwear.data.arrays.motion`."""
        return motion(self.dataset.windows[rows])

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class indices of some windows, among all classes."""
        return self.first_class + self.dataset.labels[rows]


@dataclass(frozen=True)
class PretrainingData:
    """Windows for pre-training, from one or several directories.

    Attributes:
        parts: the opened directories.
    """

    parts: tuple[Dataset | Shards, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def names(self) -> list[str]:
        """Names of the parts; a repeated name gets the part's number."""
        given = [part.description.name for part in self.parts]
        return [f"{name}-{i + 1}" if name in given[:i] else name for i, name in enumerate(given)]

    @property
    def name(self) -> str:
        """Names of the parts as one text."""
        return ", ".join(self.names)

    @property
    def place(self) -> str:
        """Folders of the parts as one text."""
        return ", ".join(str(part.folder) for part in self.parts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes of all labelled parts; the same name in two parts is two classes."""
        of = zip(self.names, self.parts, strict=True)
        return tuple(f"{part}: {name}" for part, data in of for name in data.class_names)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the only part, or SHA-256 of the fingerprints of all parts."""
        if len(self.parts) == 1:
            return self.parts[0].fingerprint
        return hashlib.sha256(" ".join(part.fingerprint for part in self.parts).encode()).hexdigest()

    def labelled(self) -> PretrainingData:
        """The parts with labels."""
        return PretrainingData(tuple(part for part in self.parts if isinstance(part, Dataset)))

    def people(self, of: Description, without: Collection[object]) -> list[list[Shard | DatasetParticipant]]:
        """Windows of each participant, a list over the parts, without some participants.

        The same name in two parts, in any spelling, is the same participant, unless all parts have a source and the two
        sources differ. With several parts, names start with the name of the part.

        Args:
            of: description of the data set whose participants are left out.
            without: names of the participants to leave out.
        """
        found: dict[tuple[str | None, str], list[Shard | DatasetParticipant]] = {}
        excluded = {participant_key(name) for name in without}
        known = all(part.description.source is not None for part in self.parts)
        first_class = 0
        for part, part_name in zip(self.parts, self.names, strict=True):
            different = of_different_sources(of, part.description)
            for name, windows in _participants(part, first_class):
                if different or participant_key(name) not in excluded:
                    full_name = f"{part_name}:{name}" if len(self.parts) > 1 else windows.participant
                    person = (part.description.source if known else None, participant_key(name))
                    found.setdefault(person, []).append(replace(windows, participant=full_name))
            first_class += len(part.class_names)
        return list(found.values())

    def shared(self, dataset: Dataset, names: Collection[object]) -> list[str]:
        """Sorted names of those participants of a data set whose windows are here too, see `people`."""
        parts = [part for part in self.parts if not of_different_sources(dataset.description, part.description)]
        here = {participant_key(name) for part in parts for name in part.participants}
        return sorted(str(name) for name in names if participant_key(name) in here)


def of_different_sources(one: Description, other: Description) -> bool:
    """Whether two data sets have different sources, and so different participants."""
    return None not in (one.source, other.source) and one.source != other.source


def open_pretraining_data(places: Sequence[str], home: Path, include_nonwear: bool = False) -> PretrainingData:
    """Open the directories under `pretraining.data`: data sets, unlabelled shards, or embedded sources.

    Args:
        places: paths, or names of sources.
        home: the store's folder, below which windows of sources are prepared once.
        include_nonwear: whether to use windows of data sets in which the device was not worn.

    Raises:
        DataError: when one of them cannot be used.
    """
    return PretrainingData(tuple(_open(place, home, include_nonwear) for place in places))


def _open(place: str, home: Path, include_nonwear: bool) -> Dataset | Shards:
    windows = open_windows(place, home)
    if include_nonwear and isinstance(windows, Dataset):
        return replace(windows, worn=np.ones(len(windows), bool))
    return windows


def _participants(part: Dataset | Shards, first_class: int) -> Iterator[tuple[str, Shard | DatasetParticipant]]:
    """Name and windows of each participant of a part."""
    if isinstance(part, Shards):
        yield from ((str(shard.participant), shard) for shard in part.shards)
        return
    for pid in np.unique(part.pid[part.worn]):
        yield str(pid), DatasetParticipant(part, pid, pid.item(), first_class)
