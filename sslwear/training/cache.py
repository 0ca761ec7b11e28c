"""Cache of the outputs of frozen blocks, on disk for all processes and in memory."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import tempfile
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakValueDictionary

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import nn

from sslwear.augmentations.base import in_turn
from sslwear.encoders.base import Network
from sslwear.training import checked_files
from sslwear.training.cached_outputs import CachedOutputs
from sslwear.training.device import autocast
from sslwear.training.windows import AugmentedViews, Windows, WindowSource
from sslwear.tuning.base import set_mode
from sslwear.utils import plugins

COMPUTE_BATCH = 256
FEATURES_VERSION = 4
"""Version of the arithmetic from windows to a block's outputs. Raise it when that changes; entries of another version
are not used."""
ABANDONED_S = 24 * 3600
"""Age after which an unfinished file is deleted: the process that wrote it was killed."""
log = logging.getLogger(__name__)


class FrozenBlocks:
    """Frozen first blocks of an encoder, which compute in evaluation mode.

    Args:
        network: network with the blocks; the blocks in use must not change during the life of this object.
        samples: window length of the encoder, in samples.
        precision: ``float32`` or ``bf16``.
    """

    def __init__(self, network: Network, samples: int, precision: str) -> None:
        self._network = network
        self._samples = samples
        self._precision = precision
        self._device = next(network.parameters()).device
        self._digests: list[str] = []

    def key(self, windows: Windows, view: int, depth: int) -> str:
        """Hash of everything that the outputs of the first `depth` blocks for `windows.whole()` depend on."""
        for block in list(self._network.feature_extractor)[len(self._digests) : depth]:
            self._digests.append(_digest(block))
        content = {
            "fingerprint": windows.dataset.fingerprint,
            "rows": hashlib.sha256(windows.whole().rows.tobytes()).hexdigest(),
            "view": [*_views_key(windows.views), view] if windows.views and windows.augmented(view) else None,
            "samples": self._samples,
            "encoder": self._network.made_by,  # modules may differ in what neither tensors nor their texts tell
            "blocks": self._digests[:depth],
            "precision": self._precision,
            "device": self._device.type,
            "torch": torch.__version__,
            "version": FEATURES_VERSION,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:40]

    @torch.no_grad()
    def outputs(self, source: WindowSource, view: int, depth: int) -> Iterator[NDArray[Any]]:
        """Outputs of the first `depth` blocks, batch by batch in the order of the source.

        Args:
            source: windows, or outputs of fewer blocks.
            view: augmented view of the windows.
            depth: number of blocks.

        Yields:
            Arrays (B, channels, length): float32, or the bits of bf16 as uint16.
        """
        for block in list(self._network.feature_extractor)[:depth]:
            set_mode(block, training=False)
        for x, _ in source.batches(COMPUTE_BATCH, self._samples, self._device, view=view):
            with autocast(self._device, self._precision):
                output = self._network.forward_blocks(x, source.depth, depth).cpu().contiguous()
            yield (output.view(torch.uint16) if output.dtype == torch.bfloat16 else output.float()).numpy()


def _views_key(views: AugmentedViews) -> list[str]:
    """Texts that change with the augmentations, their code and their seed."""
    return [repr(views), *(plugins.identity(type(one)) for one in in_turn(views.augmentation))]


def _digest(block: nn.Module) -> str:
    """SHA-256 of a block: its tensors and the structure of its modules."""
    content = hashlib.sha256(repr(block).encode())
    for code in sorted({plugins.identity(type(module)) for module in block.modules()} - {""}):
        content.update(code.encode())
    for name, value in block.state_dict().items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        content.update(value.detach().cpu().contiguous().numpy().data)
    return content.hexdigest()


class FeatureCache:
    """Cache of outputs of frozen blocks, for use by one thread.

    An entry has the outputs for all windows of a data set in which the device was worn, so that the folds of a study
    share it: in cross-validation each participant is in the training windows of most folds and in the validation
    windows of one, and entries for each fold's windows would be computed and stored as often as there are folds. A
    training on few of the windows computes more than it needs, but only once.

    An entry is one file in the folder. The file gets its name when it is complete, so processes can share entries and a
    killed process leaves no incomplete one. A checksum is compared when a process first reads an entry; a damaged entry
    is computed again. The entries that were used last are also held in memory.

    Args:
        folder: folder of the files; created on first use.
        memory_bytes: limit of the entries in memory; further entries are memory-mapped.
        disk_bytes: limit of the folder, unfinished entries included. The least recently used entries are deleted first.
            An entry above the limit is not stored; with 0 nothing is stored.

    Raises:
        ValueError: when a limit is negative.
    """

    def __init__(self, folder: Path, memory_bytes: int, disk_bytes: int) -> None:
        if memory_bytes < 0 or disk_bytes < 0:
            raise ValueError(f"memory_bytes and disk_bytes cannot be negative but got {memory_bytes} and {disk_bytes}")
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._verified: set[tuple[Path, int]] = set()  # files by path and inode
        self._held: OrderedDict[Path, NDArray[Any]] = OrderedDict()
        self._in_memory: WeakValueDictionary[Path, NDArray[Any]] = WeakValueDictionary()  # held, or used by a training

    def source(self, blocks: FrozenBlocks, windows: WindowSource, view: int, depth: int) -> WindowSource:
        """Outputs of the first `depth` blocks for a view of windows, read from the cache or computed.

        Args:
            blocks: the frozen blocks.
            windows: the windows.
            view: augmented view of the windows; 0 is as recorded.
            depth: number of blocks.

        Returns:
            `CachedOutputs`, or the windows themselves if nothing can be cached: `depth` is 0, the windows are sampled
            anew in each epoch, the outputs are too large or cannot be written, or the windows' file has changed.
        """
        if depth == 0 or self._disk_bytes == 0 or not isinstance(windows, Windows):
            return windows
        path = self._path(blocks, windows, view, depth)
        try:
            values = self._read(path)
            if values is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                with FileLock(path.with_suffix(".lock")):  # of several processes only one computes the entry
                    if (values := self._read(path)) is None and self._write(path, blocks, windows, view, depth):
                        values = self._read(path)
        except OSError as error:
            log.warning("cannot store outputs of frozen blocks in %s (%s)", self._folder, error.strerror)
            return windows
        return windows if values is None else CachedOutputs(windows, values, depth)

    def _path(self, blocks: FrozenBlocks, windows: Windows, view: int, depth: int) -> Path:
        return self._folder / f"{blocks.key(windows, view, depth)}.npy"

    def _read(self, path: Path) -> NDArray[Any] | None:
        """An entry, from memory or from its file; None if there is none."""
        try:
            if (values := self._in_memory.get(path)) is not None:
                with suppress(FileNotFoundError):  # its file was deleted to free space; the array is still valid
                    os.utime(path)
                if path in self._held:
                    self._held.move_to_end(path)
                return values
            os.utime(path)
            if (entry := (path, path.stat().st_ino)) not in self._verified:
                if not checked_files.is_intact(path):
                    log.warning("the cached outputs %s are damaged, and are computed again", path)
                    return None
                self._verified.add(entry)
            mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):  # no file, or a damaged one
            return None
        while self._held and self._used_bytes() + mapped.nbytes > self._memory_bytes:
            self._held.popitem(last=False)
        if self._used_bytes() + mapped.nbytes > self._memory_bytes:
            return mapped
        held: NDArray[Any] = np.array(mapped)
        self._held[path] = self._in_memory[path] = held
        return held

    def _used_bytes(self) -> int:
        """Bytes of the entries in memory, those included that are only held by a training."""
        return sum(values.nbytes for values in self._in_memory.values())

    def _write(self, path: Path, blocks: FrozenBlocks, windows: Windows, view: int, depth: int) -> bool:
        """Compute an entry from the deepest cached outputs; returns whether it was stored."""
        source = self._deepest(blocks, windows.whole(), view, depth - 1)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".making")
        os.close(handle)
        unfinished = Path(name)
        checksum = 0
        try:
            with unfinished.open("wb") as file:
                for batch in blocks.outputs(source, view, depth):
                    if file.tell() == 0:
                        shape = (len(source), *batch.shape[1:])
                        header = checked_files.array_header(batch.dtype, shape)
                        file.write(header)
                        checksum = zlib.crc32(header)
                        if not self._reserve(file, math.prod(shape) * batch.itemsize + checked_files.CHECKSUM_BYTES):
                            return False
                    file.write(batch.data)
                    checksum = zlib.crc32(batch.data, checksum)
                file.write(checked_files.ending(checksum))
                file.flush()
                os.fsync(file.fileno())  # otherwise a power failure could leave a named file without its content
            if not windows.dataset.unchanged():
                return False
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return True

    def _deepest(self, blocks: FrozenBlocks, windows: Windows, view: int, depth: int) -> WindowSource:
        """Cached outputs of at most `depth` blocks, as many as possible; the windows if there are none."""
        for blocks_done in range(depth, 0, -1):
            if (values := self._read(self._path(blocks, windows, view, blocks_done))) is not None:
                return CachedOutputs(windows, values, blocks_done)
        return windows

    def _reserve(self, file: BinaryIO, size: int) -> bool:
        """Extend an unfinished file by `size` bytes; deletes the least recently used entries if space is needed.

        Returns:
            Whether there is space for it.
        """
        with FileLock(self._folder / ".room.lock"):
            entries = []
            for path in self._folder.iterdir():
                with suppress(FileNotFoundError):  # another process may have deleted it
                    status = path.stat()
                    if path.suffix == ".making" and time.time() - status.st_mtime > ABANDONED_S:
                        path.unlink()
                    elif path.suffix in (".npy", ".making"):
                        entries.append((status.st_mtime_ns, status.st_size, path))
            used = sum(entry[1] for entry in entries)
            finished = [entry for entry in sorted(entries) if entry[2].suffix == ".npy"]
            if used + size - sum(entry[1] for entry in finished) > self._disk_bytes:
                return False
            for _, freed, path in finished:
                if used + size <= self._disk_bytes:
                    break
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
                used -= freed
            file.truncate(file.tell() + size)
            return True
