"""Random rotations, because devices are worn in different orientations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sslwear.augmentations.base import Augmentation, check_number
from sslwear.transforms import random_axis_switches, random_rotations
from sslwear.utils.arguments import argument

HALF_TURN = 180


@dataclass(frozen=True)
class Rotation(Augmentation):
    """Turns to any orientation, and switches axes; rotate turns up to DEGREES (180).

    `rotation` puts the axes into a random order and then turns the window to any orientation. Half of the windows are
    therefore mirrored, as no turned device records them. `rotate` turns about a random axis, so that it can stand for
    differences in how a device is worn. After Um et al., 'Data augmentation of wearable sensor data', ICMI 2017.

    Attributes:
        most_degrees: largest rotation in degrees, without a change of the order of axes; None for any orientation, with
            such a change.
    """

    name = "rotation"
    form = "rotate(DEGREES)"
    examples = ("rotation", "rotate", "rotate(20)")
    on_device = True

    most_degrees: float | None = None

    def __post_init__(self) -> None:
        if self.most_degrees is not None:
            check_number(self.form, self.most_degrees, HALF_TURN)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``rotation``, ``rotate`` or ``rotate(20)``."""
        if text == cls.name:
            return cls()
        degrees = argument(text, "rotate", HALF_TURN, cls.form)
        return None if degrees is None else cls(float(degrees))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Matrices (count, 3, 3)."""
        if self.most_degrees is not None:
            return random_rotations(count, generator, self.most_degrees)
        switches = random_axis_switches(count, generator)
        return random_rotations(count, generator) @ switches

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples) multiplied by their matrices (B, 3, 3)."""
        return drawn @ x
