"""Time warp: detect windows with warped time."""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask


class TimeWarp(TransformTask):
    """Detection of windows whose time was stretched and compressed along a smooth curve."""

    name = "time_warp"
    title = "Was the time of this window warped?"

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Time warp with four knots and sigma 0.2."""
        return {"time_warp": transforms.time_warp}
