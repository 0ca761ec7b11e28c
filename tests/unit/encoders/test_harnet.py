"""harnet5, harnet10 and harnet30 against the published implementation's names, shapes and outputs."""

import hashlib
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from sslwear.encoders.base import Network
from sslwear.encoders.harnet import Downsample, Harnet, Harnet5, Harnet10, Harnet30
from sslwear.encoders.heads import Classifier

SEED = 7
CLASSES = 4


class Published(NamedTuple):
    samples: int
    parameters: int
    names_sha256: str
    features_shape: tuple[int, int, int]
    features_sum: float
    features_first5: list[float]
    logits: list[list[float]]


PUBLISHED: dict[type[Harnet], Published] = {
    Harnet5: Published(
        samples=150,
        parameters=4492612,
        names_sha256="9ac9385f1c8b0569ebe09c3c4ca66f7f52f6217a18049754c254b77bc74a51dc",
        features_shape=(2, 512, 1),
        features_sum=8025.804671974346,
        features_first5=[1.885814431974024, 5.863045203777314, 0.8555241082408046, 0.0, 3.855026246164695],
        logits=[
            [-9.049755407813953, 27.130039815367603, -3.4203453115751055, 0.5287214609418933],
            [-10.740344052842799, 27.39173993158802, -1.5757653232596882, 1.5033765766607148],
        ],
    ),
    Harnet10: Published(
        samples=300,
        parameters=10984260,
        names_sha256="f33db8afa64a47ae6cc570470bf3b17235abda31a247bb4003985dbee7b64624",
        features_shape=(2, 1024, 1),
        features_sum=12396.633071238743,
        features_first5=[4.372204979671072, 4.596458435588082, 0.0, 0.0, 0.0],
        logits=[
            [14.262300383427721, 27.367580632687158, -9.776778892251142, 2.1186166178999204],
            [14.646658166424807, 28.965244669517997, -11.657456536122192, 2.599027703781665],
        ],
    ),
    Harnet30: Published(
        samples=900,
        parameters=10984260,
        names_sha256="d4bd917cf914b70d92a41aadc7067a6354badac9f747d623023a8055bf85bba2",
        features_shape=(2, 1024, 1),
        features_sum=15762.375734411038,
        features_first5=[7.5447039029524925, 5.533296195517922, 0.0, 0.0, 0.0],
        logits=[
            [18.37388647720605, 35.961958888376074, -15.055444829516912, 3.2976209192480908],
            [17.264266997978257, 34.628592823807956, -14.72829725493821, 3.424920500680846],
        ],
    ),
}


@pytest.fixture(scope="module", params=PUBLISHED, ids=lambda model: model.name)
def model(request: pytest.FixtureRequest) -> type[Harnet]:
    return request.param


@pytest.fixture(scope="module")
def network(model: type[Harnet]) -> Network:
    """A float64 network in evaluation mode, filled by the recipe that goes with the published outputs.

    Its filters keep the float32 values that they are made with, as those of the published checkpoints do.
    """
    network = Network(model(), Classifier(model.features, CLASSES)).double().eval()
    for i, (key, value) in enumerate(network.state_dict().items()):
        if not key.endswith(("num_batches_tracked", "kernel")):
            value.copy_(torch.from_numpy(recipe_values(key, tuple(value.shape), np.random.default_rng([SEED, i]))))
    return network


def recipe_values(key: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if key.endswith("running_var"):
        return 0.5 + rng.random(shape)
    if key.endswith("running_mean"):
        return 0.1 * rng.standard_normal(shape)
    if len(shape) >= 2:
        return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    if key.endswith("weight"):
        return 1 + 0.1 * rng.standard_normal(shape)
    return 0.1 * rng.standard_normal(shape)


def recipe_windows(model: type[Harnet]) -> Tensor:
    rng = np.random.default_rng([SEED, 10000])
    return torch.from_numpy(rng.standard_normal((2, 3, PUBLISHED[model].samples)))


def test_takes_windows_of_the_published_length(model: type[Harnet]) -> None:
    assert (model.window_samples, model.rate_hz) == (PUBLISHED[model].samples, 30)


def test_tensor_names_and_shapes_are_the_published_ones(model: type[Harnet], network: Network) -> None:
    lines = sorted(f"{name} {list(value.shape)}" for name, value in network.state_dict().items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PUBLISHED[model].names_sha256


def test_tensor_counts_are_the_published_ones(network: Network) -> None:
    state, parameters = network.state_dict(), dict(network.named_parameters())
    counts = {
        "tensors": len(state),
        "tensors of the body": sum(name.startswith("feature_extractor.") for name in state),
        "parameter tensors": len(parameters),
        "of the body": sum(name.startswith("feature_extractor.") for name in parameters),
        "of layer1": sum(name.startswith("feature_extractor.layer1.") for name in parameters),
    }
    assert counts == {
        "tensors": 135,
        "tensors of the body": 131,
        "parameter tensors": 67,
        "of the body": 63,
        "of layer1": 15,
    }


def test_parameter_count_is_the_published_one(model: type[Harnet], network: Network) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == PUBLISHED[model].parameters


@torch.no_grad()
def test_features_are_the_published_ones(model: type[Harnet], network: Network) -> None:
    features = network.feature_extractor(recipe_windows(model))
    assert tuple(features.shape) == PUBLISHED[model].features_shape
    assert features.flatten()[:5].tolist() == pytest.approx(PUBLISHED[model].features_first5, rel=0, abs=1e-9)
    assert features.sum().item() == pytest.approx(PUBLISHED[model].features_sum, rel=0, abs=1e-9)


@torch.no_grad()
def test_logits_are_the_published_ones(model: type[Harnet], network: Network) -> None:
    logits = network(recipe_windows(model))
    np.testing.assert_allclose(logits.numpy(), PUBLISHED[model].logits, rtol=0, atol=1e-9)


@torch.no_grad()
def test_rolling_the_input_rolls_the_first_convolution(model: type[Harnet], network: Network) -> None:
    convolution, x = network.feature_extractor.layer1[0], recipe_windows(model)
    for shift in (1, -2, 37):
        rolled = convolution(x.roll(shift, dims=-1))
        torch.testing.assert_close(rolled, convolution(x).roll(shift, dims=-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("factor", "order", "taps", "padding"),
    [
        (2, 1, [1, 2, 1], 0),
        (2, 2, [1, 3, 3, 1], 1),
        (3, 1, [1, 2, 3, 2, 1], 1),
        (4, 0, [1, 1, 1, 1], 0),
        (5, 1, [1, 2, 3, 4, 5, 4, 3, 2, 1], 2),
    ],
)
def test_downsampling_filter_is_a_normalised_repeated_box(
    factor: int, order: int, taps: list[int], padding: int
) -> None:
    filter_ = Downsample(6, factor, order)
    assert filter_.kernel.shape == (6, 1, len(taps))
    for channel in filter_.kernel[:, 0]:
        assert channel.tolist() == pytest.approx((np.array(taps) / sum(taps)).tolist(), rel=1e-6)
    assert filter_.kernel.sum(-1).flatten().tolist() == pytest.approx([1] * 6, rel=1e-6)
    assert (filter_.stride, filter_.padding) == (factor, padding)


@pytest.mark.parametrize(("factor", "order"), [(2, 2), (3, 1), (4, 0), (5, 1)])
def test_downsampling_keeps_a_constant_away_from_the_zero_padded_edge(factor: int, order: int) -> None:
    filter_ = Downsample(2, factor, order)
    levels = torch.tensor([0.25, -1.5]).view(1, 2, 1)
    out = filter_(levels.expand(1, 2, 20 * factor))
    edge = -(-filter_.padding // factor)
    inner = out[..., edge : out.shape[-1] - edge]
    assert inner.shape[-1] >= 17
    torch.testing.assert_close(inner, levels.expand_as(inner), rtol=1e-6, atol=0)
    if filter_.padding:
        assert (out[..., 0].abs() < levels[..., 0].abs()).all()


def test_downsampling_filter_is_not_learnt() -> None:
    assert list(Downsample(2, 2, 2).parameters()) == []
