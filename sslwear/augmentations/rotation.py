"""Random rotations, because devices are worn in different orientations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear.augmentations.base import Augmentation
from sslwear.transforms import random_axis_switches, random_rotations


@dataclass(frozen=True)
class Rotation(Augmentation):
    """Rotation of each window: a random order of the axes, then a random rotation.

    Attributes:
        most_degrees: largest rotation in degrees, without a change of the order of axes, for small differences in how
            a device is worn; None for any orientation.
    """

    name = "rotation"

    most_degrees: float | None = None

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Matrices (count, 3, 3)."""
        if self.most_degrees is not None:
            return random_rotations(count, generator, self.most_degrees)
        switches = random_axis_switches(count, generator)
        return random_rotations(count, generator) @ switches

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) multiplied by their matrices (B, 3, 3)."""
        return drawn @ x
