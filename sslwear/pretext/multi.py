"""Arrow of time, permutation and time warp together, one head each, as the harnets were pre-trained."""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask
from sslwear.pretext.permutation import Permutation
from sslwear.pretext.reverse import Reverse
from sslwear.pretext.time_warp import TimeWarp


class Multi(TransformTask):
    """Three questions of the same window, each transform applied or not whatever the others are."""

    name = "multi"
    title = "Was this window played backwards, permuted, time-warped? Three questions at once."

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """The transforms of the three single tasks, one after another."""
        return {**Reverse().transforms(), **Permutation().transforms(), **TimeWarp().transforms()}
