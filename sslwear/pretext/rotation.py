"""Rotation: how was the sensor turned?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.pretext.base import LevelTask

AXES = ("x", "y", "z")
TURNS = (90, -90, 180)
"""Degrees about each axis."""


class Rotation(LevelTask):
    """Tell by which of nine turns about the sensor's axes, or by none, a window was rotated.

    Gidaris et al., 'Unsupervised representation learning by predicting image rotations', ICLR 2018, in three
    dimensions; Saeed et al., IMWUT 2019, ask whether a signal was rotated. To tell how takes knowing how a wrist is
    held.
    """

    name = "rotation"
    title = "By which of nine turns about the sensor's axes, or by none, was this window rotated?"
    choices = 1 + len(AXES) * len(TURNS)

    def level_names(self) -> Sequence[str]:
        """The turns."""
        return ["not turned", *(f"turned by {degrees} degrees about {axis}" for axis in AXES for degrees in TURNS)]

    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Turn the axes."""
        return _turns()[level].to(x) @ x


@cache
def _turns() -> Tensor:
    """Rotation matrices by level (choices, 3, 3), of whole numbers, so that nothing is rounded."""
    axes = torch.eye(3).repeat_interleave(len(TURNS), dim=0)
    angles = torch.tensor([math.radians(degrees) for degrees in TURNS]).repeat(len(AXES))
    return torch.cat([torch.eye(3).unsqueeze(0), transforms.rotation_matrices(axes, angles).round()])
