"""Sources of windows for training and validation, read batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.augmentations.base import Augmentations, in_turn
from sslwear.data.dataset import Dataset, gather
from sslwear.data.splits import rows
from sslwear.errors import LeakageError
from sslwear.training.device import generator
from sslwear.training.reading import EVERYTHING, Reading, in_batches, index_batches

VIEW_STREAMS = 1000
"""First stream of random numbers for augmented views; view n uses the stream VIEW_STREAMS + n."""
VALIDATION_SEED = 0
"""Seed of windows that are sampled for validation."""


class WindowSource(ABC):
    """Source of batches of windows, or of their outputs of the encoder's first blocks.

    Attributes:
        depth: number of blocks that the batches have passed; 0 for windows.
    """

    depth: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """Number of windows in an epoch."""

    @abstractmethod
    def participants(self) -> list[Any]:
        """Participants of the windows, without duplicates."""

    def augmented(self, view: int) -> bool:
        """Whether a view differs from the windows as recorded."""
        return False

    @abstractmethod
    def batches(
        self,
        size: int,
        samples: int,
        device: torch.device,
        shuffle: torch.Generator | None = None,
        view: int = 0,
        reading: Reading = EVERYTHING,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of an epoch: windows (B, 3, samples) in g and class indices (B,), on the device.

        With `reading` of a part, the windows are those of the part, and the class indices those of the whole batch.

        Args:
            size: batch size; some batches may be smaller, and the last one may have one window more.
            samples: window length of the encoder; windows of another length are resampled.
            device: device of the batches.
            shuffle: CPU generator of everything random; with None every call gives the same windows in the same order.
            view: augmented view of the windows, if they are augmented; 0 is as recorded.
            reading: which batches are read.
        """


@dataclass(frozen=True)
class AugmentedViews:
    """Augmented views of windows, each of which can be computed again from its number.

    Attributes:
        augmentation: the augmentation, or several that are applied in this order.
        seed: seed of the views.
    """

    augmentation: Augmentations
    seed: int

    def draw(self, view: int, count: int) -> tuple[Tensor, ...]:
        """Random parameters (count, ...) of all windows of a data set in a view, one tensor for each augmentation.

        All are drawn from one generator in the order of the augmentations, see `Augmentation.draw`.
        """
        draws = generator(self.seed, VIEW_STREAMS + view)
        return tuple(one.draw(count, draws) for one in in_turn(self.augmentation))

    def apply(self, x: Tensor, drawn: Sequence[Tensor], rows: NDArray[np.int64]) -> Tensor:
        """Windows (B, 3, samples) changed by their parameters.

        Args:
            x: windows in g.
            drawn: parameters of all windows of the data set, see `draw`.
            rows: indices of the windows in the data set (B,).
        """
        for one, parameters in zip(in_turn(self.augmentation), drawn, strict=True):
            x = one.apply(x, parameters[rows].to(x.device))
        return x


@dataclass(frozen=True)
class Windows(WindowSource):
    """Windows of a data set, each of which occurs once in an epoch.

    A window has the same augmented views in every selection of windows of the data set, so that folds share them.

    Attributes:
        dataset: the data set; windows are read when they are needed.
        rows: indices of the windows (n,).
        views: augmented views; None for windows that are the same in every view.
    """

    dataset: Dataset
    rows: NDArray[np.int64]
    views: AugmentedViews | None = None

    @classmethod
    def of(cls, dataset: Dataset, participants: tuple[Any, ...], views: AugmentedViews | None = None) -> Windows:
        """All windows of some participants, without non-wear.

        Raises:
            DataError: when a participant has no windows.
        """
        return cls(dataset, rows(dataset, participants), views)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class indices (n,)."""
        return self.dataset.labels[self.rows]

    @property
    def pid(self) -> NDArray[Any]:
        """Participant of each window (n,)."""
        participants: NDArray[Any] = self.dataset.pid[self.rows]
        return participants

    def participants(self) -> list[Any]:
        """Participants of the windows, sorted."""
        return [pid.item() for pid in np.unique(self.pid)]

    def batches(
        self,
        size: int,
        samples: int,
        device: torch.device,
        shuffle: torch.Generator | None = None,
        view: int = 0,
        reading: Reading = EVERYTHING,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of all windows, in a random order or in the data set's order."""
        views = self.views if self.augmented(view) else None
        drawn = views.draw(view, len(self.dataset)) if views is not None else None
        for chosen in islice(index_batches(len(self), size, shuffle), reading.skip, None):
            rows = self.rows[chosen]
            mine = rows[reading.part(len(rows))]
            x = self.dataset.gather(mine, samples).to(device)
            if views is not None and drawn is not None:
                x = views.apply(x, drawn, mine)
            yield x, torch.from_numpy(self.dataset.labels[rows]).to(device)

    def augmented(self, view: int) -> bool:
        """Whether a view differs from the windows as recorded."""
        return view > 0 and self.views is not None

    def whole(self) -> Windows:
        """All windows of the data set in which the device was worn, or all if some of these windows were not worn."""
        worn = self.dataset.worn
        return replace(self, rows=np.flatnonzero(worn) if worn[self.rows].all() else np.arange(len(worn)))


class ParticipantWindows(Protocol):
    """Windows of one participant that can be sampled, such as `sslwear.data.shards.Shard`."""

    @property
    def participant(self) -> int | str:
        """The participant."""

    @property
    def count(self) -> int:
        """Number of windows that can be sampled."""

    def windows(self) -> NDArray[np.floating]:
        """All windows (N, samples, 3) in g, memory-mapped; some of them cannot be sampled, such as non-wear."""

    def rows(self) -> NDArray[np.int64]:
        """Indices of the windows that can be sampled (count,)."""

    def motion(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Motion in some windows, in g."""

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class indices of some windows; 0 if there are no labels."""


@dataclass(frozen=True)
class SampledWindows(WindowSource):
    """Windows that are sampled anew in every epoch, with replacement.

    Participants are visited in a random order and in groups; a batch mixes windows of one group. Memory holds only what
    a group needs, so the number of participants is not limited. The method follows the pre-training of Yuan et al., npj
    Digital Medicine 2024, 7:91, who sample windows by their motion because a wrist hardly moves for most of the day.

    Attributes:
        sources: the windows of each participant.
        per_participant: windows to sample of each participant in an epoch; None for as many as the participant has.
        group_size: participants in a group.
        by_motion: whether the probability of a window is proportional to its motion, or the same for all windows.
    """

    sources: Sequence[ParticipantWindows]
    per_participant: int | None
    group_size: int
    by_motion: bool

    def __len__(self) -> int:
        return self._sampled(self.sources)

    def participants(self) -> list[Any]:
        """Participants of the windows."""
        return [source.participant for source in self.sources]

    def batches(
        self,
        size: int,
        samples: int,
        device: torch.device,
        shuffle: torch.Generator | None = None,
        view: int = 0,
        reading: Reading = EVERYTHING,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of newly sampled windows; `view` is not used."""
        draws = shuffle or torch.Generator().manual_seed(VALIDATION_SEED)
        order = torch.randperm(len(self.sources), generator=draws).tolist()
        left_out = reading.skip
        for group in self._groups(order):
            arrays = [source.windows() for source in group]
            sampled = [self._sample(source, draws) for source in group]
            member = np.repeat(np.arange(len(group)), [len(rows) for rows in sampled])
            rows = np.concatenate(sampled)
            labels = np.concatenate([source.labels(mine) for source, mine in zip(group, sampled, strict=True)])
            mixed = torch.randperm(len(rows), generator=draws).numpy()
            for batch in in_batches(mixed, size):
                if left_out > 0:
                    left_out -= 1
                    continue
                batch = batch[np.argsort(member[batch], kind="stable")]  # so that each array is read once
                mine = batch[reading.part(len(batch))]
                parts = [gather(array, rows[mine[member[mine] == i]], samples) for i, array in enumerate(arrays)]
                yield torch.cat(parts).to(device), torch.from_numpy(labels[batch]).to(device)

    def _groups(self, order: Sequence[int]) -> list[list[ParticipantWindows]]:
        """Groups of participants, each of which samples two or more windows: a batch of one is of no use."""
        groups: list[list[ParticipantWindows]] = [[]]
        for i in order:
            if len(groups[-1]) >= self.group_size and self._sampled(groups[-1]) > 1:
                groups.append([])
            groups[-1].append(self.sources[i])
        if len(groups) > 1 and self._sampled(groups[-1]) < 2:
            last = groups.pop()
            groups[-1] += last
        return groups

    def _sampled(self, sources: Sequence[ParticipantWindows]) -> int:
        return sum(one.count if self.per_participant is None else self.per_participant for one in sources)

    def _sample(self, source: ParticipantWindows, draws: torch.Generator) -> NDArray[np.int64]:
        """Indices of sampled windows of a participant."""
        candidates = source.rows()
        weights = torch.ones(len(candidates))
        if self.by_motion:
            motion = torch.from_numpy(source.motion(candidates))
            weights = motion if motion.sum() > 0 else weights
        places = torch.multinomial(weights.double(), self._sampled([source]), replacement=True, generator=draws)
        sampled: NDArray[np.int64] = candidates[places.numpy()]
        return sampled


@dataclass(frozen=True)
class FitData:
    """Training windows, and validation windows of other participants for early stopping.

    Attributes:
        train: training windows.
        validation: validation windows.

    Raises:
        LeakageError: when a participant is in both.
    """

    train: WindowSource
    validation: WindowSource

    def __post_init__(self) -> None:
        shared = set(self.train.participants()) & set(self.validation.participants())
        if shared:
            raise LeakageError(f"participant {sorted(shared)[0]} is both in training and in validation")
