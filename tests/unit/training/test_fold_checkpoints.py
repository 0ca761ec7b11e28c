"""Checkpoints of folds and of trainings without validation: what goes on ends as if it had not been interrupted."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sslwear.augmentations.rotation import Rotation
from sslwear.data.dataset import Dataset
from sslwear.encoders.cnn import Cnn5
from sslwear.errors import DataChangedError, DivergenceError
from sslwear.training import (
    AugmentedViews,
    Checkpoints,
    EpochRecord,
    FoldedResult,
    Windows,
    checkpoint,
    fit_folds,
    fold_group,
    refit,
)
from sslwear.training.device import seeded
from sslwear.training.epochs import Training
from sslwear.training.steps import Steps
from sslwear.training.task import Classification
from sslwear.training.trained_fold import TrainedFold
from sslwear.tuning.base import parse
from sslwear.utils import interrupts
from tests.unit.training.test_checkpoint import Interrupting, Killed
from tests.unit.training.test_folds import SETTINGS, assert_same, dropping, folds

Make = Callable[..., list[Checkpoints]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """New checkpoints of folds, in the same place each time; with `after` the first fold is killed after batches."""

    def made(count: int, minutes: float = 1e-9, after: int | None = None) -> list[Checkpoints]:
        found: list[Checkpoints] = []
        for number in range(count):
            kind = Interrupting if number == 0 and after is not None else Checkpoints
            one = kind(tmp_path / "checkpoints", f"fold{number}", minutes, pytest.fail)
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


@pytest.mark.parametrize(("threads", "drops"), [(1, False), (2, False), (1, True)])
def test_a_signal_within_an_epoch_loses_no_batch(small: Dataset, make: Make, threads: int, drops: bool) -> None:
    """Ctrl-C arrives in the seventh batch of the first epoch; some networks draw from the global generator."""
    batches, presses = list[int](), False

    class Counted(Classification):
        def batch(self, *args: Any, **keywords: Any) -> Any:
            batches.append(1)
            if presses and len(batches) == 7:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(*args, **keywords)

    def run(checkpoints: Sequence[Checkpoints] = ()) -> FoldedResult:
        options = {"make": lambda: dropping(nn.Dropout(0.5))} if drops else {}
        made = folds(small, 2, "all", task=Counted(3), **options)
        return fit_folds(made, settings, first=2, checkpoints=checkpoints)

    for number in interrupts.TERMINATION_SIGNALS:
        signal.signal(number, interrupts.raise_keyboard_interrupt)
    settings = replace(SETTINGS, batch_size=2, threads=threads)
    whole, needed = run(), len(batches)
    batches.clear()
    presses = True
    with pytest.raises(KeyboardInterrupt):
        run(make(2, 60))
    assert 7 <= len(batches) < needed / 2
    presses = False
    assert_same(run(make(2, 60)), whole)
    assert len(batches) == needed


def test_a_signal_at_the_start_of_an_epoch_loses_no_epoch(
    small: Dataset, make: Make, advanced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C arrives while Auto-RGN looks at gradients, before the first batch of the third epoch."""
    real, looks = Steps.gradients, list[int]()

    def press(self: Steps, *args: Any) -> Any:
        looks.append(1)
        if len(looks) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, *args)

    signal.signal(signal.SIGINT, interrupts.raise_keyboard_interrupt)
    whole = fit_folds(folds(small, 1, "auto_rgn"), SETTINGS)
    advanced.clear()
    monkeypatch.setattr(Steps, "gradients", press)
    with pytest.raises(KeyboardInterrupt):
        fit_folds(folds(small, 1, "auto_rgn"), SETTINGS, checkpoints=make(1, 60))
    assert_same(fit_folds(folds(small, 1, "auto_rgn"), SETTINGS, checkpoints=make(1, 60)), whole)
    assert len(advanced) == SETTINGS.max_epochs + 1


def test_a_second_ctrl_c_waits_for_the_batches(small: Dataset, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are written when no thread trains any more."""
    real, kept, evaluating, pressed = Training._evaluate, list[bool](), threading.Event(), threading.Event()

    def slow(self: Training, windows: Any) -> Any:
        evaluating.set()
        pressed.wait(20)
        return real(self, windows)

    def press() -> None:
        evaluating.wait(20)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        pressed.set()

    def keep(self: TrainedFold, at_end: bool = False) -> None:
        kept.append(pressed.is_set())

    for number in interrupts.TERMINATION_SIGNALS:
        signal.signal(number, interrupts.raise_keyboard_interrupt)
    monkeypatch.setattr(Training, "_evaluate", slow)
    monkeypatch.setattr(TrainedFold, "keep", keep)
    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        fit_folds(folds(small, 2, "all"), replace(SETTINGS, threads=2), first=2, checkpoints=make(2, 60))
    assert kept == [True, True]


def test_a_kill_costs_the_time_between_two_checkpoints_and_an_epoch_of_a_fold(
    small: Dataset, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of one of four folds takes a minute, and there are 20 minutes between two checkpoints of a fold."""
    clock, left = [0.0], [10**9]
    real = Steps.take

    def take(self: Steps, *args: Any) -> Any:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        clock[0] += 60
        return real(self, *args)

    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Steps, "take", take)
    settings = replace(SETTINGS, batch_size=4)
    fit_folds(folds(small, 4), settings, first=4)
    total = 10**9 - left[0]
    left[0] = total - 1
    with monkeypatch.context() as killed:
        killed.setattr(TrainedFold, "keep", lambda *_, **__: None)  # nothing is written when a process is killed
        with pytest.raises(Killed):
            fit_folds(folds(small, 4), settings, first=4, checkpoints=make(4, 20))
    left[0] = 10**9
    fit_folds(folds(small, 4), settings, first=4, checkpoints=make(4, 20))
    epoch = total / (4 * settings.max_epochs)
    assert 1 < 10**9 - left[0] < 20 + epoch + 2, "minutes that were trained again, with the last batch"


def test_nothing_is_written_of_changed_data(small: Dataset, tmp_path: Path) -> None:
    changed = False

    def check() -> None:
        if changed:
            raise DataChangedError("changed")

    def change(_: int, result: FoldedResult) -> None:
        nonlocal changed
        changed = len(result.history) == 2
        if presses and changed:
            raise KeyboardInterrupt

    def made(minutes: float) -> list[Checkpoints]:
        return [Checkpoints(tmp_path, "fold", minutes, pytest.fail, check)]

    presses = True
    with pytest.raises(KeyboardInterrupt):
        fit_folds(folds(small, 1), SETTINGS, on_epoch=change, checkpoints=made(60))
    presses, changed = False, False
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataChangedError):
        fit_folds(folds(small, 1), SETTINGS, on_epoch=change, checkpoints=made(1e-9))
    changed, told = False, Told()
    kept = made(60)
    kept[0].on_resume = lambda history: told.epochs.append(len(history))
    assert_same(fit_folds(folds(small, 1), SETTINGS, checkpoints=kept), fit_folds(folds(small, 1), SETTINGS))
    assert told.epochs == [2]


def test_memory_that_runs_out_while_writing_is_warned_of(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(checkpoint.torch, "save", fail)
    warned = list[str]()
    fit_folds(folds(small, 1), SETTINGS, checkpoints=[Checkpoints(tmp_path, "fold", 1e-9, warned.append)])
    assert set(warned) == {
        f"the checkpoint {tmp_path / 'fold.training'} cannot be written (out of memory). The training goes on"
    }


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
        trained(data, make(1)[0], **how)
    found, again = trained(data, make(1)[0], **how)
    assert again == records
    assert all(torch.equal(value, found[name]) for name, value in weights.items())
    with pytest.raises(DivergenceError):
        trained(data, Checkpoints(tmp_path, "other", 1e-9, pytest.fail), learning_rate=1e30)
    assert not list(tmp_path.glob("*.training"))
