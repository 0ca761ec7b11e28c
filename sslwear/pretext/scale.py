"""Scale: detect the factor of a window's motion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.pretext.base import LevelTask

FACTORS = (1.0, 0.4, 0.65, 1.5, 2.5)


class Scale(LevelTask):
    """Detection of the factor, one of five, by which a window's motion was multiplied.

    Saeed et al., 'Multi-task self-supervised learning for human activity detection', IMWUT 2019, scale the whole
    signal. Gravity, which is always 1 g, would reveal the factor, so only the difference from the window's mean is
    scaled here. A network must learn how force, tilt and rhythm are related in real movement.
    """

    name = "scale"
    title = "By which of five factors was the motion of this window multiplied?"
    choices = len(FACTORS)

    def level_names(self) -> Sequence[str]:
        """Factors of the motion."""
        return [f"motion x {factor:g}" for factor in FACTORS]

    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Windows with scaled motion."""
        return transforms.scale_motion(x, torch.tensor(FACTORS)[level])
