"""Classifiers that are kept as arrays: those of scikit-learn and aeon give the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from sslwear.data.arrays import Description
from sslwear.data.dataset import Dataset
from sslwear.deployment.onnx_export import to_onnx
from sslwear.encoders import weights
from sslwear.encoders.average import averaged
from sslwear.encoders.card import CARD, Card, network
from sslwear.encoders.classifier import Model
from sslwear.encoders.minirocket import MiniRocketClassifier
from sslwear.encoders.trees import Trees
from sslwear.encoders.window_features import features
from sslwear.errors import SslwearError, WeightsError
from sslwear.evaluation.trees import features_of, fitted_trees
from sslwear.training import Windows

RATE_HZ = 30.0
LEARNT = np.array([0, 2, 3])
CLASSES = 5


def windows(count: int, samples: int, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal([0, 0, 1], 0.3, (count, samples, 3))
    return drawn.astype(np.float32)


def as_tensor(given: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(given.transpose(0, 2, 1).copy())


def forest(kind: type, leaf: int) -> ExtraTreesClassifier | RandomForestClassifier:
    labels = LEARNT[np.random.default_rng(1).integers(0, 3, 60)]
    return kind(30, random_state=0, min_samples_leaf=leaf).fit(features(windows(60, 90), RATE_HZ), labels)


@pytest.mark.parametrize("kind", [ExtraTreesClassifier, RandomForestClassifier])
@pytest.mark.parametrize("leaf", [1, 4, 60])
def test_trees_give_the_probabilities_of_scikit_learn(kind: type, leaf: int) -> None:
    given, drawn = forest(kind, leaf), windows(50, 90, seed=2)
    made, expected = Trees.of(given, CLASSES, RATE_HZ), np.zeros((50, CLASSES))
    expected[:, LEARNT] = given.predict_proba(features(drawn, RATE_HZ))
    np.testing.assert_allclose(made(as_tensor(drawn)).softmax(dim=1), expected, atol=1e-6)


@pytest.mark.parametrize(("window_s", "samples"), [(9.0, 300), (2.2, 66), (10.0, 300)])
def test_promoted_trees_put_frequencies_into_the_bands_of_the_fit(window_s: float, samples: int) -> None:
    rng = np.random.default_rng(0)
    drawn, labels = windows(80, samples), np.arange(80) % 2
    frequency = np.where(labels == 0, 0.93, 1.05) + rng.normal(0, 0.04, 80)  # about the edge of a band
    drawn[..., 0] += np.sin(2 * np.pi * frequency[:, None] * np.arange(samples) * window_s / samples)
    names, start = ("a", "b"), np.arange(80.0)
    how = Description(name="made", rate_hz=samples / window_s, window_s=window_s, class_names=names)
    dataset = Dataset(Path("made"), drawn, labels, np.arange(80) % 4, start, np.ones(80, bool), names, how, "made")
    given = Windows.of(dataset, (0, 1, 2, 3))
    fit = RandomForestClassifier(30, random_state=0)
    made = fitted_trees(fit, given, samples, 2)
    expected = fit.predict_proba(features_of(given, samples))
    np.testing.assert_allclose(made(as_tensor(drawn)).softmax(dim=1), expected, atol=1e-6)


@pytest.mark.parametrize("samples", [9, 10, 61, 300])
def test_features_are_those_of_minirocket(samples: int) -> None:
    pytest.importorskip("aeon")
    from aeon.transformations.collection.convolution_based import MiniRocket

    drawn = windows(20, samples)
    channels = np.concatenate([drawn, np.linalg.norm(drawn, axis=2, keepdims=True)], axis=2).transpose(0, 2, 1)
    transform = MiniRocket(n_kernels=2000, random_state=3).fit(channels)
    expected = transform.transform(channels)
    found = MiniRocketClassifier.of(transform.parameters).features(as_tensor(drawn)).numpy()
    assert found.shape == expected.shape
    # A threshold is a value of a convolution, so that the order of sums may decide at a sample or two.
    assert np.abs(found - expected).max() * samples < 3
    assert (np.abs(found - expected) > 1e-6).mean() < 1e-3


def saved(folder: Path) -> Trees:
    made = Trees.of(forest(ExtraTreesClassifier, 1), CLASSES, RATE_HZ)
    card = Card(
        encoder="extra_trees",
        window_samples=90,
        rate_hz=RATE_HZ,
        unit="g",
        class_names=tuple("abcde"),
        dataset="drawn",
        fingerprint="0",
        licence=None,
        head="trees",
    )
    Model(averaged([made]), card).save(folder)
    return made


def test_a_folder_with_trees_is_loaded_as_any_model(tmp_path: Path) -> None:
    made, drawn = saved(tmp_path), windows(7, 90, seed=4)
    model = Model.load(tmp_path, precision="bf16")
    np.testing.assert_allclose(model.probabilities(drawn), made(as_tensor(drawn)).softmax(dim=1), atol=1e-6)
    assert not model.card.has_encoder
    with pytest.raises(SslwearError, match="cannot be exported to ONNX"):
        to_onnx(model, tmp_path / "model.onnx")


def test_arrays_that_lack_a_part_are_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    made = network(Card.read(tmp_path / CARD))
    state.pop(next(key for key in state if key.endswith("threshold")))
    with pytest.raises(WeightsError, match="threshold"):
        weights.load_network(made, state, "here")
