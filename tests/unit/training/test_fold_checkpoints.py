"""Checkpoints of folds and of trainings without validation: what goes on ends as if it had not been interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sslwear.augmentations.rotation import Rotation
from sslwear.data.dataset import Dataset
from sslwear.encoders.cnn import Cnn5
from sslwear.errors import DivergenceError
from sslwear.training import (
    AugmentedViews,
    Checkpoints,
    EpochRecord,
    FoldedResult,
    Windows,
    fit_folds,
    fold_group,
    refit,
)
from sslwear.training.device import seeded
from sslwear.training.epochs import Training
from sslwear.training.task import Classification
from sslwear.tuning.base import parse
from sslwear.utils import interrupts
from tests.unit.training.test_checkpoint import Interrupting, Killed
from tests.unit.training.test_folds import SETTINGS, assert_same, dropping, folds

Make = Callable[..., list[Checkpoints]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """New checkpoints of folds, in the same place each time; with `after` the first fold is killed after batches."""

    def made(count: int, minutes: float = 1e-9, after: int | None = None, **options: Any) -> list[Checkpoints]:
        found: list[Checkpoints] = []
        for number in range(count):
            kind = Interrupting if number == 0 and after is not None else Checkpoints
            one = kind(tmp_path / "checkpoints", f"fold{number}", minutes, pytest.fail, **options)
            if isinstance(one, Interrupting):
                one.left = after
            found.append(one)
        return found

    return made


class Told:
    """Keeps what a training of folds tells, and may press Ctrl-C."""

    def __init__(self, press: tuple[int, int] | None = None) -> None:
        self.press, self.epochs, self.stages = press, list[int](), list[int]()

    def epoch(self, folds: int, result: FoldedResult) -> None:
        """An epoch ended."""
        self.epochs.append(len(result.history))
        if self.press == (folds, len(result.history)):
            raise KeyboardInterrupt

    def stage(self, folds: int, _: FoldedResult) -> None:
        """A fold ended."""
        self.stages.append(folds)
        if self.press == (folds, 0):
            raise KeyboardInterrupt


RECIPE = {"optimizer": "adamw", "schedule": "one_cycle", "dropout": 0.3, "weight_average": "ema"}


@pytest.mark.parametrize(
    ("tuning", "changes", "options", "threads", "after"),
    [
        ("layer5", {}, {}, 1, 1),
        ("layer5", {}, {}, 3, 4),
        ("all", RECIPE, {}, 3, 1),
        ("all", RECIPE, {}, 1, 9),
        ("gradual", {}, {"augment": True}, 3, 9),
        ("auto_rgn", {}, {}, 1, 4),
        ("all", {}, {"make": lambda: dropping(nn.Dropout(0.5))}, 3, 1),
        ("all", {}, {"make": lambda: dropping(nn.Dropout(0.5))}, 1, 4),
    ],
)
def test_folds_go_on_as_if_they_had_not_been_interrupted(
    small: Dataset, make: Make, tuning: str, changes: dict[str, Any], options: dict[str, Any], threads: int, after: int
) -> None:
    settings = replace(SETTINGS, threads=threads, **changes)
    whole = fit_folds(folds(small, 3, tuning, **options), settings, first=2)
    with pytest.raises(Killed):
        fit_folds(folds(small, 3, tuning, **options), settings, first=2, checkpoints=make(3, after=after))
    torch.rand(3)
    told = Told()
    result = fit_folds(
        folds(small, 3, tuning, **options),
        settings,
        first=2,
        on_epoch=told.epoch,
        on_stage=told.stage,
        checkpoints=make(3),
    )
    assert_same(result, whole)
    assert told.epochs == [1, 2, 3]
    assert told.stages == [2, 3]


@pytest.mark.parametrize("press", [(2, 1), (2, 3), (2, 0), (3, 0)])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_interrupted_fold_is_kept_to_its_last_epoch(
    small: Dataset, make: Make, advanced: list[int], threads: int, press: tuple[int, int]
) -> None:
    settings = replace(SETTINGS, threads=threads)
    whole = fit_folds(folds(small, 3), settings, first=2)
    needed = len(advanced)
    advanced.clear()
    told = Told(press)
    with pytest.raises(KeyboardInterrupt):
        fit_folds(folds(small, 3), settings, first=2, on_epoch=told.epoch, on_stage=told.stage, checkpoints=make(3, 60))
    kept, before = make(3, 60), list[EpochRecord]()
    kept[0].on_resume = before.extend
    assert_same(fit_folds(folds(small, 3), settings, first=2, checkpoints=kept), whole)
    assert len(advanced) == needed, "no epoch was trained twice"
    assert [record.epoch for record in before] == list(range(1, (press[1] or 3) + 1))


@pytest.fixture
def advanced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An item for each epoch of a fold that is trained."""
    found, real = list[int](), Training.advance
    monkeypatch.setattr(Training, "advance", lambda self: (found.append(1), real(self))[1])
    return found


@pytest.mark.parametrize("threads", [1, 2])
def test_a_signal_within_an_epoch_loses_no_batch(small: Dataset, make: Make, threads: int) -> None:
    """Ctrl-C arrives in the seventh batch of the first epoch."""
    batches, presses = list[int](), False

    class Counted(Classification):
        def batch(self, *args: Any, **keywords: Any) -> Any:
            batches.append(1)
            if presses and len(batches) == 7:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(*args, **keywords)

    for number in interrupts.TERMINATION_SIGNALS:
        signal.signal(number, interrupts.raise_keyboard_interrupt)
    settings = replace(SETTINGS, batch_size=1, threads=threads)
    whole = fit_folds(folds(small, 2, "all", task=Counted(3)), settings, first=2)
    needed = len(batches)
    batches.clear()
    presses = True
    with pytest.raises(KeyboardInterrupt):
        fit_folds(folds(small, 2, "all", task=Counted(3)), settings, first=2, checkpoints=make(2, 60))
    assert 7 <= len(batches) < needed / 2
    presses = False
    assert_same(fit_folds(folds(small, 2, "all", task=Counted(3)), settings, first=2, checkpoints=make(2, 60)), whole)
    assert len(batches) == needed


def test_only_an_interruption_or_the_end_writes(small: Dataset, make: Make, tmp_path: Path) -> None:
    def prune(*_: Any) -> None:
        raise RuntimeError("pruned")

    with pytest.raises(RuntimeError, match="pruned"):
        fit_folds(folds(small, 2), SETTINGS, on_epoch=prune, checkpoints=make(2, 60))
    fit_folds(folds(small, 2), SETTINGS, checkpoints=make(2, 60))
    assert not (tmp_path / "checkpoints").exists()
    result = fit_folds(folds(small, 2), SETTINGS, checkpoints=make(2, 60, at_end=True))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["fold0.training", "fold1.training"]
    again = fit_folds(folds(small, 2, make=_never), SETTINGS, checkpoints=make(2, 60))
    assert_same(again, result)


def test_an_interrupted_call_does_not_write_for_long(
    small: Dataset, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints of many large networks, each of which takes three seconds."""
    clock, written = [0.0], list[str]()
    monkeypatch.setattr(fold_group.time, "monotonic", lambda: clock[0])

    def write(self: Checkpoints, state: Any) -> None:
        written.append(self._path.stem)
        clock[0] += 3

    monkeypatch.setattr(Checkpoints, "write", write)
    told = Told((4, 1))
    with pytest.raises(KeyboardInterrupt):
        fit_folds(folds(small, 4), SETTINGS, first=4, on_epoch=told.epoch, checkpoints=make(4, 60))
    assert written == ["fold0", "fold1"]


def _never() -> Cnn5:
    """An encoder other than the one that was trained, which would give another result if it were trained."""
    with seeded(99):
        return Cnn5()


def trained(data: Windows, checkpoints: Checkpoints | None, **changes: Any) -> tuple[dict[str, Any], list[EpochRecord]]:
    """A training for four epochs: its weights, and its records without their durations."""
    told = list[EpochRecord]()
    with seeded(0):
        encoder = Cnn5()
    if checkpoints is not None:
        checkpoints.on_resume = told.extend
    settings = replace(SETTINGS, **changes)
    network = refit(encoder, Classification(3), data, parse("all", Cnn5), settings, 4, None, told.append, checkpoints)
    return network.state_dict(), [replace(record, seconds=0, validation_loss=0) for record in told]


@pytest.mark.parametrize("after", [1, 5, 13])
def test_a_training_without_validation_goes_on(small: Dataset, make: Make, tmp_path: Path, after: int) -> None:
    data = Windows.of(small, (1, 2), AugmentedViews(Rotation(), 5))
    data = replace(data, rows=data.rows[::3])
    how = {"weight_average": "swa", "schedule": "one_cycle", "optimizer": "adamw"}
    (weights, records), batches = trained(data, None, **how), 3 * 4
    if after < batches:
        with pytest.raises(Killed):
            trained(data, make(1, after=after)[0], **how)
    else:
        trained(data, make(1, 60, at_end=True)[0], **how)
    found, again = trained(data, make(1)[0], **how)
    assert again == records
    assert all(torch.equal(value, found[name]) for name, value in weights.items())
    with pytest.raises(DivergenceError):
        trained(data, Checkpoints(tmp_path, "other", 1e-9, pytest.fail), learning_rate=1e30)
    assert not list(tmp_path.glob("*.training"))
