"""Sources of windows: sampling by motion from several participants at a time, and leakage."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sslwear.augmentations.base import Augmentations
from sslwear.augmentations.jitter import Jitter
from sslwear.augmentations.mask import Mask
from sslwear.augmentations.rotation import Rotation
from sslwear.augmentations.scale import Scale
from sslwear.augmentations.tempo import Tempo
from sslwear.data.dataset import Dataset
from sslwear.data.pretraining import DatasetParticipant
from sslwear.errors import LeakageError
from sslwear.training.device import generator
from sslwear.training.reading import index_batches
from sslwear.training.windows import VIEW_STREAMS, AugmentedViews, FitData, SampledWindows, Windows

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Toy:
    """Windows of a participant in which every sample is participant + index / 1000."""

    participant: int
    moved: tuple[float, ...]
    left_out: int = 0

    @property
    def count(self) -> int:
        return len(self.moved) - self.left_out

    def windows(self) -> np.ndarray:
        values = self.participant + np.arange(len(self.moved), dtype=np.float32) / 1000
        return np.broadcast_to(values[:, None, None], (len(values), 6, 3))

    def rows(self) -> np.ndarray:
        return np.arange(self.left_out, len(self.moved))

    def motion(self, rows: np.ndarray) -> np.ndarray:
        return np.array(self.moved, np.float32)[rows]

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Labels that can be computed from the windows."""
        return 1000 * self.participant + rows


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def epoch(sampled: SampledWindows, size: int = 16, shuffle: torch.Generator | None = None) -> list[np.ndarray]:
    """First sample of each window, batch by batch."""
    batches = list(sampled.batches(size, 6, CPU, shuffle))
    for x, labels in batches:
        assert x.shape == (len(labels), 3, 6)
        assert_array_equal(labels, np.rint(x[:, 0, 0].numpy() * 1000))
    return [x[:, 0, 0].numpy() for x, _ in batches]


def participants_of(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 1e-4).astype(int)


def test_an_epoch_samples_the_same_number_of_windows_of_each_participant() -> None:
    sources = [Toy(i, (1.0,) * (5 + i)) for i in range(7)]
    sampled = SampledWindows(sources, 40, 3, by_motion=False)
    assert len(sampled) == 280
    assert Counter(participants_of(np.concatenate(epoch(sampled, shuffle=seeded())))) == dict.fromkeys(range(7), 40)
    assert len(SampledWindows(sources, None, 3, by_motion=False)) == sum(5 + i for i in range(7))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("group_size", [1, 2, 3, 4])
def test_a_participant_with_a_single_window_never_makes_a_batch_of_one(seed: int, group_size: int) -> None:
    sampled = SampledWindows([Toy(i, (1.0,) * size) for i, size in enumerate((4, 1, 4, 4, 1))], None, group_size, False)
    batches = epoch(sampled, 3, seeded(seed))
    assert min(map(len, batches)) > 1
    assert Counter(participants_of(np.concatenate(batches))) == {0: 4, 1: 1, 2: 4, 3: 4, 4: 1}


def test_a_batch_mixes_the_participants_of_a_group() -> None:
    sampled = SampledWindows([Toy(i, (1.0,) * 9) for i in range(12)], 64, 4, by_motion=False)
    kinds = [len(set(participants_of(batch))) for batch in epoch(sampled, 64, seeded())]
    assert set(kinds) == {4}


def test_windows_are_sampled_in_proportion_to_their_motion() -> None:
    values = epoch(SampledWindows([Toy(0, (0.0, 1.0, 3.0))], 40_000, 1, by_motion=True), 5000, seeded())
    found = Counter(np.rint(np.concatenate(values) * 1000).astype(int).tolist())
    assert found[0] == 0
    assert found[2] / found[1] == pytest.approx(3, rel=0.05)


def test_windows_are_sampled_evenly_without_motion() -> None:
    values = epoch(SampledWindows([Toy(0, (0.0, 1.0, 3.0))], 30_000, 1, by_motion=False), 5000, seeded())
    found = Counter(np.rint(np.concatenate(values) * 1000).astype(int).tolist())
    assert all(count == pytest.approx(10_000, rel=0.05) for count in found.values())


def test_a_participant_without_motion_is_sampled_evenly() -> None:
    values = epoch(SampledWindows([Toy(0, (0.0, 0.0))], 1000, 1, by_motion=True), 1000, seeded())
    assert set(np.rint(np.concatenate(values) * 1000)) == {0, 1}


def test_left_out_windows_are_not_sampled() -> None:
    values = np.concatenate(
        epoch(SampledWindows([Toy(0, (1.0,) * 10, left_out=7)], 500, 1, by_motion=False), shuffle=seeded())
    )
    assert set(np.rint(values * 1000)) == {7, 8, 9}


def test_every_training_epoch_is_sampled_anew_but_validation_is_not() -> None:
    sampled = SampledWindows([Toy(i, tuple(range(1, 50))) for i in range(5)], 20, 2, by_motion=True)
    shuffle = seeded()
    first, second = (np.concatenate(epoch(sampled, shuffle=shuffle)) for _ in range(2))
    assert not np.array_equal(first, second)
    assert_array_equal(first, np.concatenate(epoch(sampled, shuffle=seeded())))
    assert_array_equal(np.concatenate(epoch(sampled)), np.concatenate(epoch(sampled)))


def test_windows_of_a_dataset_participant_can_be_sampled(small: Dataset) -> None:
    source = DatasetParticipant(small, 5, 5)
    mine = np.flatnonzero(small.pid == 5)
    assert source.count == len(mine)
    assert_array_equal(source.rows(), mine)
    expected = np.array(small.windows[mine]).std(axis=1).mean(axis=1)
    np.testing.assert_allclose(source.motion(mine), expected, rtol=1e-5)
    sampled = SampledWindows([source], None, 1, by_motion=True)
    (x, _), *_ = sampled.batches(8, 150, CPU, seeded())
    windows = np.array(small.windows[mine]).transpose(0, 2, 1)
    assert all((window == windows).all(axis=(1, 2)).any() for window in x.numpy())


def test_a_participant_in_training_and_validation_is_leakage(small: Dataset) -> None:
    sources = [DatasetParticipant(small, pid, pid) for pid in (1, 2, 5)]
    with pytest.raises(LeakageError, match="participant 2 is both in training and in validation"):
        FitData(SampledWindows(sources[:2], 5, 2, False), Windows.of(small, (2,)))


@pytest.mark.parametrize("augmentation", [Rotation(), Jitter(), (Rotation(20), Scale(), Tempo(), Jitter())], ids=repr)
def test_a_window_has_the_same_augmented_view_in_every_selection(small: Dataset, augmentation: Augmentations) -> None:
    views = AugmentedViews(augmentation, 7)

    def window(selection: Windows, row: int, view: int) -> torch.Tensor:
        x = torch.cat([x for x, _ in selection.batches(7, 150, CPU, view=view)])
        return x[selection.rows.tolist().index(row)]

    row = int(np.flatnonzero(small.pid == 5)[4])
    one, other = Windows.of(small, (1, 5), views), Windows(small, np.array([row, 2]), views)
    for view in (1, 2):
        assert torch.equal(window(one, row, view), window(other, row, view))
    assert not torch.equal(window(one, row, 1), window(one, row, 2))
    assert not torch.equal(window(one, row, 1), window(replace(one, views=replace(views, seed=8)), row, 1))
    assert torch.equal(window(one, row, 0), window(Windows.of(small, (5,)), row, 0))


def test_several_augmentations_are_applied_in_their_order_and_drawn_from_one_generator(small: Dataset) -> None:
    scale, rotation = Scale(0.5), Rotation(20)
    draws = generator(7, VIEW_STREAMS + 3)
    factors = scale.draw(len(small), draws)
    matrices = rotation.draw(len(small), draws)
    windows = Windows.of(small, (1, 5), AugmentedViews((scale, rotation), 7))
    found = torch.cat([x for x, _ in windows.batches(7, 150, CPU, view=3)])
    recorded = torch.cat([x for x, _ in windows.batches(7, 150, CPU)])
    expected = rotation.apply(scale.apply(recorded, factors[windows.rows]), matrices[windows.rows])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_order_of_augmentations_matters(small: Dataset) -> None:
    found = []
    for augmentation in ((Tempo(), Mask()), (Mask(), Tempo())):
        windows = Windows.of(small, (1,), AugmentedViews(augmentation, 7))
        found.append(torch.cat([x for x, _ in windows.batches(7, 150, CPU, view=1)]))
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(9, 4, [4, 5]), (8, 4, [4, 4]), (10, 4, [4, 4, 2]), (3, 1, [1, 1, 1]), (1, 4, [1]), (5, 8, [5]), (3, 2, [3])],
)
def test_no_batch_has_a_single_window_beside_larger_ones(count: int, size: int, sizes: list[int]) -> None:
    batches = list(index_batches(count, size, torch.Generator()))
    assert [len(batch) for batch in batches] == sizes
    assert sorted(np.concatenate(batches)) == list(range(count))
