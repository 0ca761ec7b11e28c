"""The training's guarantees on a graphics card: bits that repeat, frozen blocks, and agreement with the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sslwear.augmentations.base import parse as augmentation
from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Encoder, get
from sslwear.pretext.base import get as get_pretext
from sslwear.training import (
    AugmentedViews,
    FeatureCache,
    FitData,
    FitResult,
    FitSettings,
    Fold,
    FoldedResult,
    Windows,
    epochs,
    fit,
    fit_folds,
    fold_group,
    outputs,
)
from sslwear.training.device import resolve_precision, seeded
from sslwear.training.graphs import CudaGraphs
from sslwear.training.task import Classification, inverse_frequency
from sslwear.tuning.base import parse

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU that PyTorch can use"),
]
DEVICE = torch.device("cuda")
SETTINGS = FitSettings(1e-3, 8, max_epochs=4, patience=9, seed=3, device=DEVICE, augmented_views=2)


class Unrecorded(CudaGraphs):
    """Graphs that record nothing, so that steps are taken as without them."""

    def record(self, *_: Any) -> Callable[[], None]:
        """Refuse."""
        raise RuntimeError("not recorded")


def without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (epochs, fold_group):
        monkeypatch.setattr(module, "graphs_of", Unrecorded)


def data_of(small: Dataset, validation: int = 8, augment: str = "") -> FitData:
    views = AugmentedViews(augmentation(augment), 5) if augment else None
    learning = tuple(pid for pid in small.participants if pid != validation)
    train = Windows.of(small, learning, views)
    return FitData(replace(train, rows=train.rows[:-3]), Windows.of(small, (validation,)))


def encoder(name: str) -> Encoder:
    with seeded(0):
        return get(name)()


def run(data: FitData, name: str = "cnn5", tuning: str = "all", pretext: str | None = None, **more: Any) -> FitResult:
    cache = more.pop("cache", None)
    balanced = inverse_frequency(data.train.labels, 3)  # type: ignore[attr-defined]
    task = Classification(3, balanced, label_smoothing=0.1) if pretext is None else get_pretext(pretext)()
    return fit(encoder(name), task, data, parse(tuning, get(name)), replace(SETTINGS, **more), cache=cache)


def folds_of(small: Dataset, name: str = "cnn5", augment: str = "rotate(20)") -> list[Callable[[], Fold]]:
    def make(validation: int) -> Fold:
        data = data_of(small, validation, augment)
        task = Classification(3, inverse_frequency(data.train.labels, 3))  # type: ignore[attr-defined]
        return Fold(encoder(name), task, data, parse("all", get(name)))

    return [lambda number=number: make(number) for number in (5, 8, 2, 6)]  # type: ignore[misc]


def losses(result: FitResult | FoldedResult) -> list[tuple[float, float]]:
    return [(record.train_loss, record.validation_loss) for record in result.history]


def assert_same(one: FitResult, other: FitResult) -> None:
    assert losses(one) == losses(other)
    state = other.network.state_dict()
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, state[name]), name


CASES: Iterable[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("", {"name": "harnet5", "precision": "bf16"}),
    ("", {"name": "multiscale", "precision": "bf16", "dropout": 0.3, "optimizer": "adamw", "clip_norm": 0.5}),
    ("", {"name": "multiscale", "weight_average": "ema", "schedule": "one_cycle"}),
    ("", {"tuning": "gradual"}),
    ("", {"tuning": "auto_rgn"}),
    ("rotate(20)+scale(0.1)+tempo(0.15)+flip(1)+mask(0.1)+scale_motion(0.1)+jitter(0.02)", {}),
    ("time_warp+jitter", {}),
    ("", {"pretext": "multi"}),
    ("", {"pretext": "contrastive"}),
    ("", {"pretext": "hidden_half", "precision": "bf16"}),
    ("rotate(20)", {"device_bytes": 0}),
]


@pytest.mark.parametrize(("augment", "more"), CASES)
def test_the_same_seed_gives_the_same_bits_with_and_without_graphs(
    small: Dataset,
    augment: str,
    more: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = data_of(small, augment=augment)
    first, second = run(data, **more), run(data, **more)
    assert_same(first, second)
    assert "CUDA graph" not in caplog.text, "the steps were recorded"
    without_graphs(monkeypatch)
    assert_same(first, run(data, **more))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_frozen_blocks_keep_their_bits(small: Dataset, precision: str) -> None:
    before = {name: value.clone() for name, value in encoder("harnet5").feature_extractor.state_dict().items()}
    body = run(data_of(small), "harnet5", "layer4", precision=precision).network.feature_extractor
    learnt = {name for name, _ in body.named_parameters() if name.startswith("layer4")}
    for name, value in body.state_dict().items():
        if name in learnt or not name.startswith("layer4"):
            assert torch.equal(value, before[name]) == (name not in learnt), name


@pytest.mark.parametrize("tuning", ["head", "layer5"])
def test_cached_outputs_change_losses_by_rounding_only(small: Dataset, tuning: str, tmp_path: Path) -> None:
    data = data_of(small, augment="rotate(20)")
    plain = run(data, tuning=tuning, max_epochs=2)
    cached = run(data, tuning=tuning, max_epochs=2, cache=FeatureCache(tmp_path, 10**9, 10**9))
    for one, other in zip(losses(plain), losses(cached), strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize(("name", "precision"), [("cnn5", "float32"), ("multiscale", "bf16"), ("harnet5", "bf16")])
def test_folds_side_by_side_are_what_they_are_alone(small: Dataset, name: str, precision: str) -> None:
    settings = replace(SETTINGS, dropout=0.2, precision=precision, threads=1)
    beside = fit_folds(folds_of(small, name), settings, first=4)
    alone = [fit_folds([make], settings) for make in folds_of(small, name)]
    for number, one in enumerate(alone):
        fold = beside.evaluations[number]
        assert [epoch.loss for epoch in fold] == [epoch.loss for epoch in one.evaluations[0]]


@pytest.mark.parametrize("name", ["cnn5", "harnet5", "multiscale"])
def test_first_losses_and_outputs_agree_with_the_processor(small: Dataset, name: str) -> None:
    data, settings = data_of(small), replace(SETTINGS, device=torch.device("cpu"))
    here = run(data, name, max_epochs=1, device=torch.device("cpu"))
    there = run(data, name, max_epochs=1)
    assert losses(here)[0] == pytest.approx(losses(there)[0], rel=0.02)
    network, samples = here.network, get(name).window_samples
    on_cpu = outputs(network, samples, data.validation, settings)
    on_gpu = outputs(network.to(DEVICE), samples, data.validation, SETTINGS)
    assert on_gpu == pytest.approx(on_cpu, abs=1e-3)


def test_bf16_is_chosen_where_the_card_has_it() -> None:
    assert resolve_precision("auto", DEVICE) == ("bf16" if torch.cuda.get_device_capability()[0] >= 8 else "float32")
