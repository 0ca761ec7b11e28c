"""Arrow of time: is this window played backwards?"""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask


class Reverse(TransformTask):
    """Tell windows played backwards; time turns round, the sensor axes do not."""

    name = "reverse"
    title = "Is this window played backwards?"

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Reversal of time."""
        return {"reverse": lambda x, generator: transforms.reverse(x)}
