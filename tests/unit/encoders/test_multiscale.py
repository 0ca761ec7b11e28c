"""The network for windows of any length: its channels, what it takes from a signal, and lengths."""

import math

import pytest
import torch

from sslwear.encoders.base import Network
from sslwear.encoders.cnn import Cnn10
from sslwear.encoders.multiscale import Multiscale, channels, taken


def test_a_still_wrist_moves_in_no_channel_but_the_axes_whatever_its_posture() -> None:
    posture = torch.nn.functional.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    found = channels(posture.unsqueeze(2).expand(-1, -1, 90))
    torch.testing.assert_close(found[:, :3], posture.unsqueeze(2).expand(-1, -1, 90))
    torch.testing.assert_close(found[:, 3:], torch.zeros(5, 3, 90), atol=1e-6, rtol=0)


def test_motion_is_along_or_across_gravity() -> None:
    swing = 0.2 * torch.sin(2 * math.pi * 4 * torch.arange(300) / 30)
    along, across = torch.zeros(2, 1, 3, 300)
    along[:, 2], across[:, 2] = 1 + swing, 1.0
    across[:, 0] = swing
    middle = slice(60, 240)
    torch.testing.assert_close(channels(along)[0, 4, middle], swing[middle], atol=1e-5, rtol=0)
    assert channels(along)[0, 5, middle].abs().max() < 1e-5
    torch.testing.assert_close(channels(across)[0, 5, middle], swing[middle].abs(), atol=2e-2, rtol=0)


def test_free_fall_is_finite() -> None:
    assert channels(torch.zeros(1, 3, 30)).isfinite().all()


def test_what_is_taken_of_a_signal() -> None:
    signal = torch.tensor([0.0, 0, 0, 4]).view(1, 4, 1)
    mean, maximum, share = taken(signal)[0].tolist()
    assert (mean, maximum) == (1, 4)
    assert share == pytest.approx(0.25, abs=0.08)


def test_equal_maxima_share_the_gradient() -> None:
    signal = torch.tensor([1.0, 2.0, 0.0, 2.0], requires_grad=True)
    taken(signal.reshape(1, 4, 1))[0, 1].backward()
    assert signal.grad is not None
    assert signal.grad.tolist() == [0, 0.5, 0, 0.5]


@torch.no_grad()
@pytest.mark.parametrize("samples", [30, 31, 60, 75, 150, 300, 900])
def test_windows_of_any_length_have_the_same_number_of_features(samples: int) -> None:
    torch.manual_seed(0)
    features = Multiscale().eval()(torch.randn(2, 3, samples))
    assert features.shape == (2, Multiscale.features)
    assert features.isfinite().all()


@torch.no_grad()
def test_a_steady_movement_has_nearly_the_same_features_in_long_and_short_windows() -> None:
    torch.manual_seed(0)
    encoder = Multiscale().eval()
    time = torch.arange(900) / 30
    walk = torch.stack([0.3 * torch.sin(2 * math.pi * 2 * time), 0.1 * torch.cos(2 * math.pi * 2 * time), 1 + 0 * time])
    long, short = encoder(walk.unsqueeze(0)), encoder(walk[:, :300].unsqueeze(0))
    other = encoder(walk.flip(0)[:, :300].unsqueeze(0))
    assert (long - short).norm() < 0.3 * (other - short).norm()


def test_the_encoder_takes_the_length_of_the_data() -> None:
    short = Multiscale.for_windows(2.0)
    assert (short.window_samples, short.name) == (60, "multiscale")
    assert short().state_dict().keys() == Multiscale().state_dict().keys()
    assert Multiscale.for_windows(10.0) is Multiscale
    assert Multiscale.for_windows(None) is Multiscale
    assert Multiscale.for_windows(0.5) is Multiscale  # stretched, with a warning
    assert Cnn10.for_windows(2.0) is Cnn10


@torch.no_grad()
def test_blocks_pass_on_what_earlier_ones_took() -> None:
    torch.manual_seed(0)
    network = Network(Multiscale(), torch.nn.Identity()).eval()
    x = torch.randn(2, 3, 60)
    numbers = network.forward_blocks(x, 0, 2)[:, :48]
    assert torch.equal(network.forward_blocks(x, 0, 3)[:, :48], numbers)
    assert network.forward_blocks(x, 0, 4).shape == (2, Multiscale.features)
