"""Rotation: detect the rotation of the sensor."""

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
"""Rotations about each axis, in degrees."""


class Rotation(LevelTask):
    """Detection of the rotation of a window: none, or one of nine about the sensor's axes.

    It is the task of Gidaris et al., 'Unsupervised representation learning by predicting image rotations', ICLR 2018,
    in three dimensions. Saeed et al., IMWUT 2019, ask only whether a signal was rotated. To detect the rotation, a
    network must learn typical postures of a wrist.
    """

    name = "rotation"
    title = "By which of nine rotations about the sensor's axes, or by none, was this window rotated?"
    choices = 1 + len(AXES) * len(TURNS)

    def level_names(self) -> Sequence[str]:
        """Names of the rotations."""
        return ["not rotated", *(f"rotated by {degrees} degrees about {axis}" for axis in AXES for degrees in TURNS)]

    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Rotated windows."""
        return _rotations()[level].to(x) @ x


@cache
def _rotations() -> Tensor:
    """Rotation matrices by level (choices, 3, 3); their entries are whole numbers, so nothing is rounded."""
    axes = torch.eye(3).repeat_interleave(len(TURNS), dim=0)
    angles = torch.tensor([math.radians(degrees) for degrees in TURNS]).repeat(len(AXES))
    return torch.cat([torch.eye(3).unsqueeze(0), transforms.rotation_matrices(axes, angles).round()])
