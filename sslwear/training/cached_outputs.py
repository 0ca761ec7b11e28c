"""Source of the outputs of frozen blocks, for training and validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.data.arrays import release
from sslwear.training.reading import EVERYTHING, Reading, index_batches
from sslwear.training.windows import Windows, WindowSource


@dataclass(frozen=True)
class CachedOutputs(WindowSource):
    """Outputs of an encoder's first blocks for windows.

    Attributes:
        windows: the windows.
        values: outputs of `windows.whole()` (N, channels, length), in memory or memory-mapped: float32, or the bits of
            bf16 as uint16.
        depth: number of blocks.
    """

    windows: Windows
    values: NDArray[Any]
    depth: int

    def __len__(self) -> int:
        return len(self.windows)

    def participants(self) -> list[Any]:
        """Participants of the windows."""
        return self.windows.participants()

    def places(self) -> NDArray[np.int64]:
        """Indices of the windows in `values` (n,)."""
        places: NDArray[np.int64] = np.searchsorted(self.windows.whole().rows, self.windows.rows)
        return places

    def batches(
        self,
        size: int,
        samples: int,
        device: torch.device,
        shuffle: torch.Generator | None = None,
        view: int = 0,
        reading: Reading = EVERYTHING,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in the order of the windows' own batches, as (B, channels, length) and class indices (B,)."""
        labels, places = self.windows.labels, self.places()
        for chosen in islice(index_batches(len(self), size, shuffle), reading.skip, None):
            x = torch.from_numpy(self.values[places[chosen[reading.part(len(chosen))]]])
            release(self.values)
            x = x.view(torch.bfloat16) if x.dtype == torch.uint16 else x
            yield x.to(device), torch.from_numpy(labels[chosen]).to(device)
