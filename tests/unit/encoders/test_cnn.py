"""The small convolutional networks: their size, their plan, what their features are."""

import pytest
import torch

from sslwear.encoders.base import Network
from sslwear.encoders.cnn import Cnn, Cnn5, Cnn10, Cnn30, MeanAndMaximum
from sslwear.encoders.heads import Classifier


@pytest.mark.parametrize(("encoder", "samples"), [(Cnn5, 150), (Cnn10, 300), (Cnn30, 900)])
def test_the_networks_differ_in_window_length_only(encoder: type[Cnn], samples: int) -> None:
    assert encoder.window_samples == samples
    assert sum(parameter.numel() for parameter in encoder().parameters()) == 160_096
    assert encoder.features == 256


@torch.no_grad()
def test_every_block_halves_the_length() -> None:
    network = Network(Cnn10(), Classifier(256, 4)).eval()
    x = torch.randn(2, 3, 300, generator=torch.Generator().manual_seed(0))
    shapes = [tuple(network.forward_blocks(x, 0, stop).shape) for stop in range(1, 6)]
    assert shapes == [(2, 32, 1, 150), (2, 32, 1, 75), (2, 64, 1, 37), (2, 64, 1, 18), (2, 256)]


def test_features_are_each_channels_mean_and_maximum() -> None:
    image = torch.tensor([[[[1.0, 2.0, 6.0]], [[0.0, -3.0, -3.0]]]])
    assert MeanAndMaximum()(image).tolist() == [[3.0, -2.0, 6.0, 0.0]]


@torch.no_grad()
def test_features_depend_on_posture() -> None:
    """Two windows at rest that differ in the direction of gravity have different features."""
    encoder = Cnn10().eval()
    down = torch.zeros(2, 3, 300)
    down[0, 2], down[1, 0] = 1, 1
    first, second = encoder(down)
    assert not torch.allclose(first, second)
