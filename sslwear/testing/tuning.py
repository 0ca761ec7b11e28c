"""Contract of tuning strategies, to be run by pytest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sslwear.encoders.base import Network
from sslwear.encoders.heads import Classifier
from sslwear.testing.synthetic import SAMPLES, NarrowHarnet
from sslwear.tuning.base import TuningStrategy, learning, parse, parts

CLASSES = 3
LEARNING_RATE = 1e-3
EPOCHS = (1, 3, 99)


class Case(NamedTuple):
    """A strategy, and a network that it froze for an epoch."""

    strategy: TuningStrategy
    network: Network
    epoch: int

    @property
    def frozen(self) -> frozenset[str]:
        """Frozen blocks in the epoch."""
        return self.strategy.frozen_in(self.epoch)

    @property
    def tuning(self) -> set[str]:
        """Tuned blocks in the epoch."""
        return self.network.blocks.keys() - self.frozen

    def parameters(self, blocks: set[str] | frozenset[str]) -> set[int]:
        """Ids of the parameters of some blocks."""
        return {id(parameter) for block in blocks for parameter in self.network.blocks[block].parameters()}


def grouped(case: Case) -> list[int]:
    """Ids of the parameters in all groups of the optimizer."""
    groups = case.strategy.parameter_groups(case.network, LEARNING_RATE)
    return [id(parameter) for group in groups for parameter in group["params"]]


def snapshot(network: Network) -> dict[str, Tensor]:
    """Copies of all tensors by name."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def part(name: str) -> str:
    """Block of a tensor, or ``head``."""
    return name.split(".")[1] if name.startswith("feature_extractor.") else "head"


def train(case: Case, steps: int, optimizer: torch.optim.Optimizer | None = None) -> dict[str, float]:
    """Some steps of an epoch; returns the rate of each block and the head in it."""
    network = case.network
    optimizer = optimizer or torch.optim.Adam(case.strategy.parameter_groups(network, LEARNING_RATE), amsgrad=True)
    generator = torch.Generator().manual_seed(0)

    def loss() -> Tensor:
        x = torch.randn(8, 3, SAMPLES, generator=generator)
        return functional.cross_entropy(network(x), torch.randint(0, CLASSES, (8,), generator=generator))

    def gradients() -> Iterator[Mapping[str, Tensor]]:
        learning = {name: value for name, value in network.named_parameters() if value.requires_grad}
        for _ in range(3):
            yield dict(zip(learning, torch.autograd.grad(loss(), list(learning.values())), strict=True))

    case.strategy.start_epoch(case.epoch, network, optimizer, gradients)
    rates = {name: how.rate for name, how in learning(network, optimizer).items()}
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return rates


class TuningStrategyContract:
    """What every tuning strategy has to fulfil: frozen blocks do not change, and nothing learns faster than the head.

    A test module subclasses it::

        class TestMyStrategy(TuningStrategyContract):
            strategy = MyStrategy
    """

    strategy: ClassVar[type[TuningStrategy]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for the examples of the strategy and for several epochs."""
        if "case" in metafunc.fixturenames:
            cases = [(spec, epoch) for spec in self.strategy.examples for epoch in EPOCHS]
            metafunc.parametrize("case", cases, indirect=True, ids=lambda case: f"{case[0]} in epoch {case[1]}")

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> Case:
        """A strategy, and a network that it froze for an epoch."""
        spec, epoch = request.param
        strategy = parse(spec, NarrowHarnet)
        assert type(strategy) is self.strategy
        torch.manual_seed(0)
        network = Network(NarrowHarnet(), Classifier(NarrowHarnet.features, CLASSES))
        strategy.freeze(network, epoch)
        return Case(strategy, network, epoch)

    def test_it_has_examples(self) -> None:
        assert self.strategy.examples

    def test_its_text_reads_back_to_the_same(self, case: Case) -> None:
        again = parse(case.strategy.spec, NarrowHarnet)
        assert type(again) is type(case.strategy)
        assert again.spec == case.strategy.spec
        assert again.frozen == case.strategy.frozen

    def test_frozen_blocks_are_blocks_of_the_encoder(self, case: Case) -> None:
        assert case.strategy.frozen <= case.frozen <= case.network.blocks.keys()

    def test_a_block_that_has_begun_to_learn_goes_on(self, case: Case) -> None:
        assert case.strategy.frozen_in(case.epoch + 1) <= case.frozen

    def test_frozen_parameters_get_no_gradient_and_all_others_do(self, case: Case) -> None:
        without = {id(parameter) for parameter in case.network.parameters() if not parameter.requires_grad}
        assert without == case.parameters(case.frozen)

    def test_freezing_undoes_what_was_frozen_before(self, case: Case) -> None:
        case.network.requires_grad_(False)
        case.strategy.freeze(case.network, case.epoch)
        without = {id(parameter) for parameter in case.network.parameters() if not parameter.requires_grad}
        assert without == case.parameters(case.frozen)

    def test_every_parameter_that_is_not_frozen_is_in_exactly_one_group(self, case: Case) -> None:
        expected = {id(parameter) for parameter in case.network.parameters()} - case.parameters(case.strategy.frozen)
        assert sorted(grouped(case)) == sorted(expected)

    def test_the_head_learns_at_the_rate_asked_for_and_nothing_learns_faster(self, case: Case) -> None:
        groups = case.strategy.parameter_groups(case.network, LEARNING_RATE)
        rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
        assert {rates[id(parameter)] for parameter in case.network.classifier.parameters()} == {LEARNING_RATE}
        assert all(0 <= rate <= LEARNING_RATE for rate in rates.values())

    @pytest.mark.parametrize("before", [True, False], ids=["from training mode", "from evaluation mode"])
    def test_frozen_blocks_are_in_evaluation_mode_and_all_else_in_training_mode(self, case: Case, before: bool) -> None:
        case.network.train(before)
        case.strategy.freeze(case.network, case.epoch)
        frozen = {id(module) for block in case.frozen for module in case.network.blocks[block].modules()}
        modules = [module for part in parts(case.network).values() for module in part.modules()]
        resting = {id(module) for module in modules if not module.training}
        assert resting == frozen

    def test_training_changes_no_bit_of_a_frozen_block_and_something_of_every_other(self, case: Case) -> None:
        before = snapshot(case.network)
        rates = train(case, steps=2)
        changed = {name for name, value in case.network.state_dict().items() if not torch.equal(value, before[name])}
        assert {name.split(".")[1] for name in changed if name.startswith("feature_extractor.")} == case.tuning
        learnt = {part(name) for name in changed & {name for name, _ in case.network.named_parameters()}}
        assert learnt == {name for name, rate in rates.items() if rate > 0}
        assert learnt

    def test_nothing_learns_faster_than_at_the_rate_asked_for(self, case: Case) -> None:
        assert all(0 <= rate <= LEARNING_RATE * (1 + 1e-9) for rate in train(case, steps=1).values())

    def test_what_does_not_learn_has_no_state_in_the_optimizer(self, case: Case) -> None:
        optimizer = torch.optim.Adam(case.strategy.parameter_groups(case.network, LEARNING_RATE), amsgrad=True)
        train(case, steps=1, optimizer=optimizer)
        frozen = case.parameters(case.frozen)
        assert not [parameter for parameter in optimizer.state if id(parameter) in frozen]
