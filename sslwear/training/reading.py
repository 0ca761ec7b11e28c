"""How an epoch is cut into batches, and which of them are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from sslwear.training.windows import WindowSource


@dataclass(frozen=True)
class Reading:
    """Which batches of an epoch a source reads. Random numbers are drawn as if it read everything.

    Attributes:
        skip: first batches that are left out, because an interrupted training has seen them.
        rank: number of this process, from 0, among those that read a part of each batch each.
        count: number of these processes.
    """

    skip: int = 0
    rank: int = 0
    count: int = 1

    def part(self, windows: int) -> slice:
        """The part of a batch of so many windows that this process reads; the parts differ by one window at most."""
        return slice(self.rank * windows // self.count, (self.rank + 1) * windows // self.count)


EVERYTHING = Reading()


def read(
    source: WindowSource,
    size: int,
    samples: int,
    device: torch.device,
    shuffle: torch.Generator | None = None,
    view: int = 0,
    reading: Reading = EVERYTHING,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of a source, see `WindowSource.batches`; only a source that is read in part must know of `Reading`."""
    if reading == EVERYTHING:
        return source.batches(size, samples, device, shuffle, view)
    return source.batches(size, samples, device, shuffle, view, reading)


def index_batches(count: int, size: int, shuffle: torch.Generator | None) -> Iterator[NDArray[np.int64]]:
    """Batches of the indices 0 to `count` - 1, in a random order or in ascending order, see `in_batches`."""
    order = np.arange(count) if shuffle is None else torch.randperm(count, generator=shuffle).numpy()
    yield from in_batches(order, size)


def in_batches(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Batches of indices; the last one is smaller, or has one more index where only one would be left.

    Batch norm cannot standardise the features of a single window, and a contrastive task has nothing to compare with.
    """
    starts = list(range(0, len(order), size))
    if size > 1 and len(starts) > 1 and len(order) % size == 1:
        del starts[-1]
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        yield order[start:stop]
