"""Permutation: were this window's segments put in another order?"""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask


class Permutation(TransformTask):
    """Tell windows whose four segments, of at least 10 samples, changed places."""

    name = "permutation"
    title = "Did the four segments of this window change places?"

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Permutation of four segments."""
        return {"permutation": transforms.permute_segments}
