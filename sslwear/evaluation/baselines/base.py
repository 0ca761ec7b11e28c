"""What every baseline offers: a classifier without a network, to compare networks with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sslwear.training import Windows
from sslwear.utils import plugins

PACKAGE = "sslwear.evaluation.baselines"


class Baseline(ABC):
    """A classifier that is fitted anew in each fold with each seed."""

    name: ClassVar[str]

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


def get(name: str, key: str = "baseline") -> type[Baseline]:
    """Return the baseline called `name`; `key` is the study file's key that asks for it.

    Raises:
        SettingsError: when there is none; the message lists the names.
    """
    return plugins.get(PACKAGE, Baseline, name, key)
