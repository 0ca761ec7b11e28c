"""Arrow of time: detect reversed windows."""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask


class Reverse(TransformTask):
    """Detection of windows with reversed time; the sensor axes are not changed."""

    name = "reverse"
    title = "Is the time of this window reversed?"

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Reversal of time."""
        return {"reverse": lambda x, generator: transforms.reverse(x)}
