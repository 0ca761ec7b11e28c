"""Captured training steps: bit-identical to those that are not captured, alone and side by side.

There is no CUDA device here, so operations are recorded by a stand-in on the CPU, which repeats them without Python.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn

from sslwear.augmentations.base import parse as augmentation
from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Encoder
from sslwear.encoders.cnn import Cnn5
from sslwear.encoders.multiscale import Multiscale
from sslwear.pretext.base import get as get_pretext
from sslwear.training import (
    AugmentedViews,
    Checkpoints,
    FeatureCache,
    FitData,
    FitResult,
    FitSettings,
    Fold,
    Windows,
    epochs,
    fit,
    fit_folds,
    fold_group,
    on_device,
)
from sslwear.training import graphs as training_graphs
from sslwear.training.captured import CapturedSteps, SideBySide
from sslwear.training.device import seeded
from sslwear.training.graphs import recorded
from sslwear.training.task import Classification, Task, inverse_frequency
from sslwear.tuning.base import parse
from tests.unit.training.recorded_graphs import RecordedGraphs

SETTINGS = FitSettings(
    learning_rate=2**-10, batch_size=8, max_epochs=3, patience=9, seed=3, augmented_views=2, threads=1
)
"""The learning rate is the same number in float32 and in double precision."""


class NoGraphs(RecordedGraphs):
    """Graphs of a device that records nothing."""

    def record(self, *_: Any) -> Callable[[], None]:
        """Refuse."""
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[RecordedGraphs], None]:
    """Train with graphs, and with data on the device, as on a CUDA device."""

    def use(graphs: RecordedGraphs) -> None:
        for module in (epochs, fold_group):
            monkeypatch.setattr(module, "graphs_of", lambda _: graphs)
        monkeypatch.setattr(on_device, "keeps_data", lambda _: True)
        monkeypatch.setattr(on_device, "free_bytes", lambda _: 10**9)
        monkeypatch.setattr(on_device, "_MEMORIES", {})
        monkeypatch.setattr(Tensor, "pin_memory", lambda value: value)

    return use


def data_of(small: Dataset, validation: int = 8, augment: str = "") -> FitData:
    views = AugmentedViews(augmentation(augment), 5) if augment else None
    learning = tuple(pid for pid in small.participants if pid != validation)
    train, held_out = Windows.of(small, learning, views), Windows.of(small, (validation,))
    return FitData(replace(train, rows=train.rows[:-3]), replace(held_out, rows=held_out.rows[::3]))


def run(
    data: FitData, task: Task | None = None, tuning: str = "all", kind: type[Encoder] = Cnn5, **more: Any
) -> FitResult:
    how = {name: more.pop(name) for name in ("cache", "checkpoints", "on_epoch") if name in more}
    with seeded(0):
        encoder = kind()
    task = task or Classification(3, inverse_frequency(data.train.labels, 3), label_smoothing=0.1)  # type: ignore[attr-defined]
    return fit(encoder, task, data, parse(tuning, kind), replace(SETTINGS, **more), **how)


def assert_same(one: FitResult, other: FitResult) -> None:
    assert [replace(record, seconds=0) for record in one.history] == [replace(r, seconds=0) for r in other.history]
    state = other.network.state_dict()
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize(
    ("augment", "more"),
    [
        ("", {}),
        ("", {"tuning": "gradual"}),
        ("", {"tuning": "auto_rgn"}),
        ("", {"dropout": 0.3, "clip_norm": 0.5, "optimizer": "adamw"}),
        ("", {"weight_average": "ema", "kind": Multiscale}),
        ("", {"weight_average": "swa", "precision": "bf16"}),
        ("rotate(20)+scale(0.1)+tempo(0.15)+flip(1)+mask(0.1)+scale_motion(0.1)+jitter(0.02)", {}),
        ("time_warp+jitter", {}),  # not on the device only
    ],
)
def test_captured_steps_give_the_same_bits(
    small: Dataset, use: Callable[[RecordedGraphs], None], augment: str, more: dict[str, Any]
) -> None:
    data = data_of(small, augment=augment)
    assert len(data.train) % SETTINGS.batch_size > 1, "there is a smaller last batch"
    if more.get("tuning") == "auto_rgn":  # its rates are rounded to float32
        use(NoGraphs())
    plain = run(data, **more)
    use(graphs := RecordedGraphs())
    assert_same(plain, run(data, **more))
    assert len(graphs.records) >= 2
    assert min(graphs.repeats) >= 1
    assert max(graphs.repeats) > 15


@pytest.mark.parametrize("name", ["multi", "contrastive", "hidden_half"])
def test_captured_steps_of_a_pretext_task_give_the_same_bits(
    small: Dataset, use: Callable[[RecordedGraphs], None], name: str
) -> None:
    data = data_of(small)
    plain = run(data, get_pretext(name)(), max_epochs=2)
    use(graphs := RecordedGraphs())
    assert_same(plain, run(data, get_pretext(name)(), max_epochs=2))
    assert max(graphs.repeats) > 10


@pytest.mark.parametrize("tuning", ["head", "layer5"])
def test_captured_steps_on_cached_outputs_give_the_same_bits(
    small: Dataset, use: Callable[[RecordedGraphs], None], tuning: str, tmp_path: Path
) -> None:
    data = data_of(small, augment="rotate(20)")
    cache = FeatureCache(tmp_path, 10**9, 10**9)
    plain = run(data, tuning=tuning, cache=cache, max_epochs=5)
    use(graphs := RecordedGraphs())
    assert_same(plain, run(data, tuning=tuning, cache=cache, max_epochs=5))
    assert max(graphs.repeats) > 10


@pytest.mark.parametrize("kept", [None, 1000])
def test_rates_of_a_schedule_are_those_of_each_step(
    small: Dataset, use: Callable[[RecordedGraphs], None], kept: int | None
) -> None:
    data = data_of(small)
    plain = run(data, schedule="one_cycle", max_epochs=4)
    use(RecordedGraphs())
    captured = run(data, schedule="one_cycle", max_epochs=4, device_bytes=kept)
    for one, other in zip(plain.history, captured.history, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=1e-5)  # rates are rounded to float32
        assert other.learning == one.learning


def test_rates_are_the_same_for_windows_on_the_device_and_copied_ones(
    small: Dataset, use: Callable[[RecordedGraphs], None]
) -> None:
    data, how = data_of(small), {"schedule": "one_cycle", "max_epochs": 2, "learning_rate": 1e-3}
    use(RecordedGraphs())
    assert_same(run(data, **how), run(data, **how, device_bytes=1000))


def test_data_that_does_not_fit_is_copied_batch_by_batch(small: Dataset, use: Callable[[RecordedGraphs], None]) -> None:
    data = data_of(small, augment="rotate(20)")
    plain = run(data)
    use(graphs := RecordedGraphs())
    assert_same(plain, run(data, device_bytes=1000))
    assert max(graphs.repeats) > 15


class Counting(Cnn5):
    """An encoder whose steps differ in what a graph does not know."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor[0].register_forward_pre_hook(self._scaled)

    def _scaled(self, _: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        Counting.steps += 1
        return inputs[0] * (1 + Counting.steps / 100)


@pytest.mark.parametrize(
    ("graphs", "kind", "message"),
    [
        (
            NoGraphs(),
            Cnn5,
            "cannot be recorded as a CUDA graph, and are slower (operation not permitted when stream is ",
        ),
        (RecordedGraphs(), Counting, "gives other numbers than the steps, and is not used"),
    ],
)
def test_steps_that_cannot_be_recorded_are_taken_as_usual(
    small: Dataset,
    use: Callable[[RecordedGraphs], None],
    graphs: RecordedGraphs,
    kind: type[Encoder],
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = data_of(small)
    plain = run(data, kind=kind)
    Counting.steps = 0
    use(graphs)
    with caplog.at_level(logging.WARNING):
        found = run(data, kind=kind)
    assert message in caplog.text
    assert max(graphs.repeats, default=0) <= 1  # once, for comparison
    if kind is Cnn5:
        assert_same(plain, found)


@pytest.mark.parametrize("at", [3, 29])
def test_an_interrupted_training_goes_on_to_the_last_bit(
    small: Dataset, use: Callable[[RecordedGraphs], None], at: int, tmp_path: Path
) -> None:
    """Also in the middle of an epoch: batch 3 is among the first ones, which are not captured."""
    data = data_of(small)
    use(RecordedGraphs())
    whole = run(data, dropout=0.2)

    batches = 0
    first = epochs.Training._step

    def interrupted(training: epochs.Training, *how: Any) -> None:
        nonlocal batches
        first(training, *how)
        batches += 1
        if batches == at:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epochs.Training, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(data, dropout=0.2, checkpoints=Checkpoints(tmp_path, "same", 0, print))
    assert_same(whole, run(data, dropout=0.2, checkpoints=Checkpoints(tmp_path, "same", 0, print)))


def folds_of(small: Dataset, augment: str = "", kind: type[Encoder] = Cnn5) -> list[Callable[[], Fold]]:
    def make(validation: int) -> Fold:
        data = data_of(small, validation, augment)
        with seeded(0):
            encoder = kind()
        task = Classification(3, inverse_frequency(data.train.labels, 3))  # type: ignore[attr-defined]
        return Fold(encoder, task, data, parse("all", kind))

    return [lambda number=number: make(number) for number in (5, 8, 2, 6)]  # type: ignore[misc]


@pytest.mark.parametrize(("augment", "beside"), [("", 4), ("rotate(20)", 4), ("time_warp", 1)])
def test_folds_side_by_side_are_what_they_are_alone(
    small: Dataset, use: Callable[[RecordedGraphs], None], augment: str, beside: int
) -> None:
    settings = replace(SETTINGS, dropout=0.2)
    plain = fit_folds(folds_of(small, augment), settings, first=4)
    use(graphs := RecordedGraphs())
    found = fit_folds(folds_of(small, augment), settings, first=4)
    assert max(graphs.records) == beside
    assert graphs.repeats[graphs.records.index(beside)] > 10
    assert [replace(r, seconds=0) for r in found.history] == [replace(r, seconds=0) for r in plain.history]
    for one, other in zip(plain.evaluations, found.evaluations, strict=True):
        for before, after in zip(one, other, strict=True):
            assert before.loss == after.loss
            assert before.predicted.tolist() == after.predicted.tolist()


def test_groups_of_folds_that_take_turns_are_recorded_once(
    small: Dataset, use: Callable[[RecordedGraphs], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(graphs := RecordedGraphs())
    monkeypatch.setattr(fold_group, "BRANCHES", 2)
    fit_folds(folds_of(small), SETTINGS, first=4)
    assert graphs.records.count(2) == 2


class Small(RecordedGraphs):
    """Graphs of a device whose memory suffices for one training at a time."""

    def record(self, steps: Any, generators: Any) -> Callable[[], None]:
        """Refuse several steps."""
        if len(steps) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().record(steps, generators)


def test_folds_that_do_not_fit_side_by_side_have_graphs_of_their_own(
    small: Dataset, use: Callable[[RecordedGraphs], None]
) -> None:
    plain = fit_folds(folds_of(small), SETTINGS, first=4)
    use(graphs := Small())
    found = fit_folds(folds_of(small), SETTINGS, first=4)
    assert [replace(r, seconds=0) for r in found.history] == [replace(r, seconds=0) for r in plain.history]
    assert sum(repeats > 10 for repeats in graphs.repeats) == 4


def test_all_trainings_of_a_device_have_the_same_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_graphs, "CudaGraphs", RecordedGraphs)
    training_graphs._cuda_graphs.cache_clear()
    cards = [torch.device(name) for name in ("cuda:0", "cuda:1", "cuda:0")]
    first, second, again = [training_graphs.graphs_of(card) for card in cards]
    training_graphs._cuda_graphs.cache_clear()
    assert first is again is not second
    assert training_graphs.graphs_of(torch.device("cpu")) is None


def test_steps_that_may_not_fit_side_by_side_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that runs out of memory could keep it from what follows."""
    found = {"memory_allocated": 10, "max_memory_allocated": 40, "memory_reserved": 50, "mem_get_info": (79, 200)}
    for name, value in found.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    for name in ("Stream", "current_stream", "graph_pool_handle"):
        monkeypatch.setattr(torch.cuda, name, Mock())
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Mock(side_effect=NotImplementedError))
    graphs = training_graphs.CudaGraphs(torch.device("cuda"))
    step = Mock()
    graphs.run(step, 0)
    with pytest.raises(torch.OutOfMemoryError, match="4 steps"):
        graphs.record([step] * 4, [])
    with pytest.raises(NotImplementedError):
        graphs.record([step] * 3, [])
    assert step.call_count == 1


def test_a_step_leaves_no_gradients_in_the_memory_of_graphs(
    small: Dataset, use: Callable[[RecordedGraphs], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, first = list[int](), CapturedSteps.step

    def step(steps: CapturedSteps, size: int) -> None:
        first(steps, size)
        left.append(sum(value.grad is not None for value in steps._network.parameters()))

    monkeypatch.setattr(CapturedSteps, "step", step)
    use(RecordedGraphs())
    run(data_of(small), max_epochs=1)
    assert set(left) == {0}


def test_a_step_that_diverges_is_recorded_like_others(caplog: pytest.LogCaptureFixture) -> None:
    value = torch.tensor([1.0, torch.nan])

    def step() -> None:
        value.mul_(2)

    record = recorded(RecordedGraphs(), [step], [value], [])
    assert record is not None
    record()
    assert value[0] == 4
    assert not caplog.text


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def end_at_once() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("interrupt", [press_ctrl_c, end_at_once])
def test_folds_that_are_interrupted_side_by_side_go_on_to_the_last_bit(
    small: Dataset,
    use: Callable[[RecordedGraphs], None],
    interrupt: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the weights are those after a step that no fold has counted."""
    use(RecordedGraphs())
    settings = replace(SETTINGS, dropout=0.2)
    whole = fit_folds(folds_of(small), settings, first=4)
    steps, first = 0, SideBySide.take

    def take(beside: SideBySide, trainings: Any) -> None:
        nonlocal steps
        first(beside, trainings)
        steps += 1
        if steps == 5:
            interrupt()

    kept = [Checkpoints(tmp_path, f"fold{number}", 60, pytest.fail) for number in range(4)]
    with monkeypatch.context() as patch:
        patch.setattr(SideBySide, "take", take)
        with pytest.raises(KeyboardInterrupt):
            fit_folds(folds_of(small), settings, first=4, checkpoints=kept)
    assert any(tmp_path.iterdir()) == (interrupt is press_ctrl_c)
    found = fit_folds(folds_of(small), settings, first=4, checkpoints=kept)
    assert [replace(r, seconds=0) for r in found.history] == [replace(r, seconds=0) for r in whole.history]


class Dropping(Cnn5):
    """An encoder that draws from PyTorch's global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor[3] = nn.Sequential(self.feature_extractor[3], nn.Dropout(0.1))


def test_folds_whose_networks_share_a_generator_are_trained_one_after_another(
    small: Dataset, use: Callable[[RecordedGraphs], None]
) -> None:
    plain = fit_folds(folds_of(small, kind=Dropping), SETTINGS, first=4)
    use(graphs := RecordedGraphs())
    found = fit_folds(folds_of(small, kind=Dropping), SETTINGS, first=4)
    assert max(graphs.records) == 1
    assert [replace(r, seconds=0) for r in found.history] == [replace(r, seconds=0) for r in plain.history]
