"""Average of several networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sslwear.encoders import weights
from sslwear.encoders.average import averaged
from sslwear.encoders.base import Network, get
from sslwear.encoders.card import CARD, CHECKPOINT, Card
from sslwear.encoders.card import network as network_of
from sslwear.encoders.classifier import Model
from sslwear.encoders.heads import classifier
from sslwear.errors import WeightsError

CARD_OF_TWO = Card(
    encoder="cnn5",
    window_samples=150,
    rate_hz=30.0,
    unit="g",
    class_names=("a", "b", "c"),
    dataset="test",
    fingerprint="0",
    licence=None,
    heads=("linear", "published"),
)


def members() -> list[Network]:
    encoder = get("cnn5")
    return [Network(encoder(), classifier(head, encoder.features, 3)).eval() for head in CARD_OF_TWO.heads]


def test_probabilities_are_the_mean_over_the_networks(tmp_path: Path) -> None:
    networks = members()
    for network in networks:
        torch.nn.init.normal_(list(network.classifier.parameters())[-2], std=0.5)  # so that they are not alike
    windows = (np.random.default_rng(0).normal(0, 0.3, (5, 150, 3)) + np.array([0, 0, 1])).astype(np.float32)
    x = torch.from_numpy(windows.transpose(0, 2, 1).copy())
    with torch.no_grad():
        each = [network(x).softmax(dim=1).numpy() for network in networks]
    assert np.abs(each[0] - each[1]).max() > 0.01
    Model(averaged(networks), CARD_OF_TWO).save(tmp_path)
    found = Model.load(tmp_path).probabilities(windows)
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    assert Card.read(tmp_path / CARD).heads == CARD_OF_TWO.heads


def test_outputs_are_finite_where_all_networks_are_sure() -> None:
    networks = members()
    for network in networks:
        bias = list(network.classifier.parameters())[-1]
        bias.data = torch.tensor([500.0, 0.0, 0.0])
    with torch.no_grad():
        assert averaged(networks)(torch.zeros(2, 3, 150)).isfinite().all()


def test_one_network_is_its_own_average() -> None:
    one = members()[0]
    assert averaged([one]) is one
    assert network_of(replace(CARD_OF_TWO, heads=(), head="linear")).blocks.keys() == one.blocks.keys()


def test_no_training_starts_from_an_average(tmp_path: Path) -> None:
    weights.save(averaged(members()), tmp_path / CHECKPOINT)
    with pytest.raises(WeightsError, match="averages several networks, and no training can start from these"):
        weights.load_encoder(get("cnn5")(), weights.read(tmp_path / CHECKPOINT), "models:/a@champion")
