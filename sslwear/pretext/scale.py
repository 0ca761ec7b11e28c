"""Scale: was this window's motion made smaller or larger?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslwear import transforms
from sslwear.pretext.base import LevelTask

FACTORS = (1.0, 0.4, 0.65, 1.5, 2.5)


class Scale(LevelTask):
    """Tell by which of five factors a window's motion was multiplied.

    Saeed et al., 'Multi-task self-supervised learning for human activity detection', IMWUT 2019, scale the whole
    signal; gravity, which is always 1 g, would give the factor away, so here what departs from the window's mean is
    scaled. Then the answer is in how forces, tilts and rhythm of real movement go together.
    """

    name = "scale"
    title = "By which of five factors was the motion of this window multiplied?"
    choices = len(FACTORS)

    def level_names(self) -> Sequence[str]:
        """The factors."""
        return [f"motion x {factor:g}" for factor in FACTORS]

    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Scale the motion."""
        return transforms.scale_motion(x, torch.tensor(FACTORS)[level])
