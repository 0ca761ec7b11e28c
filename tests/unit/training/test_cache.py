"""Cache of the outputs of frozen blocks: same losses, no stale entries, size limits, sharing between processes."""

from __future__ import annotations

import os
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslwear.augmentations.jitter import Jitter
from sslwear.augmentations.rotation import Rotation
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.encoders.base import Network
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.heads import Classifier
from sslwear.training import (
    AugmentedViews,
    FeatureCache,
    FitData,
    FitResult,
    FitSettings,
    FrozenBlocks,
    Windows,
    WindowSource,
    fit,
)
from sslwear.training import cache as cache_module
from sslwear.training.cached_outputs import CachedOutputs
from sslwear.training.device import seeded
from sslwear.training.task import Classification
from sslwear.tuning.base import parse
from tests.commands import CONTEXT

CPU = torch.device("cpu")
SETTINGS = FitSettings(learning_rate=1e-3, batch_size=32, max_epochs=3, patience=5, seed=3, augmented_views=2)
LARGE = 10**9


def network(seed: int = 0) -> Network:
    with seeded(seed):
        return Network(Harnet5(), Classifier(Harnet5.features, 3)).eval()


def blocks(seed: int = 0, precision: str = "float32") -> FrozenBlocks:
    return FrozenBlocks(network(seed), 150, precision)


def all_of(source: WindowSource, view: int = 0) -> Tensor:
    return torch.cat([x for x, _ in source.batches(16, 150, CPU, view=view)])


def train(
    small: Dataset, tuning: str, cache: FeatureCache | None, augment: bool = False, precision: str = "float32"
) -> FitResult:
    views = AugmentedViews(Rotation(), 7) if augment else None
    learning, validation = Windows.of(small, (1, 2), views), Windows.of(small, (5,))
    data = FitData(replace(learning, rows=learning.rows[::2]), replace(validation, rows=validation.rows[::2]))
    with seeded(0):
        encoder = Harnet5()
    return fit(
        encoder, Classification(3), data, parse(tuning, Harnet5), replace(SETTINGS, precision=precision), None, cache
    )


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.npy")}


@pytest.mark.parametrize(
    ("tuning", "augment", "memory"),
    [
        ("head", False, LARGE),
        ("head", True, 0),
        ("layer5", True, LARGE),
        ("layer3+layer5", False, 0),
        ("layer3+layer5", True, LARGE),
        ("layer2-5", False, LARGE),
        ("layer2-5", True, 0),
        ("gradual", False, 0),
        ("gradual", True, LARGE),
    ],
)
def test_losses_are_the_same_with_and_without_cache(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuning: str, augment: bool, memory: int
) -> None:
    cache = FeatureCache(tmp_path, memory, LARGE)
    monkeypatch.setattr("sslwear.training.threads.SMALLEST_BATCH", np.inf)  # other threads round differently
    cached, plain = train(small, tuning, cache, augment), train(small, tuning, None, augment)
    assert files(tmp_path)
    for one, other in zip(cached.history, plain.history, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-5)
        assert one.scores == pytest.approx(other.scores)
    before = files(tmp_path)
    warm = train(small, tuning, FeatureCache(tmp_path, memory, LARGE), augment)
    assert [replace(r, seconds=0) for r in warm.history] == [replace(r, seconds=0) for r in cached.history]
    assert files(tmp_path) == before


def test_bf16_outputs_are_stored_as_bf16_and_give_the_same_losses(small: Dataset, tmp_path: Path) -> None:
    cold = train(small, "layer5", FeatureCache(tmp_path, LARGE, LARGE), precision="bf16")
    warm = train(small, "layer5", FeatureCache(tmp_path, 0, LARGE), precision="bf16")
    assert [replace(r, seconds=0) for r in warm.history] == [replace(r, seconds=0) for r in cold.history]
    kept = np.load(next(tmp_path.glob("*.npy")), mmap_mode="r")
    assert kept.dtype == np.uint16


def test_nothing_is_stored_when_the_first_block_learns(small: Dataset, tmp_path: Path) -> None:
    train(small, "layer1+layer4", FeatureCache(tmp_path, LARGE, LARGE))
    assert not files(tmp_path)


def test_cached_outputs_are_in_the_order_of_the_windows(small: Dataset, tmp_path: Path) -> None:
    windows = Windows.of(small, (1, 5))
    source = FeatureCache(tmp_path, LARGE, LARGE).source(blocks(), windows, 0, 3)
    assert isinstance(source, CachedOutputs)
    assert source.depth == 3
    with torch.no_grad():
        expected = network().forward_blocks(all_of(windows), 0, 3)
    torch.testing.assert_close(all_of(source), expected)
    labels = torch.cat([y for _, y in source.batches(16, 150, CPU)])
    assert labels.tolist() == windows.labels.tolist()
    assert source.participants() == [1, 5]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each time that outputs are computed."""
    found: list[int] = []
    real = FrozenBlocks.outputs

    def watch(self: FrozenBlocks, *args: object) -> object:
        found.append(1)
        return real(self, *args)

    monkeypatch.setattr(FrozenBlocks, "outputs", watch)
    return found


@pytest.mark.parametrize("view", [0, 2])
def test_all_selections_of_windows_share_an_entry(small: Dataset, tmp_path: Path, made: list[int], view: int) -> None:
    """Also in augmented views, which are the same for a window in every selection, cached or not."""
    cache, views = FeatureCache(tmp_path, LARGE, LARGE), AugmentedViews(Rotation(), 7)
    for chosen in ((1, 2, 6), (6, 8), (5,)):
        windows = Windows.of(small, chosen, views)
        windows = replace(windows, rows=windows.rows[::-2])
        source = cache.source(blocks(), windows, view, 3)
        with torch.no_grad():
            expected = network().forward_blocks(all_of(windows, view), 0, 3)
        torch.testing.assert_close(all_of(source, view), expected, rtol=1e-4, atol=1e-5)
    assert len(made) == 1
    assert len(files(tmp_path)) == 1


def test_windows_that_were_not_worn_have_an_entry_of_their_own(small: Dataset, tmp_path: Path) -> None:
    cache, half_worn = FeatureCache(tmp_path, LARGE, LARGE), replace(small, worn=np.arange(len(small)) % 2 == 0)
    worn, any_ = Windows.of(half_worn, (5,)), Windows(half_worn, np.array([3, 4, 9]))
    for windows, entry in ((worn, half_worn.worn.sum()), (any_, len(small))):
        source = cache.source(blocks(), windows, 0, 3)
        assert isinstance(source, CachedOutputs)
        assert len(source.values) == entry
        with torch.no_grad():
            expected = network().forward_blocks(all_of(windows), 0, 3)
        torch.testing.assert_close(all_of(source), expected, rtol=1e-4, atol=1e-5)


def test_outputs_are_computed_in_evaluation_mode(small: Dataset) -> None:
    windows, body = Windows.of(small, (1,)), network()
    (expected,) = FrozenBlocks(body, 150, "float32").outputs(windows, 0, 2)
    body.train()
    state = {key: value.clone() for key, value in body.state_dict().items()}
    (found,) = FrozenBlocks(body, 150, "float32").outputs(windows, 0, 2)
    assert np.array_equal(found, expected)
    assert all(torch.equal(value, state[key]) for key, value in body.state_dict().items())


@pytest.mark.parametrize("place", [-1, -2000, 60, 130])
@pytest.mark.parametrize("memory", [0, LARGE])
def test_an_entry_with_a_changed_bit_is_computed_again(
    small: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: int, memory: int
) -> None:
    windows = Windows.of(small, (1,))
    expected = all_of(FeatureCache(tmp_path, memory, LARGE).source(blocks(), windows, 0, 4))
    (entry,) = tmp_path.glob("*.npy")
    content = bytearray(entry.read_bytes())
    content[place] ^= 4
    entry.write_bytes(content)
    assert torch.equal(all_of(FeatureCache(tmp_path, memory, LARGE).source(blocks(), windows, 0, 4)), expected)
    caplog.clear()
    assert torch.equal(all_of(FeatureCache(tmp_path, memory, LARGE).source(blocks(), windows, 0, 4)), expected)
    assert "damaged" not in caplog.text, "the file was written again"


def test_an_entry_without_a_checksum_is_computed_again(
    small: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    windows = Windows.of(small, (1,))
    FeatureCache(tmp_path, 0, LARGE).source(blocks(), windows, 0, 4)
    (entry,) = tmp_path.glob("*.npy")
    np.save(entry, np.zeros_like(np.load(entry)))
    source = FeatureCache(tmp_path, 0, LARGE).source(blocks(), windows, 0, 4)
    assert all_of(source).abs().sum() > 0
    assert "damaged" in caplog.text


def test_a_deeper_entry_starts_from_a_shallower_one(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows, cache = Windows.of(small, (1,)), FeatureCache(tmp_path, LARGE, LARGE)
    cache.source(blocks(), windows, 0, 2)
    starts = []
    real = FrozenBlocks.outputs

    def watch(self: FrozenBlocks, start: WindowSource, view: int, depth: int) -> object:
        starts.append(start.depth)
        return real(self, start, view, depth)

    monkeypatch.setattr(FrozenBlocks, "outputs", watch)
    deep = all_of(cache.source(blocks(), windows, 0, 4))
    assert starts == [2]
    straight = all_of(FeatureCache(tmp_path / "other", LARGE, LARGE).source(blocks(), windows, 0, 4))
    assert torch.equal(deep, straight)


def test_everything_that_changes_the_outputs_changes_the_key(small: Dataset, small_folder: Path) -> None:
    windows = Windows.of(small, (1, 2), AugmentedViews(Rotation(), 7))
    half_worn = replace(small, worn=np.arange(len(small)) % 2 == 0)
    keys = [
        blocks().key(windows, 0, 2),
        blocks().key(windows, 1, 2),
        blocks().key(windows, 2, 2),
        blocks().key(replace(windows, views=AugmentedViews(Rotation(), 8)), 1, 2),
        blocks().key(replace(windows, views=AugmentedViews(Rotation(20), 7)), 1, 2),
        blocks().key(replace(windows, views=AugmentedViews((Rotation(20), Jitter()), 7)), 1, 2),
        blocks().key(replace(windows, views=AugmentedViews((Jitter(), Rotation(20)), 7)), 1, 2),
        blocks().key(replace(windows, views=AugmentedViews((Jitter(0.02), Rotation(20)), 7)), 1, 2),
        blocks().key(windows, 0, 3),
        blocks(seed=1).key(windows, 0, 2),
        blocks(precision="bf16").key(windows, 0, 2),
        FrozenBlocks(network(), 300, "float32").key(windows, 0, 2),
        blocks().key(Windows.of(half_worn, (1, 2)), 0, 2),
        blocks().key(Windows.of(replace(small, fingerprint="other"), (1, 2)), 0, 2),
    ]
    assert len(set(keys)) == len(keys)
    again = Windows.of(open_dataset(small_folder), (1, 2), AugmentedViews(Rotation(), 8))
    assert blocks().key(again, 0, 2) == keys[0], "the view as recorded does not depend on the augmentation's seed"
    assert blocks().key(Windows.of(small, (5,)), 0, 2) == keys[0], "all participants share an entry"


class Factor(nn.Module):
    """Multiplies windows; its text and its tensors do not tell by how much."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class InG(Harnet5):
    """Encoder whose first block takes windows in g."""

    factor = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor[0].insert(0, Factor(self.factor))


class InMetres(InG):
    """Encoder whose first block takes windows in m/s²."""

    factor = 9.80665


def test_encoders_that_differ_in_a_number_of_a_module_share_no_entry(small: Dataset, tmp_path: Path) -> None:
    windows, found = Windows.of(small, (1,)), []
    cache = FeatureCache(tmp_path, LARGE, LARGE)
    for encoder in (InG, InMetres):
        with seeded(0):
            body = Network(encoder(), nn.Identity()).eval()
        source = cache.source(FrozenBlocks(body, 150, "float32"), windows, 0, 1)
        (expected,) = FrozenBlocks(body, 150, "float32").outputs(windows, 0, 1)
        found.append(all_of(source))
        torch.testing.assert_close(found[-1], torch.from_numpy(expected))
    assert not torch.equal(*found)


@pytest.mark.parametrize("name", ["0.weight", "1.bn1.running_mean", "5.kernel"])
def test_a_change_of_any_tensor_changes_the_key(small: Dataset, name: str) -> None:
    windows, changed = Windows.of(small, (1,)), network()
    state = changed.feature_extractor[1].state_dict()
    before = FrozenBlocks(changed, 150, "float32").key(windows, 0, 2)
    state[name].view(-1)[0] += 1e-3
    assert FrozenBlocks(changed, 150, "float32").key(windows, 0, 2) != before
    assert FrozenBlocks(changed, 150, "float32").key(windows, 0, 1) == blocks().key(windows, 0, 1)


def test_another_stride_or_version_changes_the_key(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    windows, changed = Windows.of(small, (1,)), network()
    before = blocks().key(windows, 0, 2)
    changed.feature_extractor[1][-1].stride += 1
    assert FrozenBlocks(changed, 150, "float32").key(windows, 0, 2) != before
    monkeypatch.setattr(cache_module, "FEATURES_VERSION", 0)
    assert blocks().key(windows, 0, 2) != before


def test_least_recently_used_entry_is_deleted_when_the_disk_is_full(small: Dataset, tmp_path: Path) -> None:
    windows, frozen = Windows.of(small, (1,)), [blocks(seed) for seed in range(3)]
    size = FeatureCache(tmp_path / "size", 0, LARGE).source(blocks(), windows, 0, 5)
    assert isinstance(size, CachedOutputs)
    cache = FeatureCache(tmp_path / "cache", 0, int(2.5 * size.values.nbytes))
    for number in (0, 1):
        cache.source(frozen[number], windows, 0, 5)
        time.sleep(0.01)
    first, second, third = (f"{one.key(windows, 0, 5)}.npy" for one in frozen)
    assert files(tmp_path / "cache") == {first, second}
    cache.source(frozen[0], windows, 0, 5)  # used again
    cache.source(frozen[2], windows, 0, 5)
    assert files(tmp_path / "cache") == {first, third}


def test_use_from_memory_counts_as_use(small: Dataset, tmp_path: Path) -> None:
    windows, frozen = Windows.of(small, (1,)), [blocks(seed) for seed in range(3)]
    size = FeatureCache(tmp_path / "size", 0, LARGE).source(blocks(), windows, 0, 5)
    assert isinstance(size, CachedOutputs)
    cache = FeatureCache(tmp_path / "cache", LARGE, int(2.5 * size.values.nbytes))
    for number in (0, 1, 0, 2):
        cache.source(frozen[number], windows, 0, 5)
        time.sleep(0.01)
    first, _, third = (f"{one.key(windows, 0, 5)}.npy" for one in frozen)
    assert files(tmp_path / "cache") == {first, third}


def test_unfinished_entries_count_towards_the_disk_limit(small: Dataset, tmp_path: Path) -> None:
    windows = Windows.of(small, (1,))
    size = FeatureCache(tmp_path / "size", 0, LARGE).source(blocks(), windows, 0, 5)
    assert isinstance(size, CachedOutputs)
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / ".other.making").write_bytes(bytes(size.values.nbytes))
    assert FeatureCache(folder, 0, int(1.5 * size.values.nbytes)).source(blocks(), windows, 0, 5) is windows
    assert isinstance(
        FeatureCache(folder, 0, int(2.5 * size.values.nbytes)).source(blocks(), windows, 0, 5), CachedOutputs
    )


def test_training_goes_on_without_cache_when_the_disk_is_full(
    small: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    windows = Windows.of(small, (1,))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        assert FeatureCache(tmp_path, 0, LARGE).source(blocks(), windows, 0, 5) is windows
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot store outputs" in caplog.text
    assert not list(tmp_path.glob("*.npy")) + list(tmp_path.glob(".*.making"))


def test_entries_of_one_epoch_are_reused_in_the_next(small: Dataset, tmp_path: Path, made: list[int]) -> None:
    room_for_one = len(small) * 4 * Harnet5.features + 200
    train(small, "head", FeatureCache(tmp_path, 0, room_for_one), augment=True)
    assert len(made) == 3  # both augmented views, and the validation windows as recorded, once each in three epochs


def test_windows_that_changed_after_opening_are_not_stored(small_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(small_folder, tmp_path / "data")
    windows = Windows.of(open_dataset(tmp_path / "data"), (1,))
    array = np.load(tmp_path / "data" / "X.npy", mmap_mode="r+")
    array[:] = array[::-1].copy()
    array.flush()
    os.utime(tmp_path / "data" / "X.npy", ns=(1, 1))  # independent of the resolution of the clock
    assert FeatureCache(tmp_path / "cache", 0, LARGE).source(blocks(), windows, 0, 5) is windows
    assert not files(tmp_path / "cache")


def test_an_entry_above_the_disk_limit_is_not_stored(small: Dataset, tmp_path: Path) -> None:
    windows = Windows.of(small, (1,))
    assert FeatureCache(tmp_path, LARGE, 1000).source(blocks(), windows, 0, 1) is windows
    assert FeatureCache(tmp_path, LARGE, 0).source(blocks(), windows, 0, 1) is windows
    assert not list(tmp_path.glob("*.npy")) + list(tmp_path.glob(".*.making"))


def test_memory_limit_is_respected(small: Dataset, tmp_path: Path) -> None:
    windows, frozen = Windows.of(small, (1,)), [blocks(seed) for seed in range(3)]
    probe = FeatureCache(tmp_path, 0, LARGE).source(frozen[0], windows, 0, 5)
    assert isinstance(probe, CachedOutputs)
    assert isinstance(probe.values, np.memmap)
    cache = FeatureCache(tmp_path, int(2.2 * probe.values.nbytes), LARGE)
    sources = [cache.source(one, windows, 0, 5) for one in frozen]
    assert all(isinstance(source, CachedOutputs) for source in sources)
    in_memory = [source for source in sources if not isinstance(source.values, np.memmap)]
    assert len(in_memory) == 2  # all three are in use
    assert torch.equal(all_of(sources[2]), all_of(FeatureCache(tmp_path, 0, LARGE).source(frozen[2], windows, 0, 5)))
    del sources, in_memory
    again = cache.source(frozen[2], windows, 0, 5)
    assert isinstance(again, CachedOutputs)
    assert not isinstance(again.values, np.memmap)


@pytest.mark.parametrize("left", [0, 50, 200])
def test_a_damaged_entry_is_computed_again(small: Dataset, tmp_path: Path, left: int) -> None:
    windows = Windows.of(small, (1,))
    expected = all_of(FeatureCache(tmp_path, 0, LARGE).source(blocks(), windows, 0, 5))
    (path,) = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[:left])
    assert torch.equal(all_of(FeatureCache(tmp_path, 0, LARGE).source(blocks(), windows, 0, 5)), expected)


def test_training_goes_on_without_cache_when_the_folder_is_not_writable(
    small: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    windows = Windows.of(small, (1,))
    assert FeatureCache(tmp_path / "file", LARGE, LARGE).source(blocks(), windows, 0, 5) is windows
    assert "cannot store outputs" in caplog.text


def test_unfinished_files_are_deleted_after_a_day(small: Dataset, tmp_path: Path) -> None:
    old, new = tmp_path / ".old.making", tmp_path / ".new.making"
    for path in (old, new):
        path.write_bytes(b"half")
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    FeatureCache(tmp_path, 0, LARGE).source(blocks(), Windows.of(small, (1,)), 0, 5)
    assert not old.exists()
    assert new.exists()


def _compute(folder: Path, cache: Path) -> tuple[int, bytes]:
    torch.set_num_threads(1)
    made = []
    real = FrozenBlocks.outputs

    def watch(self: FrozenBlocks, *args: object) -> object:
        made.append(1)
        time.sleep(0.5)
        return real(self, *args)

    FrozenBlocks.outputs = watch
    source = FeatureCache(cache, 0, LARGE).source(blocks(), Windows.of(open_dataset(folder), (1, 2)), 0, 5)
    return len(made), all_of(source).numpy().tobytes()


def test_one_of_several_processes_computes_an_entry(small_folder: Path, tmp_path: Path) -> None:
    with CONTEXT.Pool(3) as pool:
        results = pool.starmap(_compute, [(small_folder, tmp_path)] * 3)
    assert sum(made for made, _ in results) == 1
    assert len({content for _, content in results}) == 1


@pytest.mark.parametrize(("memory", "disk"), [(-1, 1), (1, -1)])
def test_negative_limits_are_refused(tmp_path: Path, memory: int, disk: int) -> None:
    with pytest.raises(ValueError, match="cannot be negative but got"):
        FeatureCache(tmp_path, memory, disk)
