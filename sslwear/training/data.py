"""What the loop learns from and what it is judged on: rows of a data set, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.data.dataset import Dataset
from sslwear.data.splits import rows
from sslwear.errors import LeakageError


@dataclass(frozen=True)
class Windows:
    """Some rows of a data set.

    Attributes:
        dataset: where they are read from, when they are needed.
        rows: their indices (n,).
    """

    dataset: Dataset
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: Dataset, participants: tuple[Any, ...]) -> Windows:
        """All windows of some participants.

        Raises:
            DataError: when one of them has none.
        """
        return cls(dataset, rows(dataset, participants))

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

    def batches(
        self, size: int, samples: int, device: torch.device, shuffle: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the windows once: (B, 3, samples) in g and class indices (B,), on the device.

        Args:
            size: windows a batch; the last one may have fewer.
            samples: length that the encoder takes.
            device: where the batches go.
            shuffle: CPU generator of a random order; None keeps the data set's.
        """
        order = np.arange(len(self)) if shuffle is None else torch.randperm(len(self), generator=shuffle).numpy()
        for first in range(0, len(self), size):
            chosen = self.rows[order[first : first + size]]
            labels = torch.from_numpy(self.dataset.labels[chosen])
            yield self.dataset.gather(chosen, samples).to(device), labels.to(device)


@dataclass(frozen=True)
class FitData:
    """Windows to learn from, and windows of other participants for early stopping.

    Raises:
        LeakageError: when a participant is on both sides.
    """

    train: Windows
    validation: Windows

    def __post_init__(self) -> None:
        shared = set(self.train.pid.tolist()) & set(self.validation.pid.tolist())
        if shared:
            raise LeakageError(f"participant {sorted(shared)[0]} is both in training and in validation")
