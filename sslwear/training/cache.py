"""Outputs of frozen blocks, computed once: kept on disk for all trials, studies and processes, hot ones in memory."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakValueDictionary

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn

from sslwear.data.arrays import release
from sslwear.encoders.base import Network
from sslwear.training.device import autocast
from sslwear.training.windows import Windows, WindowSource, ordered

COMPUTE_BATCH = 256
FEATURES_VERSION = 1
"""Raise it when the arithmetic from windows to a block's outputs changes: outputs of another version are not used."""
ABANDONED_S = 24 * 3600
"""A file that nobody has finished for so long is a killed process's."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features(WindowSource):
    """Outputs of an encoder's first blocks for some windows, in place of the windows.

    Attributes:
        windows: whose outputs they are, in the same order.
        values: (n, channels, length), in memory or memory-mapped: float32, or the bits of bf16 as uint16.
        depth: how many blocks they have passed.
    """

    windows: Windows
    values: NDArray[Any]
    depth: int

    def __len__(self) -> int:
        return len(self.windows)

    def participants(self) -> list[Any]:
        """Whose windows they are."""
        return self.windows.participants()

    def batches(
        self, size: int, samples: int, device: torch.device, shuffle: torch.Generator | None = None, view: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the windows' batches, the same for the same generator, as (B, channels, length)."""
        labels = self.windows.labels
        for chosen in ordered(len(self), size, shuffle):
            x = torch.from_numpy(self.values[chosen])
            release(self.values)
            x = x.view(torch.bfloat16) if x.dtype == torch.uint16 else x
            yield x.to(device), torch.from_numpy(labels[chosen]).to(device)


class FrozenBlocks:
    """An encoder's first blocks, frozen and in evaluation mode, and how they are computed.

    Args:
        network: has the blocks; those that are asked for must not change while this object is in use.
        samples: length of the windows that the encoder takes.
        precision: ``float32`` or ``bf16``.
    """

    def __init__(self, network: Network, samples: int, precision: str) -> None:
        self._network = network
        self._samples = samples
        self._precision = precision
        self._device = next(network.parameters()).device
        self._digests: list[str] = []

    def key(self, windows: Windows, view: int, depth: int) -> str:
        """A name for the outputs of the first `depth` blocks, by content: whatever changes gives another name."""
        for block in list(self._network.feature_extractor)[len(self._digests) : depth]:
            self._digests.append(_digest(block))
        content = {
            "fingerprint": windows.dataset.fingerprint,
            "rows": hashlib.sha256(windows.rows.tobytes()).hexdigest(),
            "view": [repr(windows.augmentation), view] if windows.augmented(view) else None,
            "samples": self._samples,
            "blocks": self._digests[:depth],
            "precision": self._precision,
            "device": self._device.type,
            "torch": torch.__version__,
            "version": FEATURES_VERSION,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:40]

    @torch.no_grad()
    def outputs(self, start: WindowSource, view: int, depth: int) -> Iterator[NDArray[Any]]:
        """Compute the outputs of the first `depth` blocks batch by batch and in order, from windows or from outputs of
        fewer blocks: float32, or the bits of bf16 as uint16.
        """
        for x, _ in start.batches(COMPUTE_BATCH, self._samples, self._device, view=view):
            with autocast(self._device, self._precision):
                output = self._network.through(x, start.depth, depth).cpu().contiguous()
            yield (output.view(torch.uint16) if output.dtype == torch.bfloat16 else output.float()).numpy()


def _digest(block: nn.Module) -> str:
    """SHA-256 of what a block computes: its tensors, and how its modules are set up."""
    content = hashlib.sha256(repr(block).encode())
    for name, value in block.state_dict().items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        content.update(value.detach().cpu().contiguous().numpy().data)
    return content.hexdigest()


class FeatureCache:
    """Outputs of frozen blocks, by all that they depend on.

    An entry is one file, which takes its name when it is whole, so that processes share entries and a killed one leaves
    none that is wrong. Those used last are held in memory too.

    Args:
        folder: where the files are; made when needed.
        memory_bytes: so much is held in memory at most; other entries are memory-mapped.
        disk_bytes: so much is kept in the folder at most, entries in the making included; what was used longest ago
            goes first. An entry that is larger by itself is not made, and 0 makes none.

    Raises:
        ValueError: when a size is negative.
    """

    def __init__(self, folder: Path, memory_bytes: int, disk_bytes: int) -> None:
        if memory_bytes < 0 or disk_bytes < 0:
            raise ValueError(f"sizes cannot be negative but got {memory_bytes} and {disk_bytes}")
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._held: OrderedDict[Path, NDArray[Any]] = OrderedDict()
        self._alive: WeakValueDictionary[Path, NDArray[Any]] = WeakValueDictionary()  # held, or in use by a training

    def source(self, blocks: FrozenBlocks, windows: WindowSource, view: int, depth: int) -> WindowSource:
        """Outputs of the first `depth` blocks for a view of windows, read or computed.

        Returns:
            `Features`, or the windows themselves where there is nothing to keep: `depth` is 0, they are drawn afresh
            each epoch, their outputs are too large or cannot be written, or their file was changed after it was opened.
        """
        if depth == 0 or self._disk_bytes == 0 or not isinstance(windows, Windows):
            return windows
        path = self._path(blocks, windows, view, depth)
        try:
            values = self._read(path)
            if values is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                with FileLock(path.with_suffix(".lock")):  # of processes that want the same, one computes
                    if (values := self._read(path)) is None and self._write(path, blocks, windows, view, depth):
                        values = self._read(path)
        except OSError as error:
            log.warning("outputs of frozen blocks cannot be kept in %s (%s)", self._folder, error.strerror)
            return windows
        return windows if values is None else Features(windows, values, depth)

    def _path(self, blocks: FrozenBlocks, windows: Windows, view: int, depth: int) -> Path:
        return self._folder / f"{blocks.key(windows, view, depth)}.npy"

    def _write(self, path: Path, blocks: FrozenBlocks, windows: Windows, view: int, depth: int) -> bool:
        """Compute an entry, starting from the deepest that there is of fewer blocks; whether it was kept."""
        start = self._deepest(blocks, windows, view, depth - 1)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".making")
        os.close(handle)
        making = Path(name)
        try:
            with making.open("wb") as file:
                for piece in blocks.outputs(start, view, depth):
                    if file.tell() == 0:
                        shape = (len(start), *piece.shape[1:])
                        header = {"descr": piece.dtype.str, "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_1_0(file, header)
                        if not self._reserve(file, math.prod(shape) * piece.itemsize):
                            return False
                    file.write(piece.data)
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the name and not the content
            if not windows.dataset.unchanged():
                return False
            making.rename(path)
        finally:
            making.unlink(missing_ok=True)
        return True

    def _deepest(self, blocks: FrozenBlocks, windows: Windows, view: int, depth: int) -> WindowSource:
        for passed in range(depth, 0, -1):
            if (values := self._read(self._path(blocks, windows, view, passed))) is not None:
                return Features(windows, values, passed)
        return windows

    def _read(self, path: Path) -> NDArray[Any] | None:
        """An entry, from memory or else from its file; None where there is none."""
        try:
            if (values := self._alive.get(path)) is not None:
                with suppress(FileNotFoundError):  # it was deleted to make room, and is as good as before
                    os.utime(path)
                if path in self._held:
                    self._held.move_to_end(path)
                return values
            os.utime(path)
            mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):  # none, or one that is damaged
            return None
        while self._held and self._taken() + mapped.nbytes > self._memory_bytes:
            self._held.popitem(last=False)
        if self._taken() + mapped.nbytes > self._memory_bytes:
            return mapped
        held: NDArray[Any] = np.array(mapped)
        self._held[path] = self._alive[path] = held
        return held

    def _taken(self) -> int:
        """Bytes in memory, entries that are no longer held and still in use included."""
        return sum(values.nbytes for values in self._alive.values())

    def _reserve(self, making: BinaryIO, wanted: int) -> bool:
        """Give a file its size, deleting the entries used longest ago to make room; whether there is room at all."""
        with FileLock(self._folder / ".room.lock"):
            entries = []
            for path in self._folder.iterdir():
                with suppress(FileNotFoundError):  # another process may just have deleted it
                    status = path.stat()
                    if path.suffix == ".making" and time.time() - status.st_mtime > ABANDONED_S:
                        path.unlink()
                    elif path.suffix in (".npy", ".making"):
                        entries.append((status.st_mtime_ns, status.st_size, path))
            taken = sum(size for _, size, _ in entries)
            whole = [entry for entry in sorted(entries) if entry[2].suffix == ".npy"]
            if taken + wanted - sum(size for _, size, _ in whole) > self._disk_bytes:
                return False
            for _, size, path in whole:
                if taken + wanted <= self._disk_bytes:
                    break
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
                taken -= size
            making.truncate(making.tell() + wanted)
            return True
