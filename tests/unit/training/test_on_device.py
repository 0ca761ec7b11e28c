"""Data on a device: which arrays stay, and batches that are the same as those from the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sslwear.augmentations.base import parse
from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Network
from sslwear.encoders.cnn import Cnn5
from sslwear.encoders.heads import Classifier
from sslwear.training import (
    AugmentedViews,
    FeatureCache,
    FitSettings,
    FrozenBlocks,
    Windows,
    evaluate,
    on_device,
    outputs,
)
from sslwear.training.evaluation import EVALUATION_BATCH, LEAST_BATCH, in_memory
from sslwear.training.on_device import DeviceMemory, batches_of, copied_ahead, table_of
from sslwear.training.reading import Reading
from sslwear.training.task import Classification

CPU = torch.device("cpu")
SETTINGS = FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=2, patience=5, seed=3)


class Owner:
    """Something that arrays are copied from."""


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep data on the CPU as on a CUDA device."""
    monkeypatch.setattr(on_device, "keeps_data", lambda _: True)
    monkeypatch.setattr(on_device, "free_bytes", lambda _: 10**8)
    monkeypatch.setattr(on_device, "_MEMORIES", {})


def put(memory: DeviceMemory, owner: object, limit: int | None = 100, value: float = 1, size: int = 10) -> Any:
    def fill(values: Tensor) -> None:
        values.fill_(value)

    return memory.tensor(owner, 0, (size,), torch.float32, limit, fill)


def test_an_array_is_copied_once() -> None:
    memory, owner = DeviceMemory(CPU), Owner()
    first = put(memory, owner)
    assert first is not None
    assert first.tolist() == [1] * 10
    assert put(memory, owner, value=2) is first


def test_the_arrays_that_were_used_last_stay() -> None:
    memory, owners = DeviceMemory(CPU), [Owner() for _ in range(3)]
    put(memory, owners[0])
    put(memory, owners[1])
    put(memory, owners[0])
    put(memory, owners[2])
    assert memory.used == 80
    assert [put(memory, owner, value=5)[0] for owner in (owners[0], owners[2], owners[1])] == [1, 1, 5]


def test_an_array_above_the_limit_is_not_kept() -> None:
    memory = DeviceMemory(CPU)
    assert put(memory, Owner(), limit=39) is None
    assert put(memory, Owner(), limit=0) is None
    assert memory.used == 0


def test_by_default_half_of_the_free_memory_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_device, "free_bytes", lambda _: 80)
    memory, owner = DeviceMemory(CPU), Owner()
    assert put(memory, owner, limit=None) is not None
    assert put(memory, Owner(), limit=None, size=11) is None


def test_an_array_that_runs_out_of_memory_is_not_kept() -> None:
    memory, owner = DeviceMemory(CPU), Owner()

    def fill(_: Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert memory.tensor(owner, 0, (10,), torch.float32, 100, fill) is None
    assert memory.used == 0


def test_arrays_of_what_is_gone_are_dropped() -> None:
    memory = DeviceMemory(CPU)
    put(memory, Owner())
    owner = Owner()
    put(memory, owner)
    assert memory.used == 40


def views_of(small: Dataset) -> Windows:
    return Windows.of(small, tuple(small.participants[1:]), AugmentedViews(parse("rotate(20)+time_warp+jitter"), 5))


@pytest.mark.parametrize("view", [0, 3])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("skip", [0, 2])
def test_batches_are_the_same_as_from_the_cpu(small: Dataset, kept: None, view: int, shuffled: bool, skip: int) -> None:
    source = views_of(small)
    draws = [torch.Generator().manual_seed(7) if shuffled else None for _ in range(2)]
    there = list(batches_of(source, 32, 150, SETTINGS, draws[0], view, Reading(skip)))
    here = list(source.batches(32, 150, CPU, draws[1], view, Reading(skip)))
    assert len(there) == len(here)
    for one, other in zip(there, here, strict=True):
        assert all(map(torch.equal, one, other))


def test_windows_are_resampled_and_shared_by_all_selections(small: Dataset, kept: None) -> None:
    first, second = (table_of(Windows.of(small, (pid,)), 60, 0, SETTINGS) for pid in small.participants[:2])
    assert first is not None
    assert second is not None
    assert first.values is second.values
    assert first.values.shape == (len(small), 3, 60)
    assert table_of(Windows.of(small, (small.participants[0],)), 61, 0, replace(SETTINGS, device_bytes=10)) is None


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_cached_outputs_are_the_same_as_from_the_cpu(
    small: Dataset, kept: None, precision: str, tmp_path: Path
) -> None:
    network = Network(Cnn5(), Classifier(Cnn5.features, 3))
    source = FeatureCache(tmp_path, 10**9, 10**9).source(
        FrozenBlocks(network, 150, precision), Windows.of(small, tuple(small.participants[:3])), 0, 2
    )
    there, here = batches_of(source, 32, 150, SETTINGS), source.batches(32, 150, CPU)
    for one, other in zip(there, here, strict=True):
        assert one[0].dtype == other[0].dtype
        assert all(map(torch.equal, one, other))


def test_evaluations_are_the_same_as_from_the_cpu(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network, windows = Network(Cnn5(), Classifier(Cnn5.features, 3)), Windows.of(small, tuple(small.participants[:3]))
    found = []
    for keeps in (False, True):
        monkeypatch.setattr(on_device, "keeps_data", lambda _, keeps=keeps: keeps)
        monkeypatch.setattr(on_device, "free_bytes", lambda _: 10**8)
        found.append(
            (evaluate(network, 150, Classification(3), windows, SETTINGS), outputs(network, 150, windows, SETTINGS))
        )
    assert found[0][0].loss == found[1][0].loss
    assert np.array_equal(found[0][1], found[1][1])


def test_batches_are_read_ahead_in_another_thread() -> None:
    read = []

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(20):
            read.append(threading.current_thread())
            yield torch.full((2,), float(number)), torch.tensor([number])

    coming = copied_ahead(batches(), CPU, pinned=False)
    assert next(coming)[1].item() == 0
    assert [labels.item() for _, labels in coming] == list(range(1, 20))
    assert threading.main_thread() not in read
    before = threading.active_count()
    left = copied_ahead(batches(), CPU, pinned=False)
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before, "a source that is left ends its thread"


def test_an_error_of_a_source_is_raised() -> None:
    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.zeros(1), torch.zeros(1)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(copied_ahead(batches(), CPU, pinned=False))


def needs(most: int, tried: list[int]) -> Callable[[int], int]:
    def compute(size: int) -> int:
        tried.append(size)
        if size > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return size

    return compute


def test_an_evaluation_takes_smaller_batches_where_the_memory_does_not_suffice() -> None:
    tried: list[int] = []
    assert in_memory(needs(70, tried), EVALUATION_BATCH) == 64
    assert tried == [256, 128, 64]
    with pytest.raises(torch.OutOfMemoryError):
        in_memory(needs(LEAST_BATCH - 1, tried), EVALUATION_BATCH)
