"""What every encoder owes to the rest: five named blocks, its features, tensors that travel."""

import pytest
import torch
from torch import Tensor

from sslwear.encoders import base
from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.heads import Classifier
from sslwear.errors import SettingsError
from sslwear.utils import plugins

ENCODERS = plugins.find("sslwear.encoders", Encoder)
BLOCKS = ("layer1", "layer2", "layer3", "layer4", "layer5")


@pytest.fixture(scope="module", params=ENCODERS.items(), ids=lambda item: item[0])
def named(request: pytest.FixtureRequest) -> tuple[str, Encoder]:
    """A new encoder, for tests that leave its tensors as they are."""
    name, encoder = request.param
    return name, encoder().eval()


@pytest.fixture
def encoder(named: tuple[str, Encoder]) -> Encoder:
    return named[1].eval()


def windows(encoder: Encoder, batch: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, encoder.window_samples, generator=torch.Generator().manual_seed(seed))


def test_there_are_encoders() -> None:
    assert {"harnet5", "harnet10", "harnet30"} <= ENCODERS.keys()


def test_it_is_found_by_its_name(named: tuple[str, Encoder]) -> None:
    name, encoder = named
    assert encoder.name == name
    assert base.get(name) is type(encoder)


def test_a_name_that_nothing_has_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=f"there is no 'harnet'; choose one of {', '.join(ENCODERS)}"):
        base.get("harnet")


def test_it_has_five_blocks_in_order(encoder: Encoder) -> None:
    assert encoder.block_names() == BLOCKS
    assert tuple(name for name, _ in encoder.feature_extractor.named_children()) == BLOCKS


def test_every_block_has_something_to_learn(encoder: Encoder) -> None:
    counts = [len(list(block.parameters())) for block in encoder.feature_extractor.children()]
    assert min(counts) > 0
    assert sum(counts) == len(list(encoder.parameters()))


@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_it_turns_windows_into_its_features(encoder: Encoder, batch: int) -> None:
    features = encoder(windows(encoder, batch))
    assert features.shape == (batch, encoder.features)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


@torch.no_grad()
def test_features_tell_windows_apart_and_do_not_depend_on_the_batch(encoder: Encoder) -> None:
    x = windows(encoder, 3)
    features = encoder(x)
    assert not torch.allclose(features[0], features[1])
    torch.testing.assert_close(encoder(x[1:2]), features[1:2], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_its_tensors_load_into_another_one(encoder: Encoder) -> None:
    x, other = windows(encoder, 2), type(encoder)().eval()
    assert not torch.equal(other(x), encoder(x))
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(x), encoder(x))


def test_gradient_reaches_every_parameter(encoder: Encoder) -> None:
    encoder.train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder(windows(encoder, 4)).square().sum().backward()
    without = [
        name for name, parameter in encoder.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    encoder.zero_grad()
    encoder.load_state_dict(before)
    assert without == []


@torch.no_grad()
def test_a_network_is_the_encoder_itself_with_a_head_on_it(encoder: Encoder) -> None:
    head = Classifier(encoder.features, 4)
    network = Network(encoder, head).eval()
    assert tuple(network.blocks) == BLOCKS
    assert network.blocks["layer5"] is encoder.feature_extractor.layer5
    x = windows(encoder, 2)
    assert torch.equal(network(x), head(encoder(x)))
