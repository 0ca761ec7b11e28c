"""What every baseline offers: a classifier without a network, to compare networks with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sslwear.encoders.arrays import Arrays
from sslwear.training import Windows
from sslwear.utils import plugins

PACKAGE = "sslwear.evaluation.baselines"


class Baseline(ABC):
    """A classifier that is fitted anew in each fold with each seed."""

    name: ClassVar[str]
    needs: ClassVar[Mapping[str, str]] = {}
    """Packages that it imports where they are used, with what ``pip install`` takes to install them."""

    @abstractmethod
    def predict(self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int) -> NDArray[np.int64]:
        """Fit on training and validation windows, and classify test windows.

        Args:
            train: windows to learn from.
            validation: windows to choose by, or more windows to learn from.
            test: windows to classify; their labels must not be looked at.
            classes: size of the label set.
            seed: of everything random.

        Returns:
            Class indices of the test windows (n,).
        """

    def probabilities(
        self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int
    ) -> NDArray[np.float64]:
        """Fit as `predict` does, and give class probabilities, which ensembles average.

        The class with the highest one, the first of equals, is the class that `predict` gives. By default that class
        has the probability 1.

        Returns:
            Probabilities of the test windows (n, classes); each row adds up to 1.
        """
        return np.eye(classes)[self.predict(train, validation, test, classes, seed)]

    def fitted(self, windows: Windows, samples: int, classes: int, seed: int) -> Arrays | None:
        """Fit to windows as `predict` does, for promotion; None for a baseline that cannot be kept, the default.

        Args:
            windows: windows to learn from.
            samples: length in samples to which they are resampled, that of the model's windows.
            classes: size of the label set.
            seed: of everything random.

        Returns:
            The fitted classifier, whose class `sslwear.encoders.card.FITTED` names.
        """
        return None

    @classmethod
    def can_be_kept(cls) -> bool:
        """Whether it can be promoted."""
        return cls.fitted is not Baseline.fitted


class ProbabilityBaseline(Baseline):
    """A baseline that computes probabilities, and predicts the class with the highest one."""

    @abstractmethod
    def probabilities(
        self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int
    ) -> NDArray[np.float64]:
        """See `Baseline.probabilities`."""

    def predict(self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int) -> NDArray[np.int64]:
        """Classes with the highest probabilities (n,)."""
        found: NDArray[np.int64] = self.probabilities(train, validation, test, classes, seed).argmax(axis=1)
        return found


def get(name: str, key: str = "baseline") -> type[Baseline]:
    """Return the baseline called `name`; `key` is the study file's key that asks for it.

    Raises:
        SettingsError: when there is none; the message lists the names.
    """
    return plugins.get(PACKAGE, Baseline, name, key)


def own() -> dict[str, type[Baseline]]:
    """Baselines that come with the package, by name."""
    found = plugins.find(PACKAGE, Baseline)
    return {name: baseline for name, baseline in found.items() if baseline.__module__.startswith(f"{PACKAGE}.")}


def missing(baseline: type[Baseline]) -> str | None:
    """The package that a baseline lacks and how to install it, for messages; None if it lacks none."""
    for package, install in baseline.needs.items():
        if find_spec(package) is None:
            return f"the package {package}, which pip install '{install}' installs"
    return None
