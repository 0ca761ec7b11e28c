"""Cross-validated training: one number of epochs for all folds, and no result that depends on threads."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslwear.augmentations.rotation import Rotation
from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.cnn import Cnn5
from sslwear.errors import DivergenceError, SslwearError
from sslwear.training import (
    AugmentedViews,
    EpochRecord,
    Evaluation,
    FeatureCache,
    FitData,
    FitResult,
    FitSettings,
    Fold,
    FoldedResult,
    FrozenBlocks,
    Helpers,
    Windows,
    fit,
    fit_folds,
    refit,
)
from sslwear.training.device import seeded
from sslwear.training.epochs import Training
from sslwear.training.fold_group import FoldGroup, draws_globally
from sslwear.training.task import Classification, Task, inverse_frequency
from sslwear.training.trained_fold import TrainedFold
from sslwear.tuning.base import parse
from sslwear.utils import interrupts

SETTINGS = FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=3, patience=5, seed=3, augmented_views=2, threads=1)
VALIDATED = ((5,), (6, 7), (8,), (2,))
"""Validation participants of the folds, of different numbers of windows."""
LARGE = 10**9


def encoder() -> Encoder:
    with seeded(0):
        return Cnn5()


def data_of(small: Dataset, number: int, augment: bool = False) -> FitData:
    """Windows of a fold, every third one."""
    views = AugmentedViews(Rotation(), 5) if augment else None
    learning = tuple(pid for pid in small.participants if pid not in VALIDATED[number])
    train, validation = Windows.of(small, learning, views), Windows.of(small, VALIDATED[number])
    return FitData(replace(train, rows=train.rows[::3]), replace(validation, rows=validation.rows[::3]))


def fold(
    small: Dataset,
    number: int,
    tuning: str = "layer5",
    task: Task | None = None,
    augment: bool = False,
    make: Callable[[], Encoder] = encoder,
) -> Callable[[], Fold]:
    data = data_of(small, number, augment)
    classes = inverse_frequency(data.train.labels, 3)
    return lambda: Fold(make(), task or Classification(3, classes), data, parse(tuning, Cnn5))


def folds(small: Dataset, count: int, tuning: str = "layer5", **options: Any) -> list[Callable[[], Fold]]:
    return [fold(small, number, tuning, **options) for number in range(count)]


def assert_same(one: FoldedResult, other: FoldedResult) -> None:
    """Equal to the last bit, but for durations."""
    assert one.epoch == other.epoch
    assert [replace(r, seconds=0) for r in one.history] == [replace(r, seconds=0) for r in other.history]
    for mine, theirs in zip(one.evaluations, other.evaluations, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert a.loss == b.loss
            assert np.array_equal(a.truth, b.truth)
            assert np.array_equal(a.predicted, b.predicted)


class Scripted(Classification):
    """Classification with given validation losses by epoch."""

    def __init__(self, losses: Sequence[float]) -> None:
        super().__init__(3)
        self.losses = iter(losses)

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        total, weight = super().loss(output, target)
        return (total, weight) if torch.is_grad_enabled() else (weight * next(self.losses), weight)


def scripted(small: Dataset, *losses: Sequence[float]) -> list[Callable[[], Fold]]:
    return [fold(small, number, "head", Scripted(script)) for number, script in enumerate(losses)]


@pytest.fixture
def advanced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of validation windows of each fold that is trained for an epoch, in order."""
    found: list[int] = []
    real = Training.advance

    def watch(self: Training) -> Any:
        assert self._validation is not None
        found.append(len(self._validation))
        return real(self)

    monkeypatch.setattr(Training, "advance", watch)
    return found


def sizes(small: Dataset, count: int) -> list[int]:
    return [len(data_of(small, number).validation) for number in range(count)]


@pytest.mark.parametrize(
    ("tuning", "cached", "augment"),
    [
        ("all", False, True),
        ("layer4-5", True, False),
        ("head", True, True),
        ("gradual", True, False),
        ("auto_rgn", False, False),
        ("auto_snr", False, True),
        ("layerwise_decay(0.5)", False, False),
    ],
)
def test_a_single_fold_is_trained_as_by_fit(
    small: Dataset, tmp_path: Path, tuning: str, cached: bool, augment: bool
) -> None:
    settings = replace(SETTINGS, max_epochs=8, patience=2, learning_rate=1e-2, schedule="cosine")
    cache = FeatureCache(tmp_path, LARGE, LARGE) if cached else None
    make = fold(small, 0, tuning, augment=augment)
    one = make()
    plain = fit(one.encoder, one.task, one.data, one.tuning, settings, None, cache)
    result = fit_folds([make], settings, cache=cache)
    assert result.epoch == plain.best_epoch
    assert [replace(r, seconds=0) for r in result.history] == [replace(r, seconds=0, scores={}) for r in plain.history]
    (best,) = result.at(result.epoch)
    assert best.loss == plain.validation.loss
    assert np.array_equal(best.truth, plain.validation.truth)
    assert np.array_equal(best.predicted, plain.validation.predicted)


@pytest.mark.parametrize(
    ("tuning", "cached", "augment"),
    [("all", False, True), ("layer5", True, True), ("gradual", True, False), ("auto_snr", False, False)],
)
@pytest.mark.parametrize("first", [1, 4])
def test_the_result_does_not_depend_on_the_number_of_folds_at_the_same_time(
    small: Dataset, tmp_path: Path, tuning: str, cached: bool, augment: bool, first: int
) -> None:
    results = []
    for threads in (1, 2, 3):
        stages: list[FoldedResult] = []
        cache = FeatureCache(tmp_path / str(threads), LARGE, LARGE) if cached else None
        fit_folds(
            folds(small, 4, tuning, augment=augment),
            replace(SETTINGS, threads=threads),
            first=first,
            on_stage=lambda _, result, stages=stages: stages.append(result),
            cache=cache,
        )
        results.append(stages)
    assert len(results[0]) == 5 - first
    for stages in results[1:]:
        for one, other in zip(results[0], stages, strict=True):
            assert_same(one, other)


def test_several_folds_are_trained_at_the_same_time(small: Dataset) -> None:
    """Each waits in its first batch until the others have come to theirs; one after another they would fail."""
    barrier, threads = threading.Barrier(3, timeout=60), set[int]()

    class Meeting(Classification):
        met = False

        def batch(self, *args: Any, **keywords: Any) -> Any:
            if not self.met:
                self.met = True
                barrier.wait()
            threads.add(torch.get_num_threads())
            return super().batch(*args, **keywords)

    made = [fold(small, number, task=Meeting(3)) for number in range(3)]
    before = torch.get_num_threads()
    fit_folds(made, replace(SETTINGS, threads=3, max_epochs=1), first=1)
    assert threads == {1}
    assert torch.get_num_threads() == before


def test_the_number_of_epochs_has_the_lowest_mean_loss_over_windows(small: Dataset) -> None:
    few, many = sizes(small, 2)
    assert few < many
    first, second = [1.0, 2.0, 3.0, 2.5, 9.0], [9.0, 8.0, 1.0, 2.0, 9.0]
    result = fit_folds(scripted(small, first, second), replace(SETTINGS, max_epochs=5), first=2)
    means = (few * np.array(first) + many * np.array(second)) / (few + many)
    assert [record.validation_loss for record in result.history] == pytest.approx(means.tolist())
    assert result.epoch == 3 == 1 + int(np.argmin(means))
    assert [one.loss for one in result.at(3)] == [3.0, 1.0]
    assert [record.epoch for record in result.history] == [1, 2, 3, 4, 5]
    assert all(record.scores == {} for record in result.history)


def test_the_training_loss_is_a_mean_over_windows_and_durations_are_added(small: Dataset) -> None:
    settings = replace(SETTINGS, max_epochs=1)
    alone = [fit_folds([make], settings).history[0] for make in folds(small, 2)]
    both = fit_folds(folds(small, 2), settings, first=2).history[0]
    weights = [len(data_of(small, number).train) for number in range(2)]
    expected = np.average([record.train_loss for record in alone], weights=weights)
    assert both.train_loss == pytest.approx(expected, rel=1e-5)
    assert both.learning == alone[0].learning
    assert both.seconds > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fold_is_not_trained_again_for_an_epoch(small: Dataset, advanced: list[int], threads: int) -> None:
    """The first fold stops after 3 epochs, both together after 5, and all three again after 3.

    With two threads, the second and the third fold have some of their epochs before their turn.
    """
    first = [1.0, 2.0, 3.0, 1.0, 9.0, 9.0]
    second = [9.0, 8.0, 1.0, 8.0, 9.0, 9.0]
    third = [0.0, 50.0, 90.0, 90.0, 90.0, 90.0]
    stages: list[tuple[int, int, int]] = []
    fit_folds(
        scripted(small, first, second, third),
        replace(SETTINGS, max_epochs=6, patience=2, threads=threads),
        on_stage=lambda count, result: stages.append((count, result.epoch, len(result.history))),
    )
    assert stages == [(1, 1, 3), (2, 3, 5), (3, 1, 3)]
    one, two, three = sizes(small, 3)
    assert one == three
    assert sorted(advanced) == sorted([one] * 5 + [two] * 5 + [three] * 3)
    if threads == 1:
        assert advanced[:3] == [one] * 3
        assert advanced[3:6] == [two] * 3
        assert sorted(advanced[6:10]) == sorted([one, two] * 2)
        assert advanced[10:] == [three] * 3


def test_idle_threads_train_further_folds_ahead(small: Dataset, advanced: list[int]) -> None:
    made: list[int] = []

    def noted(number: int, make: Callable[[], Fold]) -> Callable[[], Fold]:
        return lambda: (made.append(number), make())[1]

    makers = [noted(number, make) for number, make in enumerate(folds(small, 4))]
    seen: list[tuple[int, list[int], int]] = []
    settings = replace(SETTINGS, max_epochs=2, threads=2)
    fit_folds(makers, settings, on_stage=lambda count, _: seen.append((count, list(made), len(advanced))))
    assert seen == [(1, [0, 1], 4), (2, [0, 1], 4), (3, [0, 1, 2, 3], 8), (4, [0, 1, 2, 3], 8)]


def test_listeners_get_the_folds_so_far(small: Dataset) -> None:
    epochs: list[tuple[int, int, int]] = []
    stages: list[tuple[int, int, int]] = []

    def into(found: list[tuple[int, int, int]]) -> Callable[[int, FoldedResult], None]:
        return lambda count, result: found.append((count, len(result.history), len(result.evaluations)))

    result = fit_folds(
        folds(small, 3), replace(SETTINGS, max_epochs=2), first=2, on_epoch=into(epochs), on_stage=into(stages)
    )
    assert epochs == [(2, 1, 2), (2, 2, 2)]
    assert stages == [(2, 2, 2), (3, 2, 3)]
    assert len(result.evaluations) == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_a_listener_can_end_the_training(small: Dataset, advanced: list[int], threads: int) -> None:
    def stop(count: int, result: FoldedResult) -> None:
        if len(result.history) == 2:
            raise RuntimeError(f"enough of {count}")

    settings = replace(SETTINGS, max_epochs=9, threads=threads)
    with pytest.raises(RuntimeError, match="enough of 2"):
        fit_folds(folds(small, 4), settings, first=2, on_epoch=stop)
    assert len(advanced) == 4
    with pytest.raises(RuntimeError, match="enough of 1"):
        fit_folds(folds(small, 4), replace(settings, max_epochs=2), on_stage=stop)
    assert not fold_threads()
    assert not torch.are_deterministic_algorithms_enabled()


def fold_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fold")]


def test_an_interrupt_ends_all_threads_in_the_epoch(small: Dataset) -> None:
    """Ctrl-C arrives in the second batch of an epoch of many batches."""
    batches: list[int] = []
    interrupted = threading.Event()

    class Interrupting(Classification):
        def batch(self, *args: Any, **keywords: Any) -> Any:
            batches.append(1)
            if len(batches) == 2:
                os.kill(os.getpid(), signal.SIGINT)
                interrupted.set()
            return super().batch(*args, **keywords)

    for number in interrupts.TERMINATION_SIGNALS:
        signal.signal(number, interrupts.raise_keyboard_interrupt)
    before = torch.get_num_threads()
    settings = replace(SETTINGS, batch_size=1, threads=2, max_epochs=50)
    with pytest.raises(KeyboardInterrupt):
        fit_folds(folds(small, 2, "all", task=Interrupting(3)), settings, first=2)
    assert interrupted.is_set()
    assert not fold_threads()
    assert 2 <= len(batches) < 2 * len(data_of(small, 0).train), "not even an epoch was finished"
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()


class Broken(Classification):
    """A task whose loss is NaN from the second epoch on."""

    def __init__(self) -> None:
        super().__init__(3)
        self.evaluated = 0

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        total, weight = super().loss(output, target)
        self.evaluated += not torch.is_grad_enabled()
        return (total * float("nan") if self.evaluated == 2 else total), weight


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_a_fold_is_raised_when_its_turn_comes(small: Dataset, threads: int) -> None:
    """Also if the fold is trained ahead."""
    stages: list[int] = []
    with pytest.raises(DivergenceError, match="the loss is not finite after epoch 2"):
        fit_folds(
            [fold(small, 0), fold(small, 1, task=Broken()), fold(small, 2)],
            replace(SETTINGS, threads=threads),
            on_stage=lambda count, _: stages.append(count),
        )
    assert stages == [1]
    with pytest.raises(DivergenceError, match="the loss is not finite after epoch 2"):
        fit_folds([fold(small, 0), fold(small, 1, task=Broken())], replace(SETTINGS, threads=threads), first=2)
    assert not fold_threads()


@pytest.mark.parametrize("error", [SslwearError("no such weights"), ValueError("no such weights")])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_making_a_fold_is_raised_when_its_turn_comes(
    small: Dataset, threads: int, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold is tried once, because its pre-training may take long; the one before is still trained ahead."""
    tries, stages, trained = list[int](), list[int](), list[int]()
    advance = FoldGroup.advance

    def fails() -> Fold:
        tries.append(1)
        raise error

    def noted(group: FoldGroup, folds: list[TrainedFold]) -> None:
        trained.append(len(folds))
        advance(group, folds)

    monkeypatch.setattr(FoldGroup, "advance", noted)
    settings = replace(SETTINGS, threads=threads, max_epochs=2)
    with pytest.raises(type(error), match="no such weights"):
        fit_folds(
            [fold(small, 0), fold(small, 1), fails, fold(small, 2)],
            settings,
            on_stage=lambda count, _: stages.append(count),
        )
    assert stages == [1, 2]
    assert tries == [1]
    assert trained == ([1] * 4 if threads == 1 else [2, 2])


def test_an_error_in_making_a_fold_ahead_does_not_fail_a_training_that_ends_before(small: Dataset) -> None:
    def fails() -> Fold:
        raise ValueError("no such weights")

    class StoppedError(Exception):
        pass

    def ends(*_: object) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        fit_folds([fold(small, 0), fails], replace(SETTINGS, threads=2), on_epoch=ends)


def test_no_folds_and_no_windows_are_refused(small: Dataset) -> None:
    with pytest.raises(SslwearError, match="no folds to train in"):
        fit_folds([], SETTINGS)
    data = data_of(small, 0)
    nothing = replace(data.validation, rows=data.validation.rows[:0])
    bad = Fold(encoder(), Classification(3), FitData(data.train, nothing), parse("head", Cnn5))
    with pytest.raises(SslwearError, match="no windows to train or to validate on"):
        fit_folds([lambda: bad], SETTINGS)


class Dropping(nn.Module):
    """Dropout without a module of that name."""

    def __init__(self, when: Sequence[bool] = (True,)) -> None:
        super().__init__()
        self.when = when

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, training=True) if self.training in self.when else x


def dropping(layer: nn.Module) -> Encoder:
    made = encoder()
    made.feature_extractor[4].insert(0, layer)
    return made


@pytest.mark.parametrize("make", [lambda: nn.Dropout(0.5), Dropping, lambda: nn.RReLU(), lambda: Dropping((False,))])
def test_networks_that_draw_from_the_global_generator_are_found(make: Callable[[], nn.Module]) -> None:
    """They do not change, whatever mode they are in."""
    plain = Network(encoder(), nn.Linear(256, 3))
    network = Network(dropping(make()), nn.Linear(256, 3)).train()
    network.blocks["layer2"].eval()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    modes, before = [module.training for module in network.modules()], torch.get_rng_state()
    assert draws_globally(network, 150)
    assert not draws_globally(plain, 150)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_does_not_depend_on_threads_or_on_the_global_generator(small: Dataset) -> None:
    results = []
    for threads in (1, 3):
        torch.rand(5)
        makers = folds(small, 3, make=lambda: dropping(nn.Dropout(0.5)))
        before = torch.get_rng_state()
        results.append(fit_folds(makers, replace(SETTINGS, threads=threads)))
        assert torch.equal(torch.get_rng_state(), before)
    assert_same(*results)
    with_dropout, without = results[0], fit_folds(folds(small, 3), SETTINGS)
    assert with_dropout.history[0].train_loss != without.history[0].train_loss


def test_dropout_of_a_network_follows_from_the_seed_in_every_training(small: Dataset) -> None:
    def make() -> Fold:
        return fold(small, 0, make=lambda: dropping(nn.Dropout(0.5)))()

    folded, fitted, weights = fit_folds([make], SETTINGS), list[FitResult](), list[Tensor]()
    for _ in range(2):
        torch.rand(5)
        before, one, other = torch.get_rng_state(), make(), make()
        fitted.append(fit(one.encoder, one.task, one.data, one.tuning, SETTINGS))
        network = refit(other.encoder, other.task, other.data.train, other.tuning, SETTINGS, 2)
        weights.append(nn.utils.parameters_to_vector(network.parameters()))
        assert torch.equal(torch.get_rng_state(), before)
    losses = [[record.validation_loss for record in result.history] for result in (folded, *fitted)]
    assert losses[0] == losses[1] == losses[2]
    assert torch.equal(*weights)


class LateDraws(Classification):
    """A task that draws from the global generator, which no forward pass of the network shows."""

    def batch(self, *args: Any, **keywords: Any) -> Any:
        torch.rand(1)
        return super().batch(*args, **keywords)


def test_threads_that_draw_from_the_global_generator_are_refused(small: Dataset) -> None:
    with pytest.raises(SslwearError, match=r"cannot be trained at the same time\. Set threads: 1"):
        fit_folds(folds(small, 2, task=LateDraws(3)), replace(SETTINGS, threads=2), first=2)
    fit_folds(folds(small, 2, task=LateDraws(3)), replace(SETTINGS, max_epochs=1), first=2)


def test_gradual_unfreezing_goes_on_after_a_rising_mean_loss(small: Dataset) -> None:
    """The last block is unfrozen in epoch 6, from which patience counts."""
    rising = [float(epoch) for epoch in range(1, 10)]
    makers = [fold(small, number, "gradual", Scripted(rising)) for number in range(2)]
    result = fit_folds(makers, replace(SETTINGS, max_epochs=9, patience=2), first=2)
    assert len(result.history) == 8
    assert result.epoch == 1
    learns = [sum(part.parameters > 0 for part in record.learning.values()) for record in result.history]
    assert learns == [1, 2, 3, 4, 5, 6, 6, 6]


@pytest.mark.parametrize("augment", [False, True])
def test_outputs_of_frozen_blocks_are_computed_once_for_all_folds(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: bool
) -> None:
    made: list[threading.Thread] = []
    real = FrozenBlocks.outputs

    def watch(self: FrozenBlocks, *args: object) -> object:
        made.append(threading.current_thread())
        return real(self, *args)

    monkeypatch.setattr(FrozenBlocks, "outputs", watch)
    makers = folds(small, 3, augment=augment)
    settings = replace(SETTINGS, threads=2, learning_rate=1e-5)  # differences in rounding do not grow
    cached = fit_folds(makers, settings, cache=FeatureCache(tmp_path, LARGE, LARGE))
    assert len(made) == len(list(tmp_path.glob("*.npy"))) == (3 if augment else 1)  # two views, and as recorded
    assert set(made) == {threading.main_thread()}
    plain = fit_folds(makers, settings)
    assert [r.validation_loss for r in cached.history] == pytest.approx(
        [r.validation_loss for r in plain.history], rel=1e-4
    )


def test_evaluations_are_small(small: Dataset) -> None:
    result = fit_folds(folds(small, 2), SETTINGS, first=2)
    for number, evaluations in enumerate(result.evaluations):
        truth = data_of(small, number).validation.labels
        for one in evaluations:
            assert one.truth is evaluations[0].truth
            assert one.truth.dtype == one.predicted.dtype == np.int16
            assert np.array_equal(one.truth, truth)
            assert one.scores == {}


@pytest.mark.parametrize("offset", [40_000, 0.5])
def test_answers_that_are_not_small_integers_are_kept_as_they_are(small: Dataset, offset: float) -> None:
    class Other(Classification):
        def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
            return target + offset, self.predict(output) + offset

    data = data_of(small, 0)
    made = Fold(encoder(), Other(3), data, parse("head", Cnn5))
    ((one,),) = fit_folds([lambda: made], replace(SETTINGS, max_epochs=1)).evaluations
    assert np.array_equal(one.truth, data.validation.labels + offset)


class Scripts(Helpers):
    """Helpers that are at given epochs of folds by the number of times that the owner has looked.

    Attributes:
        waited: how often the owner waited.
    """

    def __init__(self, done: FoldedResult, alone: Sequence[FoldedResult], come: Callable[[int, int], int]) -> None:
        self._done, self._alone, self._come = done, alone, come
        self._looks = self.waited = 0

    def look(self, epoch: int) -> None:
        self._looks += 1

    def epochs(self, fold: int, known: int) -> list[tuple[EpochRecord, Evaluation]]:
        records, evaluations = self._alone[fold].history, self._done.evaluations[fold]
        return list(zip(records, evaluations, strict=False))[known : self._come(fold, self._looks)]

    def ahead(self, fold: int, epochs: int) -> bool:
        return self._come(fold, self._looks) > epochs

    def wait(self) -> None:
        self.waited += 1


SCHEDULES: dict[str, Callable[[int, int], int]] = {
    "of the last fold": lambda fold, looks: 8 if fold == 2 else 0,
    "in all but the first fold": lambda fold, looks: looks // 2 if fold > 0 else 0,
    "that are slow": lambda fold, looks: min(8, looks // 9) if fold > 0 else 0,
    "that are lost": lambda fold, looks: looks if fold > 0 and looks < 4 else 0,
    "one after another": lambda fold, looks: looks % 5 if fold > 0 else 0,
}


HELPED = replace(SETTINGS, max_epochs=6, patience=2, learning_rate=3e-2)
Told = list[tuple[int, FoldedResult]]


@pytest.fixture(scope="module")
def all_epochs(small: Dataset) -> tuple[FoldedResult, list[FoldedResult]]:
    """All epochs of three folds, and each fold's own records, trained on one thread as one of several."""
    settings = replace(HELPED, patience=6)
    alone = [fit_folds([make], settings, first=1) for make in folds(small, 3)]
    return fit_folds(folds(small, 3), settings, first=3), alone


@pytest.fixture(scope="module")
def unhelped(small: Dataset) -> Callable[[int, int], tuple[FoldedResult, Told]]:
    """Result of three folds without a helper by threads and first folds, and what was told meanwhile."""
    known: dict[tuple[int, int], tuple[FoldedResult, Told]] = {}

    def result(threads: int, first: int) -> tuple[FoldedResult, Told]:
        if (threads, first) not in known:
            told: Told = []
            known[threads, first] = (trained(small, threads, first, told), told)
        return known[threads, first]

    return result


def trained(small: Dataset, threads: int, first: int, told: Told, helpers: Helpers | None = None) -> FoldedResult:
    """Result of three folds; what is told is added to a list."""

    def note(count: int, result: FoldedResult) -> None:
        told.append((count, result))

    how = replace(HELPED, threads=threads)
    return fit_folds(folds(small, 3), how, first=first, on_epoch=note, on_stage=note, helpers=helpers)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_helpers_change_no_result(
    small: Dataset,
    schedule: Callable[[int, int], int],
    threads: int,
    first: int,
    all_epochs: tuple[FoldedResult, list[FoldedResult]],
    unhelped: Callable[[int, int], tuple[FoldedResult, Told]],
    advanced: list[int],
) -> None:
    expected, told_without = unhelped(threads, first)
    advanced.clear()
    told: Told = []
    assert_same(trained(small, threads, first, told, Scripts(*all_epochs, schedule)), expected)
    assert [count for count, _ in told] == [count for count, _ in told_without]
    for (_, one), (_, other) in zip(told, told_without, strict=True):
        assert_same(one, other)
    if schedule is SCHEDULES["of the last fold"]:
        first_fold, second_fold, last_fold = sizes(small, 3)
        assert last_fold == first_fold  # each of the two is trained as often, and the last one never
        assert advanced.count(first_fold) == advanced.count(second_fold)


def test_a_fold_that_fails_with_a_helper_fails_in_the_same_epoch(small: Dataset) -> None:
    losses = [1.0, 1.0, float("nan")]
    whole = fit_folds(scripted(small, [1.0] * 3, [1.0] * 3), replace(SETTINGS, patience=3), first=2)
    alone = [
        fit_folds(scripted(small, [1.0] * 3)[:1], SETTINGS),
        fit_folds([fold(small, 1, "head", Scripted([1.0] * 3))], SETTINGS),
    ]
    seen: list[int] = []
    helpers = Scripts(whole, alone, lambda fold, looks: 2 if fold == 1 and looks < 4 else 0)
    with pytest.raises(DivergenceError, match="after epoch 3"):
        fit_folds(
            scripted(small, [1.0] * 3, losses),
            SETTINGS,
            first=2,
            on_epoch=lambda _, result: seen.append(len(result.history)),
            helpers=helpers,
        )
    assert seen == [1, 2]
