"""Permutation: detect windows with reordered segments."""

from __future__ import annotations

from collections.abc import Mapping

from sslwear import transforms
from sslwear.pretext.base import TransformTask


class Permutation(TransformTask):
    """Detection of windows whose four segments were reordered, see `sslwear.transforms.permute_segments`."""

    name = "permutation"
    title = "Were the four segments of this window reordered?"

    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Permutation of four segments."""
        return {"permutation": transforms.permute_segments}
