"""Optimizers, schedules, gradient clipping, dropout, label smoothing and averages of weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.cnn import Cnn5
from sslwear.training import EpochRecord, FitData, FitResult, FitSettings, Fold, Windows, fit, fit_folds, refit
from sslwear.training.averaging import EMA_EPOCHS, SWA_SHARE, WeightAverage
from sslwear.training.device import seeded
from sslwear.training.epochs import Training
from sslwear.training.optimizer import new_optimizer
from sslwear.training.task import Classification
from sslwear.tuning.base import parse

SETTINGS = FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=4, patience=9, seed=3, threads=1)
RECIPES: list[dict[str, Any]] = [
    {"optimizer": "adamw", "weight_decay": 0.5},
    {"schedule": "one_cycle"},
    {"schedule": "cosine", "warmup_epochs": 2},
    {"clip_norm": 0.1},
    {"dropout": 0.5},
    {"weight_average": "ema"},
    {"weight_average": "swa", "max_epochs": 8},
]


def encoder() -> Encoder:
    with seeded(0):
        return Cnn5()


def run(data: FitData, tuning: str = "all", **changes: Any) -> FitResult:
    return fit(encoder(), Classification(3), data, parse(tuning, Cnn5), replace(SETTINGS, **changes))


def in_training(data: FitData, tuning: str = "all", **changes: Any) -> Training:
    strategy, settings = parse(tuning, Cnn5), replace(SETTINGS, **changes)
    return Training(encoder(), Classification(3), data.train, strategy, settings, validation=data.validation)


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_every_recipe_changes_the_result_and_repeats_it_to_the_bit(data: FitData, recipe: dict[str, Any]) -> None:
    plain, first = run(data, max_epochs=recipe.get("max_epochs", 4)), run(data, **recipe)
    torch.rand(3)  # the global generator is not used
    second = run(data, **recipe)
    assert [record.train_loss for record in first.history] == [record.train_loss for record in second.history]
    same = [torch.equal(a, b) for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True)]
    assert all(same)
    pairs = zip(first.network.parameters(), plain.network.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_frozen_blocks_keep_every_bit(data: FitData, recipe: dict[str, Any]) -> None:
    network, before = run(data, "layer3+layer5", **recipe).network, encoder().state_dict()
    frozen = {key: value for key, value in network.state_dict().items() if ".layer" in key}
    frozen = {key: value for key, value in frozen.items() if ".layer3" not in key and ".layer5" not in key}
    assert len(frozen) > 10
    assert all(torch.equal(value, before[key]) for key, value in frozen.items())


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_folds_at_the_same_time_have_the_bits_of_folds_one_after_another(
    small: Dataset, recipe: dict[str, Any]
) -> None:
    def fold(validated: int) -> Fold:
        people = tuple(pid for pid in (1, 2, 5) if pid != validated)
        parts = [Windows.of(small, people), Windows.of(small, (validated,))]
        train, validation = (replace(part, rows=part.rows[::3]) for part in parts)
        return Fold(encoder(), Classification(3), FitData(train, validation), parse("all", Cnn5))

    settings = replace(SETTINGS, **{"max_epochs": 2, **recipe})
    found = [
        fit_folds([lambda pid=pid: fold(pid) for pid in (1, 2)], replace(settings, threads=threads))  # type: ignore[misc]
        for threads in (1, 2)
    ]
    losses = [[(record.train_loss, record.validation_loss) for record in result.history] for result in found]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_refit_has_the_weights_of_a_training_of_as_many_epochs(data: FitData, recipe: dict[str, Any]) -> None:
    training = in_training(data, **recipe)
    settings = replace(SETTINGS, **recipe)
    for _ in range(settings.max_epochs):
        training.advance()
    network = refit(encoder(), Classification(3), data.train, parse("all", Cnn5), settings, settings.max_epochs)
    pairs = zip(network.parameters(), training.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_one_cycle_has_the_shape_of_pytorchs() -> None:
    epochs, steps = 10, 20
    settings = replace(SETTINGS, schedule="one_cycle", max_epochs=epochs)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=epochs * steps + 1)
    wanted, found = [], []
    for step in range(1, epochs * steps + 1):
        optimizer.step()
        theirs.step()
        wanted.append(theirs.get_last_lr()[0])
        found.append(settings.schedule_factor((step - 1) // steps + 1, ((step - 1) % steps + 1) / steps))
    assert max(found) == pytest.approx(1)
    assert found[-1] == pytest.approx(4e-6)
    assert found == pytest.approx(wanted, abs=0.02)  # theirs is a step later


def test_a_warm_up_rises_in_a_line_and_the_cosine_starts_after_it() -> None:
    settings = replace(SETTINGS, schedule="cosine", warmup_epochs=2, max_epochs=6)
    rise = [settings.schedule_factor(epoch, share) for epoch in (1, 2) for share in (0.5, 1.0)]
    assert rise == [0.25, 0.5, 0.75, 1.0]
    plain = replace(SETTINGS, schedule="cosine", max_epochs=4)
    assert [settings.schedule_factor(epoch) for epoch in range(3, 7)] == [
        plain.schedule_factor(epoch) for epoch in range(1, 5)
    ]


@pytest.mark.parametrize("recipe", [{"schedule": "one_cycle"}, {"warmup_epochs": 2}], ids=str)
def test_logged_rates_are_the_means_of_those_used(
    data: FitData, recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[float] = []
    step = torch.optim.Adam.step

    def watched(self: torch.optim.Adam, closure: None = None) -> Any:
        used.append(self.param_groups[0]["lr"])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    history = run(data, max_epochs=2, **recipe).history
    steps = len(used) // 2
    assert len(set(used)) > steps
    for record, mine in zip(history, (used[:steps], used[steps:]), strict=True):
        assert record.learning["layer1"].rate == pytest.approx(np.mean(mine))


def test_adamw_decays_weights_only() -> None:
    network = Network(encoder(), nn.Linear(256, 3))
    groups = parse("layerwise_decay(0.5)", Cnn5).parameter_groups(network, 1e-3)
    optimizer = new_optimizer(groups, replace(SETTINGS, optimizer="adamw", weight_decay=0.3))
    names = {parameter: name for name, parameter in network.named_parameters()}
    found = {names[value]: group for group in optimizer.param_groups for value in group["params"]}
    assert len(found) == len(names)
    for name, group in found.items():
        norm_or_bias = network.get_parameter(name).ndim == 1
        assert group["weight_decay"] == (0.0 if norm_or_bias else 0.3)
    assert found["classifier.weight"]["lr"] == 1e-3
    assert found["feature_extractor.layer5.1.weight"]["lr"] == 5e-4


def test_no_step_has_a_longer_gradient_than_clip_norm(data: FitData, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    step = torch.optim.Adam.step

    def watched(self: torch.optim.Adam, closure: None = None) -> Any:
        gradients = [value.grad for group in self.param_groups for value in group["params"] if value.grad is not None]
        norms.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))
        return step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    run(data, max_epochs=1)
    assert max(norms) > 0.1
    norms.clear()
    run(data, max_epochs=1, clip_norm=0.1)
    assert 0.09 < max(norms) <= 0.1001


def test_label_smoothing_is_that_of_pytorch() -> None:
    logits, target = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2])
    loss, weight = Classification(3, label_smoothing=0.2).loss(logits, target)
    assert float(loss / weight) == pytest.approx(float(nn.CrossEntropyLoss(label_smoothing=0.2)(logits, target)))


def test_dropout_keeps_the_mean_and_is_not_used_in_evaluation(data: FitData) -> None:
    training = in_training(data, dropout=0.25)
    factors = training._steps._dropout(400, training._steps.draws["dropout"])
    assert factors is not None
    assert factors.shape == (400, 256)
    assert factors.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(factors.mean()) == pytest.approx(1, abs=0.01)
    evaluated = training._evaluate(data.validation)
    assert evaluated.loss == in_training(data)._evaluate(data.validation).loss


def states(data: FitData, average: str, epochs: int = 8) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Weights in training and averaged weights after each epoch."""
    training = in_training(data, weight_average=average, max_epochs=epochs)
    found: tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]] = ([], [])
    for _ in range(epochs):
        training.advance()
        for side, network in zip(found, (training._trained, training.network), strict=True):
            side.append({name: value.detach().clone() for name, value in network.named_parameters()})
    return found


def test_swa_is_the_mean_over_the_last_quarter_of_the_epochs(data: FitData) -> None:
    trained, averaged = states(data, "swa")
    first = int(SWA_SHARE * 8)
    for name, value in averaged[first - 1].items():
        assert torch.equal(value, trained[first - 1][name])
    for name, value in averaged[-1].items():
        torch.testing.assert_close(value, torch.stack([state[name] for state in trained[first:]]).mean(dim=0))


def test_ema_follows_the_weights_of_every_step(data: FitData, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    training = in_training(data, weight_average="ema")
    weight = training._trained.classifier.linear1.weight  # type: ignore[union-attr]
    step = torch.optim.Adam.step

    def watched(self: torch.optim.Adam, closure: None = None) -> Any:
        result = step(self, closure)
        seen.append(weight.detach().clone())  # type: ignore[operator]
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    training.advance()
    decay = 1 - 1 / (EMA_EPOCHS * len(seen) + 1)
    wanted = seen[0]
    for value in seen[1:]:
        wanted = decay * wanted + (1 - decay) * value
    torch.testing.assert_close(training.network.classifier.linear1.weight.detach(), wanted)  # type: ignore[union-attr,operator]


def test_ema_is_that_of_pytorch_to_the_last_bit(data: FitData) -> None:
    network = in_training(data)._trained
    average = WeightAverage(network, replace(SETTINGS, weight_average="ema"), 5)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / (EMA_EPOCHS * 5 + 1)))
    draws = torch.Generator().manual_seed(0)
    for _ in range(4):
        with torch.no_grad():
            for value in network.parameters():
                value.add_(torch.rand(value.shape, generator=draws))
        network.train()(torch.rand(8, 3, 150, generator=draws))  # statistics of batch norms
        average.after_step()
        theirs.update_parameters(network)
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, average.state()[name]), name


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_batch_norms_of_averaged_weights_have_the_statistics_of_the_training_windows(
    data: FitData, average: str
) -> None:
    training = in_training(data, weight_average=average, batch_size=10_000)
    for _ in range(4):
        training.advance()
    network = training.network
    (x, _), *_ = data.train.batches(10_000, 150, torch.device("cpu"))
    block = network.feature_extractor[0]
    with torch.no_grad():
        inputs = block[1](block[0](x))  # type: ignore[index]
    norm = block[2]  # type: ignore[index]
    torch.testing.assert_close(norm.running_mean, inputs.mean(dim=(0, 2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(norm.running_var, inputs.var(dim=(0, 2, 3)), rtol=1e-3, atol=1e-4)
    assert norm.momentum == 0.1


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_batch_norms_of_averaged_weights_do_not_depend_on_the_order_of_the_recordings(
    small: Dataset, data: FitData, average: str
) -> None:
    rows = Windows.of(small, (1, 2)).rows
    rows = rows[np.argsort(small.labels[rows], kind="stable")]
    apart = small.windows + 3 * small.labels[:, None, None].astype(np.float32)  # classes differ in their means
    train = Windows(replace(small, windows=apart), rows)
    training = in_training(replace(data, train=train), weight_average=average, batch_size=16)
    for _ in range(2):
        training.advance()
    block = training.network.feature_extractor[0]
    (x, _), *_ = train.batches(10_000, 150, torch.device("cpu"))
    with torch.no_grad():
        inputs = block[1](block[0](x))  # type: ignore[index]
    found, wanted = block[2].running_var, inputs.var(dim=(0, 2, 3))  # type: ignore[index]
    assert float((found / wanted).mean()) == pytest.approx(1, abs=0.25)


def test_the_kept_network_is_the_averaged_one_of_the_best_epoch(data: FitData) -> None:
    records: list[EpochRecord] = []
    settings = replace(SETTINGS, weight_average="ema")
    result = fit(encoder(), Classification(3), data, parse("all", Cnn5), settings, records.append)
    training = in_training(data, weight_average="ema")
    for _ in range(result.best_epoch):
        training.advance()
    pairs = zip(result.network.parameters(), training.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
