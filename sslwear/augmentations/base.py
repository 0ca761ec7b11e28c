"""Base class of augmentations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sslwear.utils import plugins

PACKAGE = "sslwear.augmentations"


@dataclass(frozen=True)
class Augmentation(ABC):
    """Random change of training windows that keeps their labels.

    All random numbers of an epoch are drawn at once and applied batch by batch. An epoch can therefore be computed
    again in any order, and cached outputs of frozen blocks stay valid. A study creates the class without arguments.
    """

    name: ClassVar[str]

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the random parameters of windows.

        Args:
            count: number of windows.
            generator: CPU generator; the only source of random numbers.

        Returns:
            Parameters (count, ...) on the CPU, in an order of windows that the caller keeps.
        """

    @abstractmethod
    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Change windows by their parameters; nothing is random here, and windows do not depend on each other.

        Args:
            x: windows (B, 3, samples) in g, which stay as they are.
            drawn: parameters of these windows (B, ...), on the device of the windows.

        Returns:
            Windows (B, 3, samples) in g.
        """


def find() -> dict[str, type[Augmentation]]:
    """All augmentations by name."""
    return plugins.find(PACKAGE, Augmentation)


def get(name: str, key: str = "augment") -> type[Augmentation]:
    """Return the augmentation called `name`; `key` is the key of the study file, for the message.

    Raises:
        SettingsError: when there is none; the message lists the names.
    """
    return plugins.get(PACKAGE, Augmentation, name, key, besides=("true", "false"))
