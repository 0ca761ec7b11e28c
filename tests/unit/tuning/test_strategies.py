"""Layer-wise decay, gradual unfreezing, Auto-RGN and Auto-SNR: what learns when, and how fast, to the number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import Tensor

from sslwear.encoders.base import Network
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.heads import Classifier
from sslwear.errors import SettingsError
from sslwear.tuning.base import TuningStrategy, learning, parse, parts

RATE = 1e-2


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(Harnet5(), Classifier(Harnet5.features, 3))


def optimizer(strategy: TuningStrategy, network: Network) -> torch.optim.Optimizer:
    return torch.optim.Adam(strategy.parameter_groups(network, RATE))


def rates_of(network: Network, adam: torch.optim.Optimizer) -> dict[str, float]:
    return {name: how.rate for name, how in learning(network, adam).items()}


def unused() -> Iterator[Mapping[str, Tensor]]:
    pytest.fail("gradients are looked at")


def scaled(network: Network, by: Mapping[str, float], signs: tuple[float, ...] = (1.0,)) -> list[dict[str, Tensor]]:
    """Gradients that are each weight times a number of its part, a batch for each sign."""
    found: dict[str, Tensor] = {}
    for name, value in network.named_parameters():
        part = name.split(".")[1] if name.startswith("feature_extractor") else "head"
        found[name] = value.detach() * by[part]
    return [{name: sign * value for name, value in found.items()} for sign in signs]


def test_layerwise_decay_lowers_rates_by_distance_from_the_head(network: Network) -> None:
    strategy = parse("layerwise_decay(0.5)", Harnet5)
    adam = optimizer(strategy, network)
    strategy.start_epoch(1, network, adam, unused)
    assert rates_of(network, adam) == pytest.approx(
        {f"layer{i}": RATE * 0.5 ** (6 - i) for i in range(1, 6)} | {"head": RATE}
    )


@pytest.mark.parametrize(
    ("text", "depths"), [("gradual", [5, 4, 3, 2, 1, 0, 0, 0]), ("gradual(3)", [5, 5, 5, 4, 4, 4, 3, 3])]
)
def test_gradual_unfreezing_goes_from_the_head_to_the_input(text: str, depths: list[int], network: Network) -> None:
    strategy = parse(text, Harnet5)
    adam = optimizer(strategy, network)
    for epoch, depth in enumerate(depths, 1):
        frozen = {f"layer{i}" for i in range(1, depth + 1)}
        assert strategy.frozen_in(epoch) == frozen
        strategy.start_epoch(epoch, network, adam, unused)
        resting = {name for name, how in learning(network, adam).items() if how.parameters == 0}
        assert resting == frozen
        assert {name for name, block in network.blocks.items() if not block.training} == frozen


def test_auto_rgn_sets_rates_by_relative_gradient_norm(network: Network) -> None:
    strategy = parse("auto_rgn", Harnet5)
    adam = optimizer(strategy, network)
    by = {"layer1": 1.0, "layer2": 0.5, "layer3": 2.0, "layer4": 4.0, "layer5": 0.0, "head": 1.0}
    strategy.start_epoch(1, network, adam, lambda: iter(scaled(network, by, (1.0, -1.0))))
    rates = {group["name"]: group["lr"] for group in adam.param_groups}
    for name, rate in rates.items():
        part = name.split(".")[1] if name.startswith("feature_extractor") else "head"
        assert rate == pytest.approx(RATE * by[part] / 4), name
    assert rates_of(network, adam)["layer4"] == pytest.approx(RATE)
    assert learning(network, adam)["layer5"].parameters == 0
    strategy.start_epoch(2, network, adam, lambda: iter(scaled(network, {**by, "layer5": 8.0})))
    assert rates_of(network, adam)["layer5"] == pytest.approx(RATE)
    assert rates_of(network, adam)["layer4"] == pytest.approx(RATE / 2)


def test_auto_rgn_gives_batch_norms_the_mean_rate_of_their_block(network: Network) -> None:
    strategy = parse("auto_rgn", Harnet5)
    adam = optimizer(strategy, network)
    gradients = dict(scaled(network, dict.fromkeys(parts(network), 0.25))[0])
    gradients["classifier.linear2.bias"] *= 4
    gradients["feature_extractor.layer2.0.weight"] *= 3
    strategy.start_epoch(1, network, adam, lambda: iter([gradients]))
    rates = {group["name"]: group["lr"] for group in adam.param_groups}
    assert rates["classifier.linear2.bias"] == pytest.approx(RATE)
    assert rates["classifier.linear2.weight"] == pytest.approx(RATE / 4)
    convolutions = [name for name in rates if ".layer2." in name and gradients[name].ndim > 1]
    mean = sum(rates[name] for name in convolutions) / len(convolutions)
    norms = [rate for name, rate in rates.items() if ".layer2." in name and name not in convolutions]
    assert norms == pytest.approx([mean] * 2 * len(convolutions))
    assert RATE / 4 < mean < RATE * 3 / 4


def test_auto_rgn_does_not_divide_by_weights_that_are_all_0(network: Network) -> None:
    with torch.no_grad():
        network.classifier.linear2.weight.zero_()
    strategy = parse("auto_rgn", Harnet5)
    adam = optimizer(strategy, network)
    gradients = [{name: torch.ones_like(value) for name, value in network.named_parameters()}]
    strategy.start_epoch(1, network, adam, lambda: iter(gradients))
    assert max(group["lr"] for group in adam.param_groups) == pytest.approx(RATE)


def test_auto_snr_freezes_tensors_with_noisy_gradients(network: Network) -> None:
    steady, noisy = {"layer1", "head"}, {"layer2", "layer3", "layer4", "layer5"}
    names = [name for name, _ in network.named_parameters()]
    shapes = dict(network.named_parameters())

    def gradients() -> Iterator[dict[str, Tensor]]:
        for sign in (1.0, -1.0, 1.0, -1.0):
            batch = {}
            for name in names:
                part = name.split(".")[1] if name.startswith("feature_extractor") else "head"
                value = 1.0 + 0.1 * sign if part in steady else sign + 0.01
                batch[name] = torch.full_like(shapes[name], value)
            yield batch

    strategy = parse("auto_snr", Harnet5)
    adam = optimizer(strategy, network)
    strategy.start_epoch(1, network, adam, gradients)
    rates = rates_of(network, adam)
    assert {part for part, rate in rates.items() if rate == pytest.approx(RATE)} == steady
    assert {part for part, rate in rates.items() if rate == 0} == noisy
    everything = parse("auto_snr(0)", Harnet5)
    everything.start_epoch(1, network, adam, gradients)
    assert all(group["lr"] == RATE for group in adam.param_groups)


def test_auto_snr_of_a_single_batch_lets_everything_learn(network: Network) -> None:
    strategy = parse("auto_snr", Harnet5)
    adam = optimizer(strategy, network)
    strategy.start_epoch(1, network, adam, lambda: iter(scaled(network, dict.fromkeys(parts(network), 1.0))))
    assert all(group["lr"] == RATE for group in adam.param_groups)


@pytest.mark.parametrize("text", ["auto_rgn", "auto_snr"])
def test_all_tensors_learn_if_all_gradients_are_0(text: str, network: Network) -> None:
    strategy = parse(text, Harnet5)
    adam = optimizer(strategy, network)
    nothing = scaled(network, dict.fromkeys(parts(network), 0.0), (1.0, 1.0))
    strategy.start_epoch(1, network, adam, lambda: iter(nothing))
    assert any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("gradual(1)", "gradual"),
        ("gradual ( 2 )", "gradual(2)"),
        ("auto_snr(0.1)", "auto_snr"),
        ("layerwise_decay(.65)", "layerwise_decay(0.65)"),
        ("layerwise_decay(0.1234567891)", "layerwise_decay(0.1234567891)"),
    ],
)
def test_equal_strategies_have_one_canonical_text(text: str, spec: str) -> None:
    assert parse(text, Harnet5).spec == spec


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("layerwise_decay", "has no number in brackets. Write layerwise_decay(NUMBER)"),
        ("layerwise_decay()", "has no number"),
        ("layerwise_decay(fast)", "has no number"),
        ("layerwise_decay(nan)", "has no number"),
        ("layerwise_decay(0)", "more than 0 and less than 1"),
        ("layerwise_decay(1)", "more than 0 and less than 1"),
        ("gradual(0)", "a whole number, 1 or more"),
        ("gradual(1.5)", "a whole number, 1 or more"),
        ("gradual(inf)", "has no number"),
        ("auto_snr(1.2)", "Give one from 0 to 1"),
        ("auto_rgn(2)", "there is no tuning strategy"),
        ("gradually", "there is no tuning strategy"),
    ],
)
def test_invalid_texts_are_refused(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, Harnet5, "training.tuning")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("training.tuning: ")


def test_strategies_have_distinct_texts() -> None:
    texts = ["all", "head", "layer2", "gradual", "auto_rgn", "auto_snr", "layerwise_decay(0.5)"]
    kinds = [type(parse(text, Harnet5)) for text in texts[2:]]
    assert all(one is not other for one, other in itertools.combinations(kinds, 2))
