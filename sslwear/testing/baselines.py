"""Contract of baselines, to be run by pytest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sslwear.data.arrays import Description
from sslwear.data.dataset import Dataset
from sslwear.encoders.card import FITTED, fitted_kind
from sslwear.evaluation.baselines.base import Baseline, missing
from sslwear.training import Windows

CLASSES = 3
SAMPLES, RATE_HZ = 150, 30
KEPT_TOLERANCE = 5e-3
"""Difference of probabilities that another order of sums in a convolution explains."""


def dataset(classes: int = CLASSES) -> Dataset:
    """Artificial windows of five participants, each with six windows of each class; classes differ in frequency."""
    time, random = np.arange(SAMPLES) / RATE_HZ, np.random.default_rng(0)
    labels = np.tile(np.repeat(np.arange(classes), 6), 5)
    pid = np.repeat(np.arange(5), classes * 6)
    windows = 0.05 * random.normal(size=(len(pid), SAMPLES, 3))
    windows[..., 0] += 0.4 * np.sin(2 * np.pi * (0.5 + 2 * labels[:, None]) * time + pid[:, None])
    windows[..., 2] += 1
    return Dataset(
        folder=Path("artificial"),
        windows=windows.astype(np.float32),
        labels=labels,
        pid=pid,
        start=np.arange(len(pid), dtype=float),
        worn=np.ones(len(pid), bool),
        class_names=tuple(f"class {code}" for code in range(classes)),
        description=Description(name="artificial", rate_hz=RATE_HZ, window_s=SAMPLES / RATE_HZ),
        fingerprint="artificial",
    )


class BaselineContract:
    """What every baseline has to fulfil: a class for each test window, without the labels of the test windows.

    A test module subclasses it::

        class TestMyBaseline(BaselineContract):
            baseline = MyBaseline
    """

    baseline: ClassVar[type[Baseline]]

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        """Skip the tests where a package that the baseline needs is not installed."""
        if (package := missing(self.baseline)) is not None:
            pytest.skip(f"{self.baseline.name} needs {package}")

    def predicted(
        self, data: Dataset, test: Dataset | None = None, classes: int = CLASSES, seed: int = 1
    ) -> NDArray[np.int64]:
        """Predictions for participant 4, who is read from `test` where it is given."""
        return self.baseline().predict(*self._sides(data, test), classes, seed)

    def _sides(self, data: Dataset, test: Dataset | None = None) -> tuple[Windows, Windows, Windows]:
        return Windows.of(data, (0, 1, 2)), Windows.of(data, (3,)), Windows.of(test or data, (4,))

    def test_each_test_window_gets_a_class(self) -> None:
        found = self.predicted(dataset())
        assert found.shape == (CLASSES * 6,)
        assert found.dtype == np.int64
        assert set(found.tolist()) <= set(range(CLASSES))

    def test_the_class_of_a_window_is_the_one_with_the_highest_probability(self) -> None:
        data, classes = dataset(), CLASSES + 1
        found = self.baseline().probabilities(*self._sides(data), classes, 1)
        assert found.shape == (CLASSES * 6, classes)
        assert found.dtype == np.float64
        assert (found >= 0).all()
        assert np.allclose(found.sum(axis=1), 1)
        assert found.argmax(axis=1).tolist() == self.predicted(data, classes=classes).tolist()

    def test_labels_of_test_windows_are_not_used(self) -> None:
        data = dataset()
        other = replace(data, labels=(data.labels + 1) % CLASSES)
        assert self.predicted(data, test=other).tolist() == self.predicted(data).tolist()

    def test_the_same_seed_gives_the_same_predictions_whatever_the_global_random_numbers(self) -> None:
        found = []
        for seed in (0, 1):
            np.random.seed(seed)  # noqa: NPY002 - the global numbers must not be used
            found.append(self.predicted(dataset()).tolist())
        assert found[0] == found[1]

    def test_windows_and_labels_are_not_changed(self) -> None:
        data = dataset()
        self.predicted(data)
        assert np.array_equal(data.windows, dataset().windows)
        assert np.array_equal(data.labels, dataset().labels)

    def test_a_class_without_training_windows_is_no_error(self) -> None:
        found = self.predicted(dataset(), classes=CLASSES + 1)
        assert set(found.tolist()) <= set(range(CLASSES + 1))

    def test_a_kept_classifier_gives_the_probabilities_of_the_fit(self) -> None:
        if not self.baseline.can_be_kept():
            pytest.skip("it does not define `fitted`, so that it cannot be promoted")
        data, classes = dataset(), CLASSES + 1
        train, _, test = self._sides(data)
        nobody = Windows.of(data, ())
        expected = self.baseline().probabilities(train, nobody, test, classes, 1)
        made = self.baseline().fitted(train, SAMPLES, classes, 1)
        assert made is not None
        copy = FITTED[fitted_kind(made)]()
        copy.load_state_dict(made.state_dict())
        with torch.no_grad():
            found = copy(data.gather(test.rows, SAMPLES)).softmax(dim=1).numpy()
        assert np.abs(found - expected).max() < KEPT_TOLERANCE
