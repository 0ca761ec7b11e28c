"""Multi-task pre-training of the harnets: arrow of time, permutation and time warp, with one head each."""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask
from sslwear.pretext.permutation import Permutation
from sslwear.pretext.reverse import Reverse
from sslwear.pretext.time_warp import TimeWarp


class Multi(TransformTask):
    """Three questions about a window, whose transforms are applied independently of each other."""

    name = "multi"
    title = "Was this window reversed, permuted, time-warped? Three questions at once."

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Transforms of the three single tasks, in this order."""
        return {**Reverse().transforms(), **Permutation().transforms(), **TimeWarp().transforms()}
