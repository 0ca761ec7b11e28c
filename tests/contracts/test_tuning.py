"""What every tuning strategy owes to the training loop: frozen means frozen, to the last bit of the last buffer."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sslwear import plugins
from sslwear.encoders.base import Network
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.heads import Classifier
from sslwear.tuning.base import TuningStrategy, parse

STRATEGIES = plugins.find("sslwear.tuning", TuningStrategy)
CLASSES = 3
LEARNING_RATE = 1e-3


class Case(NamedTuple):
    strategy: TuningStrategy
    network: Network

    @property
    def tuned(self) -> set[str]:
        return self.network.blocks.keys() - self.strategy.frozen

    def parameters(self, blocks: set[str] | frozenset[str]) -> set[int]:
        return {id(parameter) for block in blocks for parameter in self.network.blocks[block].parameters()}


@pytest.fixture(
    params=[(name, spec) for name, strategy in STRATEGIES.items() for spec in strategy.examples],
    ids=lambda case: f"{case[0]}: {case[1]}",
)
def case(request: pytest.FixtureRequest) -> Case:
    """A strategy and a network that is frozen as it says."""
    name, spec = request.param
    strategy = parse(spec, Harnet5)
    assert type(strategy) is STRATEGIES[name]
    torch.manual_seed(0)
    network = Network(Harnet5(), Classifier(Harnet5.features, CLASSES))
    strategy.freeze(network, 1)
    return Case(strategy, network)


def grouped(case: Case) -> list[int]:
    groups = case.strategy.parameter_groups(case.network, LEARNING_RATE)
    return [id(parameter) for group in groups for parameter in group["params"]]


def test_there_is_a_strategy() -> None:
    assert "mask" in STRATEGIES


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_every_strategy_has_examples(strategy: type[TuningStrategy]) -> None:
    assert strategy.examples


def test_its_text_reads_back_to_the_same(case: Case) -> None:
    again = parse(case.strategy.spec, Harnet5)
    assert type(again) is type(case.strategy)
    assert again.spec == case.strategy.spec
    assert again.frozen == case.strategy.frozen


def test_frozen_blocks_are_blocks_of_the_encoder(case: Case) -> None:
    assert case.strategy.frozen <= case.network.blocks.keys()


def test_frozen_parameters_get_no_gradient_and_all_others_do(case: Case) -> None:
    without = {id(parameter) for parameter in case.network.parameters() if not parameter.requires_grad}
    assert without == case.parameters(case.strategy.frozen)


def test_freezing_undoes_what_was_frozen_before(case: Case) -> None:
    case.network.requires_grad_(False)
    case.strategy.freeze(case.network, 1)
    without = {id(parameter) for parameter in case.network.parameters() if not parameter.requires_grad}
    assert without == case.parameters(case.strategy.frozen)


def test_every_parameter_that_is_not_frozen_is_in_exactly_one_group(case: Case) -> None:
    expected = {id(parameter) for parameter in case.network.parameters()} - case.parameters(case.strategy.frozen)
    assert sorted(grouped(case)) == sorted(expected)


def test_the_head_learns_at_the_rate_asked_for_and_nothing_learns_faster(case: Case) -> None:
    groups = case.strategy.parameter_groups(case.network, LEARNING_RATE)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert {rates[id(parameter)] for parameter in case.network.classifier.parameters()} == {LEARNING_RATE}
    assert all(0 <= rate <= LEARNING_RATE for rate in rates.values())


@pytest.mark.parametrize("before", [True, False], ids=["from training mode", "from evaluation mode"])
def test_frozen_blocks_are_in_evaluation_mode_and_all_else_in_training_mode(case: Case, before: bool) -> None:
    case.network.train(before)
    case.strategy.freeze(case.network, 1)
    frozen = {id(module) for block in case.strategy.frozen for module in case.network.blocks[block].modules()}
    resting = {id(module) for module in case.network.modules() if not module.training}
    assert resting == frozen


def test_training_changes_no_bit_of_a_frozen_block_and_every_tuned_one(case: Case) -> None:
    before = snapshot(case.network)
    train(case, steps=2)
    changed = {name for name, value in case.network.state_dict().items() if not torch.equal(value, before[name])}
    learnt = changed & {name for name, _ in case.network.named_parameters()}
    assert {name.split(".")[1] for name in changed if name.startswith("feature_extractor.")} == case.tuned
    assert {name.split(".")[1] for name in learnt if name.startswith("feature_extractor.")} == case.tuned
    assert any(name.startswith("classifier.") for name in learnt)


def snapshot(network: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def train(case: Case, steps: int) -> None:
    optimizer = torch.optim.Adam(case.strategy.parameter_groups(case.network, LEARNING_RATE), amsgrad=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        case.strategy.freeze(case.network, 1)
        x = torch.randn(8, 3, Harnet5.window_samples, generator=generator)
        target = torch.randint(0, CLASSES, (8,), generator=generator)
        optimizer.zero_grad()
        functional.cross_entropy(case.network(x), target).backward()
        optimizer.step()
