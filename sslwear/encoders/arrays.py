"""Base class of classifiers that are fitted and not trained, and are kept as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Arrays(nn.Module):
    """Module whose buffers get the sizes of those in a checkpoint when it is loaded.

    A subclass maps windows (B, 3, samples) in g to logarithms of class probabilities (B, classes), and registers empty
    buffers of the right types and numbers of dimensions.
    """

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        for name, buffer in list(self.named_buffers(recurse=False)):
            wanted = state_dict.get(prefix + name)
            if isinstance(wanted, Tensor) and wanted.ndim == buffer.ndim:
                setattr(self, name, buffer.new_zeros(wanted.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
