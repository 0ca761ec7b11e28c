"""Classes without training windows do not steer a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Network
from sslwear.encoders.cnn import Cnn5
from sslwear.training import FitSettings, Windows, evaluate
from sslwear.training.task import Classification, inverse_frequency

SETTINGS = FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=1, patience=1, seed=3, threads=1)


def test_each_class_with_labels_has_the_same_total_weight_and_the_mean_weight_is_1() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = inverse_frequency(labels, 5).numpy()
    assert weights[[2, 4]].tolist() == [0, 0]
    assert weights[labels].mean() == pytest.approx(1)
    assert np.bincount(labels, weights[labels], minlength=4)[[0, 1, 3]] == pytest.approx([10 / 3] * 3)


def test_a_class_that_cannot_be_learnt_does_not_count_in_the_validation_loss(small: Dataset) -> None:
    windows = Windows.of(small, (5,))
    task = Classification(3, inverse_frequency(np.array([0, 1, 1]), 3))
    network = Network(Cnn5(), task.head(Cnn5.features))
    learnt = replace(windows, rows=windows.rows[windows.labels != 2])
    unknown = replace(windows, rows=windows.rows[windows.labels == 2])

    def loss(given: Windows) -> float:
        return evaluate(network, 150, task, given, SETTINGS).loss

    assert loss(windows) == pytest.approx(loss(learnt), rel=1e-5)
    assert loss(unknown) == 0
    with torch.no_grad():
        network.classifier.linear1.weight.fill_(torch.nan)  # type: ignore[union-attr,operator]
    assert np.isnan(loss(unknown))
