"""What the loop learns from and what it is judged on, read batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.data.dataset import Dataset, gather
from sslwear.data.splits import rows
from sslwear.errors import LeakageError
from sslwear.training.device import generator
from sslwear.transforms import augmentations

VIEWS = 1000
"""Streams of random numbers from here on are those of augmented views."""
EVERY_EPOCH_THE_SAME = 0
"""Seed of what is drawn for validation."""


class WindowSource(ABC):
    """Gives windows in batches, or outputs of the encoder's first blocks for them.

    Attributes:
        depth: how many blocks what it gives has passed.
    """

    depth: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """Windows an epoch."""

    @abstractmethod
    def participants(self) -> list[Any]:
        """Whose windows they are, without repeats."""

    def augmented(self, view: int) -> bool:
        """Whether a view is another than how the windows were recorded."""
        return False

    @abstractmethod
    def batches(
        self, size: int, samples: int, device: torch.device, shuffle: torch.Generator | None = None, view: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give an epoch's windows: (B, 3, samples) in g and class indices (B,), on the device.

        Args:
            size: windows a batch; some may have fewer.
            samples: length that the encoder takes.
            device: where the batches go.
            shuffle: CPU generator of what is random; None gives the same windows in the same order at every call.
            view: which augmented view of the windows, where they are augmented; 0 is how they were recorded.
        """


@dataclass(frozen=True)
class Augmentation:
    """How windows are augmented, see `sslwear.transforms.augmentations`.

    Attributes:
        seed: of the views.
        most_degrees: windows are turned by at most so much; None for any orientation.
    """

    seed: int
    most_degrees: float | None = None


@dataclass(frozen=True)
class Windows(WindowSource):
    """Some rows of a data set, each once an epoch.

    Attributes:
        dataset: where they are read from, when they are needed.
        rows: their indices (n,).
        augmentation: how views differ, or None for windows that are the same in every view.
    """

    dataset: Dataset
    rows: NDArray[np.int64]
    augmentation: Augmentation | None = None

    @classmethod
    def of(cls, dataset: Dataset, participants: tuple[Any, ...], augmentation: Augmentation | None = None) -> Windows:
        """All windows of some participants in which the device was worn.

        Raises:
            DataError: when one of them has none.
        """
        return cls(dataset, rows(dataset, participants), augmentation)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class indices (n,)."""
        return self.dataset.labels[self.rows]

    @property
    def pid(self) -> NDArray[Any]:
        """Participants (n,)."""
        participants: NDArray[Any] = self.dataset.pid[self.rows]
        return participants

    def participants(self) -> list[Any]:
        """Whose windows they are, sorted."""
        return [pid.item() for pid in np.unique(self.pid)]

    def batches(
        self, size: int, samples: int, device: torch.device, shuffle: torch.Generator | None = None, view: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the windows once, in a random order or in the data set's."""
        matrices, how = None, self.augmentation
        if how is not None and self.augmented(view):
            matrices = augmentations(len(self), generator(how.seed, VIEWS + view), how.most_degrees)
        for chosen in ordered(len(self), size, shuffle):
            rows = self.rows[chosen]
            x = self.dataset.gather(rows, samples).to(device)
            if matrices is not None:
                x = matrices[chosen].to(device) @ x
            yield x, torch.from_numpy(self.dataset.labels[rows]).to(device)

    def augmented(self, view: int) -> bool:
        """Whether a view is another than how the windows were recorded."""
        return view > 0 and self.augmentation is not None


def ordered(count: int, size: int, shuffle: torch.Generator | None) -> Iterator[NDArray[np.int64]]:
    """Batches of indices: all once, in a random order or from the first to the last."""
    order = np.arange(count) if shuffle is None else torch.randperm(count, generator=shuffle).numpy()
    for first in range(0, count, size):
        yield order[first : first + size]


class ParticipantWindows(Protocol):
    """One participant's windows, to draw from; see `sslwear.data.shards.Shard`."""

    @property
    def participant(self) -> int | str:
        """Whose they are."""

    @property
    def count(self) -> int:
        """How many."""

    def windows(self) -> NDArray[np.floating]:
        """(N, samples, 3) in g, memory-mapped, those to draw from among them."""

    def rows(self) -> NDArray[np.int64]:
        """Indices of those to draw from (count,)."""

    def motion(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much the wrist moved in some windows, in g."""

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class indices of some windows, 0 where there are no labels."""


@dataclass(frozen=True)
class SampledWindows(WindowSource):
    """Windows drawn anew every epoch from pools of any size.

    Participants are taken in a random order, several at a time, and a batch mixes windows of those; memory holds what
    these few need, however many pools there are. After the pre-training of Yuan et al., npj Digital Medicine 2024,
    7:91, which weighs windows by their motion because most of a day is spent hardly moving.

    Attributes:
        pools: one a participant.
        per_participant: windows to draw of each, an epoch; None for as many as each has.
        at_a_time: participants that a batch mixes.
        by_motion: whether a window's probability is proportional to its motion, or the same for all.
    """

    pools: Sequence[ParticipantWindows]
    per_participant: int | None
    at_a_time: int
    by_motion: bool

    def __len__(self) -> int:
        return sum(self._share(pool) for pool in self.pools)

    def participants(self) -> list[Any]:
        """Whose windows they are."""
        return [pool.participant for pool in self.pools]

    def batches(
        self, size: int, samples: int, device: torch.device, shuffle: torch.Generator | None = None, view: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw an epoch's windows; there is one view."""
        draws = shuffle or torch.Generator().manual_seed(EVERY_EPOCH_THE_SAME)
        order = torch.randperm(len(self.pools), generator=draws).tolist()
        for first in range(0, len(order), self.at_a_time):
            pools = [self.pools[i] for i in order[first : first + self.at_a_time]]
            arrays = [pool.windows() for pool in pools]
            drawn = [self._draw(pool, draws) for pool in pools]
            whose = np.repeat(np.arange(len(pools)), [len(chosen) for chosen in drawn])
            chosen = np.concatenate(drawn)
            labels = np.concatenate([pool.labels(mine) for pool, mine in zip(pools, drawn, strict=True)])
            mixed = torch.randperm(len(chosen), generator=draws).numpy()
            for start in range(0, len(mixed), size):
                batch = mixed[start : start + size]
                batch = batch[np.argsort(whose[batch], kind="stable")]  # those of a pool together
                parts = [gather(array, chosen[batch[whose[batch] == i]], samples) for i, array in enumerate(arrays)]
                yield torch.cat(parts).to(device), torch.from_numpy(labels[batch]).to(device)

    def _share(self, pool: ParticipantWindows) -> int:
        return pool.count if self.per_participant is None else self.per_participant

    def _draw(self, pool: ParticipantWindows, draws: torch.Generator) -> NDArray[np.int64]:
        """Indices into the pool's windows, with replacement."""
        candidates = pool.rows()
        weights = torch.ones(len(candidates))
        if self.by_motion:
            moved = torch.from_numpy(pool.motion(candidates))
            weights = moved if moved.sum() > 0 else weights
        places = torch.multinomial(weights.double(), self._share(pool), replacement=True, generator=draws)
        drawn: NDArray[np.int64] = candidates[places.numpy()]
        return drawn


@dataclass(frozen=True)
class FitData:
    """Windows to learn from, and windows of other participants for early stopping.

    Raises:
        LeakageError: when a participant is on both sides.
    """

    train: WindowSource
    validation: WindowSource

    def __post_init__(self) -> None:
        shared = set(self.train.participants()) & set(self.validation.participants())
        if shared:
            raise LeakageError(f"participant {sorted(shared)[0]} is both in training and in validation")
