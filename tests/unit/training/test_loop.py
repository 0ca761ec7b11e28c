"""Training loop: bit-identical repetition, frozen blocks, mean losses over windows, early stopping, best weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from sslwear.augmentations.rotation import Rotation
from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.harnet import Harnet5
from sslwear.errors import LeakageError, SslwearError
from sslwear.pretext.base import get as get_pretext
from sslwear.training import (
    AugmentedViews,
    EpochRecord,
    FeatureCache,
    FitData,
    FitResult,
    FitSettings,
    Windows,
    evaluate,
    fit,
    outputs,
    refit,
    threads,
)
from sslwear.training.device import resolve_precision, seeded
from sslwear.training.task import Classification, Task, inverse_frequency
from sslwear.tuning.base import parse
from sslwear.utils.plugins import find

SETTINGS = FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=2, patience=5, seed=3)


def encoder() -> Encoder:
    with seeded(0):
        return Harnet5()


def classification(data: FitData) -> Classification:
    return Classification(3, inverse_frequency(data.train.labels, 3))


def run(data: FitData, task: Task | None = None, tuning: str = "all", **changes: Any) -> FitResult:
    return fit(encoder(), task or classification(data), data, parse(tuning, Harnet5), replace(SETTINGS, **changes))


def augmented(data: FitData) -> FitData:
    return replace(data, train=replace(data.train, views=AugmentedViews(Rotation(), 5)))


def same_history(one: FitResult, other: FitResult) -> bool:
    return [replace(r, seconds=0) for r in one.history] == [replace(r, seconds=0) for r in other.history]


class Noting(Classification):
    """A task that notes whether its head is made where algorithms are deterministic."""

    noted: ClassVar[list[bool]] = []

    def head(self, features: int) -> torch.nn.Module:
        self.noted.append(torch.are_deterministic_algorithms_enabled())
        return super().head(features)


def test_a_network_computes_nothing_before_algorithms_are_deterministic(data: FitData) -> None:
    """On a graphics card, PyTorch refuses all later matrix products if the first one was before."""
    fit(encoder(), Noting(3), data, parse("all", Harnet5), replace(SETTINGS, max_epochs=1))
    refit(encoder(), Noting(3), data.train, parse("all", Harnet5), SETTINGS, 1)
    assert Noting.noted == [True, True]


@pytest.mark.parametrize("kind", find("sslwear.encoders", Encoder).values())
def test_a_last_batch_of_one_window_is_trained_on(data: FitData, kind: type[Encoder]) -> None:
    train = data.train
    assert isinstance(train, Windows)
    one_more = FitData(replace(train, rows=train.rows[: 2 * SETTINGS.batch_size + 1]), data.validation)
    with seeded(0):
        network = kind()
    fitted = fit(network, classification(data), one_more, parse("all", kind), replace(SETTINGS, max_epochs=1))
    assert np.isfinite(fitted.history[0].train_loss)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("augment", [False, True])
def test_the_same_seed_gives_the_same_bits(data: FitData, precision: str, augment: bool) -> None:
    if augment:
        data = augmented(data)
    epochs = 1 if precision == "bf16" else 2  # bf16 is slow on processors without it
    first = run(data, precision=precision, max_epochs=epochs)
    torch.rand(7)  # the global generator is not used
    second = run(data, precision=precision, max_epochs=epochs)
    assert same_history(first, second)
    for key, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[key]), key


@pytest.mark.parametrize(("tuning", "cached"), [("all", False), ("layer5", True), ("gradual", False)])
def test_refit_gives_the_weights_of_fit_after_as_many_epochs(
    data: FitData, tuning: str, cached: bool, tmp_path: Path
) -> None:
    """The weights are bit-identical, whatever the best epoch is."""
    watched, after = encoder(), dict[int, dict[str, torch.Tensor]]()

    def keep(record: EpochRecord) -> None:
        after[record.epoch] = {key: value.clone() for key, value in watched.state_dict().items()}

    strategy, settings = parse(tuning, Harnet5), replace(SETTINGS, max_epochs=3)
    cache = FeatureCache(tmp_path, int(1e9), int(1e9)) if cached else None
    fit(watched, classification(data), data, strategy, settings, keep, cache)
    for epochs in (1, 3):
        network = refit(encoder(), classification(data), data.train, strategy, settings, epochs, cache)
        state = network.state_dict()
        assert all(torch.equal(state[key], value) for key, value in after[epochs].items())
        assert not any(part.training for part in network.modules())


def test_refit_refuses_no_windows_and_losses_that_are_not_finite(data: FitData) -> None:
    strategy = parse("all", Harnet5)
    nothing = replace(data.train, rows=data.train.rows[:0])
    with pytest.raises(SslwearError, match="no windows to train on"):
        refit(encoder(), classification(data), nothing, strategy, SETTINGS, 1)
    with pytest.raises(SslwearError, match=r"the loss is not finite after epoch 1\. Lower the learning rate"):
        refit(encoder(), classification(data), data.train, strategy, replace(SETTINGS, learning_rate=1e30), 2)


def test_another_seed_gives_another_result(data: FitData) -> None:
    assert not same_history(run(data), run(data, seed=4))


def test_fit_leaves_global_state_as_it_was(data: FitData) -> None:
    before = torch.get_rng_state()
    run(data, max_epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("tuning", ["head", "layer1", "layer3", "layer4-5", "layer1+layer5"])
def test_no_bit_of_a_frozen_block_changes(data: FitData, tuning: str) -> None:
    start = {key: value.clone() for key, value in encoder().state_dict().items()}
    network = run(data, tuning=tuning).network
    frozen = parse(tuning, Harnet5).frozen
    assert frozen
    for key, value in network.state_dict().items():
        if key.startswith("feature_extractor."):
            block = key.split(".")[1]
            same = torch.equal(value, start[key])
            if block in frozen:
                assert same, f"{key} of a frozen block changed"
            elif key.endswith("running_mean"):
                assert not same, f"{key} of a tuned block did not change"


def test_a_pretext_task_trains_through_the_same_loop(data: FitData) -> None:
    result = run(data, get_pretext("multi")())
    assert set(result.validation.scores) == {
        "accuracy",
        "chance",
        "accuracy_reverse",
        "accuracy_permutation",
        "accuracy_time_warp",
    }
    assert result.validation.predicted.shape == (len(data.validation), 3)


def test_validation_loss_is_a_mean_over_windows(data: FitData) -> None:
    network = run(data, max_epochs=1).network
    task = classification(data)
    result = evaluate(network, Harnet5.window_samples, task, data.validation, SETTINGS)
    x, labels = next(data.validation.batches(len(data.validation), 150, torch.device("cpu")))
    weights = task.class_weights
    assert weights is not None
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(network(x), labels, weight=weights)
    assert result.loss == pytest.approx(expected.item(), rel=1e-5)


def test_training_loss_is_a_mean_over_windows(data: FitData) -> None:
    """With a learning rate of almost 0 the weights do not change."""
    whole = run(data, tuning="head", learning_rate=1e-12, max_epochs=1, batch_size=len(data.train))
    uneven = run(data, tuning="head", learning_rate=1e-12, max_epochs=1, batch_size=len(data.train) - 3)
    assert uneven.history[0].train_loss == pytest.approx(whole.history[0].train_loss, rel=1e-5)


def test_the_best_epochs_weights_are_kept(data: FitData) -> None:
    result = run(data, max_epochs=6, learning_rate=3e-2)
    losses = [record.validation_loss for record in result.history]
    assert result.best_epoch == 1 + int(np.argmin(losses))
    again = evaluate(result.network, 150, classification(data), data.validation, replace(SETTINGS, seed=3))
    assert again.loss == pytest.approx(min(losses), rel=1e-6)
    assert np.array_equal(again.predicted, result.validation.predicted)


class Worsening(Classification):
    """Validation losses that rise from the second epoch on."""

    def __init__(self) -> None:
        super().__init__(3)
        self.calls = 0

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        total, weight = super().loss(output, target)
        if not torch.is_grad_enabled():
            self.calls += 1
            total = weight * (1.0 if self.calls == 2 else 10.0 + self.calls)
        return total, weight


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (4, 6)])
def test_training_stops_early(data: FitData, patience: int, epochs: int) -> None:
    result = run(data, Worsening(), tuning="head", max_epochs=20, patience=patience)
    assert len(result.history) == epochs
    assert result.best_epoch == 2


@pytest.mark.parametrize("tuning", ["head", "layer4-5", "layerwise_decay(0.5)", "auto_rgn"])
def test_cosine_schedule_of_learning_rates(data: FitData, tuning: str) -> None:
    result = run(data, tuning=tuning, schedule="cosine", max_epochs=3)
    shares = [record.learning["head"].rate / 1e-3 for record in result.history]
    if tuning == "auto_rgn":  # it computes new rates in every epoch
        assert all(0 < share <= most + 1e-12 for share, most in zip(shares, (1, 0.75, 0.25), strict=True))
    else:
        assert shares == pytest.approx([1, 0.75, 0.25])
    if tuning.startswith("layerwise"):
        assert [r.learning["layer5"].rate for r in result.history] == pytest.approx([5e-4, 3.75e-4, 1.25e-4])


def test_refit_ends_the_schedule_with_its_last_epoch(data: FitData) -> None:
    longer, shorter, constant = (
        refit(
            encoder(),
            classification(data),
            data.train,
            parse("layer5", Harnet5),
            replace(SETTINGS, schedule=schedule, max_epochs=epochs),
            2,
        ).state_dict()
        for schedule, epochs in (("cosine", 9), ("cosine", 2), ("constant", 2))
    )
    assert all(torch.equal(longer[key], shorter[key]) for key in longer)
    assert any(not torch.equal(longer[key], constant[key]) for key in longer)


def test_patience_counts_from_the_epoch_of_the_last_unfreezing(data: FitData) -> None:
    result = run(data, Worsening(), tuning="gradual(2)", max_epochs=20, patience=1)
    assert result.best_epoch == 2
    assert len(result.history) == 12  # the last block is unfrozen in epoch 11


class Watched(Windows):
    """Windows that record the requested views, and whether they were requested in their order."""

    seen: ClassVar[list[int]] = []
    in_order: ClassVar[list[bool]] = []

    def batches(self, size: int, samples: int, device: torch.device, shuffle: Any = None, view: int = 0) -> Any:
        self.seen.append(view)
        self.in_order.append(shuffle is None)
        return super().batches(size, samples, device, shuffle, view)


def test_gradients_use_the_view_of_the_epoch(data: FitData) -> None:
    watched = Watched(data.train.dataset, data.train.rows, AugmentedViews(Rotation(), 5))
    Watched.seen.clear()
    run(replace(data, train=watched), tuning="auto_rgn", max_epochs=3)
    assert Watched.seen == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(("pretext", "in_order"), [("reverse", True), ("contrastive", False)])
def test_rows_that_are_compared_are_mixed_for_validation_as_for_training(
    data: FitData, pretext: str, in_order: bool
) -> None:
    watched = Watched(data.validation.dataset, data.validation.rows)
    Watched.in_order.clear()
    run(replace(data, validation=watched), get_pretext(pretext)())
    assert set(Watched.in_order) == {in_order}


def test_callback_gets_every_epoch_and_can_end_the_training(data: FitData) -> None:
    records: list[EpochRecord] = []

    def stop(record: EpochRecord) -> None:
        records.append(record)
        if record.epoch == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fit(encoder(), classification(data), data, parse("head", Harnet5), replace(SETTINGS, max_epochs=9), stop)
    assert [record.epoch for record in records] == [1, 2]


def test_scores_of_the_caller_replace_those_of_the_task(data: FitData) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        seen.append((truth, predicted))
        return {"mine": float((truth == predicted).sum())}

    result = fit(encoder(), classification(data), data, parse("head", Harnet5), SETTINGS, scores=scores)
    plain = run(data, tuning="head")
    assert [r.scores for r in result.history] == [{"mine": float((t == p).sum())} for t, p in seen]
    assert result.validation.scores == result.history[result.best_epoch - 1].scores
    assert same_history(
        replace(result, history=tuple(replace(r, scores={}) for r in result.history)),
        replace(plain, history=tuple(replace(r, scores={}) for r in plain.history)),
    )


class Broken(Classification):
    """A task whose loss is NaN."""

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        total, weight = super().loss(output, target)
        return total * float("nan"), weight


def test_a_loss_that_is_not_finite_ends_the_training(data: FitData) -> None:
    with pytest.raises(SslwearError, match=r"the loss is not finite after epoch 1\. Lower the learning rate"):
        run(data, Broken(3))


def test_no_windows_are_refused(data: FitData) -> None:
    nothing = Windows(data.train.dataset, np.array([], dtype=np.int64))
    with pytest.raises(SslwearError, match="no windows"):
        run(FitData(nothing, data.validation), classification(data))


def test_a_participant_on_both_sides_is_refused(small: Dataset) -> None:
    with pytest.raises(LeakageError, match="participant 2"):
        FitData(Windows.of(small, (1, 2)), Windows.of(small, (2, 5)))


def test_every_epoch_has_all_windows_in_a_new_order(data: FitData) -> None:
    shuffle = torch.Generator().manual_seed(0)

    def labels_of_an_epoch() -> list[int]:
        batches = data.train.batches(7, 150, torch.device("cpu"), shuffle)
        return torch.cat([x.sum(dim=(1, 2)) for x, _ in batches]).tolist()

    first, second = labels_of_an_epoch(), labels_of_an_epoch()
    assert sorted(first) == sorted(second)
    assert first != second
    assert len(first) == len(data.train)


def test_bf16_is_used_where_asked_for(data: FitData) -> None:
    one, other = (run(data, precision=precision, tuning="layer5", max_epochs=1) for precision in ("bf16", "float32"))
    assert not same_history(one, other)


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx512_f": True, "cpu_name": "AMD EPYC"}, "float32"),
        ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, "bf16"),
        ({"avx512_bf16": True, "cpu_name": "Intel Xeon"}, "float32"),  # half as fast in bf16
        ({"avx512_bf16": True, "amx_bf16": True, "cpu_name": "Intel Xeon"}, "bf16"),
        ({"avx512_bf16": True, "cpu_name": ""}, "float32"),  # unknown
        ({"bf16": True, "cpu_name": "Neoverse V1"}, "float32"),  # not measured
    ],
)
def test_auto_precision_is_the_fast_one_of_the_processor(
    capabilities: dict[str, object], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", cpu) == precision
    assert resolve_precision("bf16", cpu) == "bf16"


@pytest.mark.parametrize("large", [False, True])
def test_only_large_batches_use_several_threads(
    data: FitData, large: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Training, gradients for the strategy, evaluation, cached outputs and outputs of the head."""
    monkeypatch.setattr(threads, "SMALLEST_BATCH", 0 if large else 1e15)
    task, seen, before = classification(data), set[int](), torch.get_num_threads()
    batch, blocks = task.batch, Network.forward_blocks

    def watched(*args: Any, **keywords: Any) -> Any:
        seen.add(torch.get_num_threads())
        return batch(*args, **keywords)

    def watched_blocks(*args: Any) -> torch.Tensor:
        seen.add(torch.get_num_threads())
        return blocks(*args)

    monkeypatch.setattr(Classification, "batch", lambda self, *args, **keywords: watched(*args, **keywords))
    monkeypatch.setattr(Network, "forward_blocks", watched_blocks)
    settings = replace(SETTINGS, max_epochs=1, threads=2)
    for tuning in ("auto_rgn", "layer5"):
        cache = FeatureCache(tmp_path, int(1e9), int(1e9))
        result = fit(encoder(), task, data, parse(tuning, Harnet5), settings, None, cache)
    outputs(result.network, 150, data.validation, settings)
    assert seen == {2 if large else 1}
    assert torch.get_num_threads() == before
