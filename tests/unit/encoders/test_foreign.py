"""Encoders from elsewhere are found by name, checked, and applied to windows of other lengths."""

from __future__ import annotations

import pytest
import torch

from sslwear.encoders.foreign.base import features_network, get
from sslwear.errors import SettingsError
from sslwear.utils import plugins
from tests.samples import foreign_encoders
from tests.samples.foreign_encoders import Broken, Flat, Moments, Random


def test_without_a_plug_in_there_is_none() -> None:
    with pytest.raises(SettingsError, match="Name a file with a ForeignEncoder under plugins"):
        get("moments")


def test_an_encoder_is_found_in_a_file_and_must_tell_its_rate() -> None:
    plugins.load_file(str(foreign_encoders.__file__))
    assert get("moments").rate_hz == 20
    with pytest.raises(
        SettingsError, match="there is no 'moment'; choose one of broken, flat, moments, random, rateless"
    ):
        get("moment")
    with pytest.raises(SettingsError, match=r"has rate_hz = None. Set a positive number"):
        get("rateless")


def test_longer_windows_have_the_mean_features_of_windows_that_cover_them() -> None:
    x = torch.randn(4, 3, 100, generator=torch.Generator().manual_seed(1))  # 5 s
    expected = torch.stack([Moments()(x[:, :, start : start + 40]) for start in (0, 30, 60)]).mean(dim=0)
    torch.testing.assert_close(features_network(Moments, 5.0)(x), expected)
    torch.testing.assert_close(features_network(Moments, 2.0)(x[:, :, :40]), Moments()(x[:, :, :40]))


def test_it_is_frozen() -> None:
    network = features_network(Random, 5.0).eval()
    assert not any(parameter.requires_grad for parameter in network.parameters())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert network(torch.randn(3, 3, 250)).shape == (3, 16)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("encoder", "window_s", "words"),
    [
        (Moments, 1.5, "takes windows of 2 s, and those of the data are shorter, 1.5 s"),
        (Flat, 2.0, r"gives \(2, 3, 40\) for two windows. Give a tensor \(B, features\)"),
        (Broken, 2.0, r"cannot be used \(FileNotFoundError: weights.pt\)"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(encoder: type[Moments], window_s: float, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        features_network(encoder, window_s)
