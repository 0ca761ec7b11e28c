"""Change of hands, because devices are worn on either wrist."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.augmentations.base import Augmentation
from sslwear.errors import SettingsError

AXES = (1, 2, 3)
"""Numbers of the axes x, y and z."""


@dataclass(frozen=True)
class Flip(Augmentation):
    """Changes hands in half of the windows: the axis AXIS (1, or x) changes its sign.

    AXIS is the one along the forearm. The same motion of the other arm is a mirror image, but a watch is not mirrored
    with the arm: on the other wrist, this axis points to the elbow instead of the hand, while the other two keep their
    sides. So only the sign of this axis differs. It is x on watches whose x axis points to the right of the display. No
    rotation does the same.

    Attributes:
        axis: number of the axis along the forearm: 1, 2 or 3 for x, y or z.
    """

    name = "flip"
    form = "flip(AXIS)"
    examples = ("flip", "flip(2)")
    on_device = True

    axis: float = 1

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise SettingsError(f"in {self.form}, the axis must be 1, 2 or 3 for x, y or z, but is {self.axis:g}")

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Whether a window changes hands (count,)."""
        return torch.rand(count, generator=generator) < 0.5

    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Windows (B, 3, samples), those that change hands (B,) with the other sign on the axis."""
        return transforms.where(drawn, transforms.flip_axis(x, int(self.axis) - 1), x)
