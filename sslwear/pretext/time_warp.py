"""Time warp: did this window's clock run faster and slower?"""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask


class TimeWarp(TransformTask):
    """Tell windows whose time was window_length_warnings and squeezed along a smooth curve."""

    name = "time_warp"
    title = "Did the clock of this window run faster and slower?"

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Time warp with four knots and sigma 0.2."""
        return {"time_warp": transforms.time_warp}
