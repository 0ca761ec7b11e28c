"""Checkpoints: a training that goes on from one ends as if it had not been interrupted, to the last bit."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sslwear.augmentations.rotation import Rotation
from sslwear.data.dataset import Dataset
from sslwear.encoders.cnn import Cnn5
from sslwear.errors import DivergenceError
from sslwear.pretext.base import get as get_pretext
from sslwear.training import (
    AugmentedViews,
    Checkpoints,
    EpochRecord,
    FeatureCache,
    FitData,
    FitResult,
    FitSettings,
    fit,
)
from sslwear.training.checkpoint import ABANDONED_S
from sslwear.training.device import seeded
from sslwear.training.task import Classification, Task
from sslwear.training.windows import SampledWindows
from sslwear.tuning.base import parse
from tests.unit.training.fit_together import Person

SETTINGS = FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=4, patience=9, seed=3, threads=1)
Make = Callable[..., Checkpoints]


@pytest.fixture
def warned() -> list[str]:
    """Warnings about checkpoints."""
    return []


@pytest.fixture
def make(tmp_path: Path, warned: list[str]) -> Make:
    """New checkpoints after every batch, in the same place each time."""

    def make(minutes: float = 1e-9, key: str = "key", after: int | None = None) -> Checkpoints:
        kind = Checkpoints if after is None else Interrupting
        made = kind(tmp_path / "checkpoints", key, minutes, warned.append)
        if isinstance(made, Interrupting):
            made.left = after
        return made

    return make


class Interrupting(Checkpoints):
    """Interrupts a training, as a killed process would, when so many batches have been seen."""

    left: int | None

    @property
    def due(self) -> bool:
        """Whether it is time; it always is."""
        assert self.left is not None
        self.left -= 1
        if self.left < 0:
            raise Killed
        return True

    def write(self, state: Any) -> None:
        """Write, unless the process was killed."""
        if self.left is not None and self.left >= 0:
            super().write(state)


class Killed(BaseException):
    """A process that was killed between two batches."""


def run(
    data: FitData, checkpoints: Checkpoints | None, task: Task | None = None, tuning: str = "all", **changes: Any
) -> FitResult:
    cache, drops = changes.pop("cache", None), changes.pop("drops", False)
    with seeded(0):
        encoder = Cnn5()
    if drops:  # by PyTorch's global generator
        encoder.feature_extractor[4].insert(0, nn.Dropout(0.5))
    torch.rand(1)
    settings = replace(SETTINGS, **changes)
    made = task or Classification(3)
    return fit(encoder, made, data, parse(tuning, Cnn5), settings, cache=cache, checkpoints=checkpoints)


def same(one: FitResult, other: FitResult) -> bool:
    """Whether two results are the same to the last bit, but for the time that they took."""
    left, right = one.network.state_dict(), other.network.state_dict()
    before, after = ([replace(record, seconds=0) for record in result.history] for result in (one, other))
    return (
        before == after
        and one.best_epoch == other.best_epoch
        and all(torch.equal(left[name], right[name]) for name in left)
        and one.validation.scores == other.validation.scores
        and np.array_equal(one.validation.predicted, other.validation.predicted)
    )


@pytest.fixture(scope="module")
def uninterrupted(data: FitData) -> Callable[..., FitResult]:
    """Results of trainings that nothing interrupted, each made once."""
    known: dict[str, FitResult] = {}

    def result(changes: dict[str, Any]) -> FitResult:
        if str(changes) not in known:
            known[str(changes)] = run(data, None, **with_task(changes))
        return known[str(changes)]

    return result


def with_task(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes with a new pretext task for its name."""
    return {**changes, "task": get_pretext(changes["task"])()} if "task" in changes else changes


@pytest.mark.parametrize("after", [1, 3, 5, 11])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"task": "reverse"},
        {"task": "contrastive"},
        {"weight_average": "ema", "dropout": 0.3},
        {"weight_average": "swa", "max_epochs": 6, "schedule": "one_cycle"},
        {"optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 1, "clip_norm": 0.1},
        {"tuning": "gradual"},
        {"tuning": "auto_rgn"},
        {"tuning": "auto_snr"},
        {"tuning": "layer5"},
        {"drops": True, "tuning": "auto_rgn"},
    ],
    ids=str,
)
def test_a_training_goes_on_as_if_it_had_not_been_interrupted(
    data: FitData, make: Make, uninterrupted: Callable[..., FitResult], changes: dict[str, Any], after: int
) -> None:
    with pytest.raises(Killed):
        run(data, make(after=after), **with_task(changes))
    assert same(run(data, make(), **with_task(changes)), uninterrupted(changes))


def test_a_training_that_is_killed_again_and_again_ends_the_same(data: FitData, make: Make) -> None:
    whole = run(data, None)
    for _ in range(11):  # each sees one batch more
        with pytest.raises(Killed):
            run(data, make(after=1))
    assert same(run(data, make()), whole)


def test_sampled_windows_go_on_within_a_group(small: Dataset, make: Make) -> None:
    persons = [Person(small, participant) for participant in (1, 2, 5, 6)]
    held_out = SampledWindows([Person(small, 7)], 10, 2, by_motion=True)  # type: ignore[list-item]
    data = FitData(SampledWindows(persons, 14, 2, by_motion=True), held_out)  # type: ignore[arg-type]
    whole = run(data, None, get_pretext("permutation")())
    for after in (3, 4, 6):
        with pytest.raises(Killed):
            run(data, make(after=after, key=str(after)), get_pretext("permutation")())
        assert same(run(data, make(key=str(after)), get_pretext("permutation")()), whole)


def test_cached_outputs_of_augmented_views_go_on(data: FitData, make: Make, tmp_path: Path) -> None:
    augmented = replace(data, train=replace(data.train, views=AugmentedViews(Rotation(), 5)))  # type: ignore[type-var]
    how = {"tuning": "layer5", "cache": FeatureCache(tmp_path / "features", 10**8, 10**9)}
    whole = run(augmented, None, **how)
    with pytest.raises(Killed):
        run(augmented, make(after=5), **how)
    assert same(run(augmented, make(), **how), whole)


def test_batches_seen_before_are_not_trained_on_again(data: FitData, make: Make, monkeypatch: Any) -> None:
    with pytest.raises(Killed):
        run(data, make(after=7))
    read = list[int]()
    gather = Dataset.gather
    monkeypatch.setattr(Dataset, "gather", lambda self, rows, n: (read.append(len(rows)), gather(self, rows, n))[1])
    run(data, make())
    trained = [count for count in read if count != 10]  # the validation windows are 10
    assert trained == [8, 4, 8, 8, 4]


def test_epochs_before_are_reported_once(data: FitData, make: Make) -> None:
    with pytest.raises(Killed):
        run(data, make(after=7))
    checkpoints, before = make(), list[EpochRecord]()
    checkpoints.on_resume = before.extend
    result = run(data, checkpoints)
    assert [record.epoch for record in before] == [1, 2]
    assert before == list(result.history[:2])


def test_an_interruption_writes_what_is_not_written_yet(data: FitData, make: Make) -> None:
    whole, seen = run(data, None), list[int]()

    def press(record: EpochRecord) -> None:
        seen.append(record.epoch)
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Cnn5(), Classification(3), data, parse("all", Cnn5), SETTINGS, press, checkpoints=make(60, "other"))
    with seeded(0):
        encoder = Cnn5()
    with pytest.raises(KeyboardInterrupt):
        fit(encoder, Classification(3), data, parse("all", Cnn5), SETTINGS, press, checkpoints=make(60))
    checkpoints, before = make(60), list[EpochRecord]()
    checkpoints.on_resume = before.extend
    assert same(run(data, checkpoints), whole)
    assert [record.epoch for record in before] == [1, 2]


def test_nothing_is_written_before_it_is_time(data: FitData, make: Make, tmp_path: Path) -> None:
    run(data, make(60))
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    data: FitData, make: Make, tmp_path: Path, warned: list[str], damage: str
) -> None:
    whole = run(data, None)
    with pytest.raises(Killed):
        run(data, make(after=8))
    newest, before = tmp_path / "checkpoints" / "key.training", tmp_path / "checkpoints" / "key.before.training"
    spoil(newest, damage)
    checkpoints, seen = make(), list[EpochRecord]()
    checkpoints.on_resume = seen.extend
    assert same(run(data, checkpoints), whole)
    assert len(seen) == 2
    assert [str(newest) in text and "is damaged" in text for text in warned] == [True]

    warned.clear()
    with pytest.raises(Killed):
        run(data, make(after=8, key="both"))
    for path in (newest, before):
        spoil(path.with_name(path.name.replace("key", "both")), damage)
    assert same(run(data, make(key="both")), whole)
    assert len(warned) == 2


def spoil(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[: len(content) // 2], "flipped": content, "empty": b""}[damage])


def test_a_checkpoint_of_another_version_is_not_used(
    data: FitData, make: Make, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        run(data, make(after=2))
    monkeypatch.setattr("sslwear.training.checkpoint.CHECKPOINT_VERSION", 99)
    assert make().read() is None
    assert "another version" in warned[0]


def test_a_full_disk_keeps_the_checkpoint_before_and_the_training(
    data: FitData, make: Make, tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(data, None)
    with pytest.raises(Killed):
        run(data, make(after=4))
    content = (tmp_path / "checkpoints" / "key.training").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert same(run(data, make()), whole)
    assert "cannot be written (No space left on device)" in warned[0]
    assert (tmp_path / "checkpoints" / "key.training").read_bytes() == content
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2  # nothing unfinished


def test_a_training_that_diverges_leaves_no_checkpoint(data: FitData, make: Make, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError):
        run(data, make(), learning_rate=1e30)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_checkpoints_that_nobody_asked_for_in_a_month_are_deleted(make: Make, tmp_path: Path, data: FitData) -> None:
    with pytest.raises(Killed):
        run(data, make(after=2, key="old"))
    with pytest.raises(Killed):
        run(data, make(after=2, key="new"))
    for path in (tmp_path / "checkpoints").glob("old*"):
        os.utime(path, times=(path.stat().st_atime, path.stat().st_mtime - ABANDONED_S - 1))
    assert make(key="third").read() is None
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "new.before.training",
        "new.training",
    ]
