"""Data sets and outputs of frozen blocks that are kept on a graphics card, where batches are gathered by index."""

from __future__ import annotations

import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.augmentations.base import Augmentation, in_turn
from sslwear.data.dataset import Dataset
from sslwear.training.cached_outputs import CachedOutputs
from sslwear.training.reading import EVERYTHING, Reading, index_batches, read
from sslwear.training.results import FitSettings
from sslwear.training.windows import Windows, WindowSource

SHARE = 0.5
"""Share of the free memory of a device that data may take by default."""
AHEAD = 3
"""Batches that are read before they are needed."""
COPIED = 4096
"""Windows that are copied to the device at a time."""
Filler = Callable[[Tensor], None]
"""Writes the content of an array on a device."""


class DeviceMemory:
    """Arrays that are kept on a device; those that were used last stay, as far as the limit allows.

    An array is dropped when the object that it was copied from is gone.

    Args:
        device: the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: OrderedDict[tuple[int, int], tuple[weakref.ref[object], Tensor]] = OrderedDict()
        self._default: int | None = None

    def tensor(
        self, owner: object, variant: int, shape: Sequence[int], kind: torch.dtype, limit: int | None, fill: Filler
    ) -> Tensor | None:
        """An array on the device, copied there if it is not there yet; None if it is above the limit.

        Args:
            owner: what it is copied from.
            variant: which of several arrays of the owner.
            shape: its shape.
            kind: its type.
            limit: bytes of all arrays that are kept; None for a share of the memory that is free at first use.
            fill: writes the array.
        """
        self._drop_gone()
        key = id(owner), variant
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][1]
        if limit is None:
            if self._default is None:
                self._default = int(SHARE * free_bytes(self._device))
            limit = self._default
        size = int(np.prod(shape)) * kind.itemsize
        if size > limit:
            return None
        while self._kept and self.used + size > limit:
            self._kept.popitem(last=False)
        try:
            values = torch.empty(*shape, dtype=kind, device=self._device)
            fill(values)
        except torch.OutOfMemoryError:  # others use the device too
            return None
        self._kept[key] = weakref.ref(owner), values
        return values

    @property
    def used(self) -> int:
        """Bytes of the arrays that are kept."""
        return sum(values.nbytes for _, values in self._kept.values())

    def _drop_gone(self) -> None:
        for key in [key for key, (owner, _) in self._kept.items() if owner() is None]:
            del self._kept[key]


_MEMORIES: dict[torch.device, DeviceMemory] = {}


def device_memory(device: torch.device) -> DeviceMemory:
    """Memory of a device, for all trainings of the process."""
    return _MEMORIES.setdefault(device, DeviceMemory(device))


def free_bytes(device: torch.device) -> int:
    """Free memory of a CUDA device."""
    return torch.cuda.mem_get_info(device)[0]


@dataclass(frozen=True)
class Table:
    """Windows of a source, or their outputs of the first blocks, on the device.

    Attributes:
        values: of all windows of the data set that the source may take (N, ...).
        labels: their class indices (N,).
        rows: indices of the source's windows in them (n,), on the CPU.
        changes: augmentations, each with its parameters of all N windows in this view.
    """

    values: Tensor
    labels: Tensor
    rows: NDArray[np.int64]
    changes: tuple[tuple[Augmentation, Tensor], ...] = field(default=())

    @property
    def can_be_captured(self) -> bool:
        """Whether the augmentations compute on the device only, so that a CUDA graph can have them."""
        return all(augmentation.on_device for augmentation, _ in self.changes)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Some windows (B, ...) and their class indices (B,), by their indices in `values` (B,) on the device."""
        x = self.values.index_select(0, rows)
        for augmentation, drawn in self.changes:
            x = augmentation.apply(x, drawn.index_select(0, rows))
        return x, self.labels.index_select(0, rows)


def keeps_data(device: torch.device) -> bool:
    """Whether data is kept on a device: copying it there takes long, and the device has memory of its own."""
    return device.type == "cuda"


def table_of(source: WindowSource, samples: int, view: int, settings: FitSettings) -> Table | None:
    """A source's windows on the device; None where data stays on the CPU, or they do not fit the limit.

    Args:
        source: windows, or outputs of the first blocks.
        samples: window length of the encoder, in samples.
        view: augmented view of the windows.
        settings: `device`, `device_bytes` and `processes` are used.
    """
    if not keeps_data(settings.device) or settings.processes.several:
        return None
    if isinstance(source, Windows):
        return _windows(source, samples, view, settings)
    return _outputs(source, settings) if isinstance(source, CachedOutputs) else None


def _windows(source: Windows, samples: int, view: int, settings: FitSettings) -> Table | None:
    dataset, device = source.dataset, settings.device

    def fill(values: Tensor) -> None:
        for first in range(0, len(dataset), COPIED):
            some = np.arange(first, min(first + COPIED, len(dataset)))
            values[first : first + COPIED] = dataset.gather(some, samples).to(device)

    shape = (len(dataset), 3, samples)
    values = device_memory(device).tensor(dataset, samples, shape, torch.float32, settings.device_bytes, fill)
    if values is None:
        return None
    changes: tuple[tuple[Augmentation, Tensor], ...] = ()
    if source.views is not None and source.augmented(view):
        drawn = (parameters.to(device) for parameters in source.views.draw(view, len(dataset)))
        changes = tuple(zip(in_turn(source.views.augmentation), drawn, strict=True))
    return Table(values, _labels(dataset, device), source.rows, changes)


def _labels(dataset: Dataset, device: torch.device) -> Tensor:
    """Class indices of all windows of a data set (N,), on a device."""
    return torch.from_numpy(dataset.labels).to(device)


def _outputs(source: CachedOutputs, settings: FitSettings) -> Table | None:
    array, device = source.values, settings.device
    halves = array.dtype == np.uint16

    def fill(values: Tensor) -> None:
        for first in range(0, len(array), COPIED):
            part = torch.from_numpy(np.ascontiguousarray(array[first : first + COPIED]))
            values[first : first + COPIED] = (part.view(torch.bfloat16) if halves else part).to(device)

    kind = torch.bfloat16 if halves else torch.float32
    values = device_memory(device).tensor(array, 0, array.shape, kind, settings.device_bytes, fill)
    if values is None:
        return None
    labels = _labels(source.windows.dataset, device)
    return Table(values, labels[torch.from_numpy(source.windows.whole().rows).to(device)], source.places())


def batches_of(
    source: WindowSource,
    size: int,
    samples: int,
    settings: FitSettings,
    shuffle: torch.Generator | None = None,
    view: int = 0,
    reading: Reading = EVERYTHING,
    ahead: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of a source, see `WindowSource.batches`, gathered on the device where its windows are there.

    Args:
        source: windows, or outputs of the first blocks.
        size: batch size.
        samples: window length of the encoder, in samples.
        settings: `device`, `device_bytes` and `processes` are used.
        shuffle: CPU generator of everything random; None for the order of the source.
        view: augmented view of the windows.
        reading: which batches are read.
        ahead: whether batches that are copied to the device are made before they are needed, so that `shuffle` may
            have drawn for more of them.
    """
    if (table := table_of(source, samples, view, settings)) is not None:
        return table_batches(table, size, shuffle, reading.skip)
    if not (ahead and keeps_data(settings.device)):
        return read(source, size, samples, settings.device, shuffle, view, reading)
    return copied_ahead(read(source, size, samples, torch.device("cpu"), shuffle, view, reading), settings.device)


def copied_ahead(
    batches: Iterator[tuple[Tensor, Tensor]], device: torch.device, pinned: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches on a device, of which the next ones are read in another thread, and copied while it computes.

    Args:
        batches: batches on the CPU.
        device: the device.
        pinned: whether they are copied from pinned memory, without which the device waits for them.
    """

    def read_next() -> tuple[Tensor, Tensor] | None:
        batch = next(batches, None)
        return (batch[0].pin_memory(), batch[1].pin_memory()) if pinned and batch is not None else batch

    with ThreadPoolExecutor(1, "batches") as pool:
        coming = deque(pool.submit(read_next) for _ in range(AHEAD))
        while (batch := coming.popleft().result()) is not None:
            coming.append(pool.submit(read_next))
            yield batch[0].to(device, non_blocking=True), batch[1].to(device, non_blocking=True)


def table_batches(
    table: Table, size: int, shuffle: torch.Generator | None, skip: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of a table's windows, in a random order or in the data set's order, without the first `skip` ones."""
    for chosen in islice(index_batches(len(table.rows), size, shuffle), skip, None):
        yield table.batch(torch.from_numpy(table.rows[chosen]).to(table.values.device))
