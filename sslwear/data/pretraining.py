"""What pre-training draws from: any number of directories of windows, with labels or without."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.arrays import Description, motion
from sslwear.data.dataset import Dataset
from sslwear.data.loading import open_windows
from sslwear.data.shards import Shard, Shards
from sslwear.data.splits import rows


@dataclass(frozen=True)
class DatasetParticipant:
    """One participant's rows of a data set, to draw from.

    Attributes:
        dataset: whose rows.
        pid: the participant there.
        participant: how the participant is called here.
        first_class: index of the data set's first class among all classes.
    """

    dataset: Dataset
    pid: Any
    participant: int | str
    first_class: int = 0

    @property
    def count(self) -> int:
        """How many windows."""
        return len(self.rows())

    def windows(self) -> NDArray[np.floating]:
        """The data set's windows."""
        return self.dataset.windows

    def rows(self) -> NDArray[np.int64]:
        """The participant's."""
        return rows(self.dataset, (self.pid,))

    def motion(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much the wrist moved in some windows, in g."""
        return motion(self.dataset.windows[rows])

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class indices of some windows."""
        return self.first_class + self.dataset.labels[rows]


@dataclass(frozen=True)
class PretrainingData:
    """Directories of windows of the same or of different people.

    Attributes:
        parts: the directories, opened.
    """

    parts: tuple[Dataset | Shards, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def names(self) -> list[str]:
        """The parts' names; one that stands before has its place behind it."""
        given = [part.description.name for part in self.parts]
        return [f"{name}-{i + 1}" if name in given[:i] else name for i, name in enumerate(given)]

    @property
    def name(self) -> str:
        """The parts' names, in one text."""
        return ", ".join(self.names)

    @property
    def place(self) -> str:
        """The parts' folders."""
        return ", ".join(str(part.folder) for part in self.parts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes of all parts that have labels; what two parts call alike are two classes."""
        of = zip(self.names, self.parts, strict=True)
        return tuple(f"{part}: {name}" for part, data in of for name in data.class_names)

    @property
    def fingerprint(self) -> str:
        """The part's, or the SHA-256 of theirs."""
        if len(self.parts) == 1:
            return self.parts[0].fingerprint
        return hashlib.sha256(" ".join(part.fingerprint for part in self.parts).encode()).hexdigest()

    def labelled(self) -> PretrainingData:
        """Those parts that have labels."""
        return PretrainingData(tuple(part for part in self.parts if isinstance(part, Dataset)))

    def people(self, of: Description, without: Container[str]) -> list[list[Shard | DatasetParticipant]]:
        """Every person's windows, a list of pools each, but those of some people.

        Of the same name in two parts is the same person, unless the parts say that they are of different sources; where
        there are several parts, names say which.

        Args:
            of: the data set of those to leave out.
            without: their names.
        """
        found: dict[tuple[str | None, str], list[Shard | DatasetParticipant]] = {}
        known = all(part.description.source is not None for part in self.parts)
        first_class = 0
        for part, job_name in zip(self.parts, self.names, strict=True):
            other = others(of, part.description)
            for name, pool in _pools(part, first_class):
                if other or name not in without:
                    called = f"{job_name}:{name}" if len(self.parts) > 1 else pool.participant
                    person = (part.description.source if known else None, name)
                    found.setdefault(person, []).append(replace(pool, participant=called))
            first_class += len(part.class_names)
        return list(found.values())

    def shared(self, dataset: Dataset, names: Container[str]) -> list[str]:
        """Those of some participants of a data set whose windows are here, sorted; see `people`."""
        parts = [part for part in self.parts if not others(dataset.description, part.description)]
        return sorted({str(name) for part in parts for name in part.participants if str(name) in names})


def others(one: Description, other: Description) -> bool:
    """Whether two data sets say that they are of different sources, and so of different people."""
    return None not in (one.source, other.source) and one.source != other.source


def open_pretraining_data(places: Sequence[str], home: Path, include_nonwear: bool = False) -> PretrainingData:
    """Open the directories that `pretraining.data` names: data sets, unlabelled shards, or sources that come along.

    Args:
        places: paths, or names of sources.
        home: the store's folder; windows of sources are prepared below it, once.
        include_nonwear: whether windows of data sets in which the device was not worn are as good as any other.

    Raises:
        DataError: when one of them cannot be used.
    """
    return PretrainingData(tuple(_open(place, home, include_nonwear) for place in places))


def _open(place: str, home: Path, include_nonwear: bool) -> Dataset | Shards:
    windows = open_windows(place, home)
    if include_nonwear and isinstance(windows, Dataset):
        return replace(windows, worn=np.ones(len(windows), bool))
    return windows


def _pools(part: Dataset | Shards, first_class: int) -> Iterator[tuple[str, Shard | DatasetParticipant]]:
    if isinstance(part, Shards):
        yield from ((str(shard.participant), shard) for shard in part.shards)
        return
    for pid in np.unique(part.pid[part.worn]):
        yield str(pid), DatasetParticipant(part, pid, pid.item(), first_class)
