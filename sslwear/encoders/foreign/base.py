"""Base class of encoders from elsewhere, and the adapter by which they compute features of other windows."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import ClassVar

import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SettingsError
from sslwear.utils import plugins

PACKAGE = "sslwear.encoders.foreign"
TOLERANCE = 1e-6
"""Relative difference between lengths in seconds that rounding explains."""


class ForeignEncoder(nn.Module):
    """Base class of encoders from elsewhere, such as a foundation model for time series.

    A subclass sets the class attributes, loads its weights when it is made, and maps windows (B, 3, samples) in g at
    its own rate to features (B, features) in `forward`. It is frozen: nothing of it is trained or changed.
    """

    name: ClassVar[str]
    rate_hz: ClassVar[float]
    """Samples per second of its windows."""
    window_s: ClassVar[float]
    """Length of its windows in seconds."""

    @classmethod
    def samples(cls, window_s: float) -> int:
        """Samples of a window of a length in seconds, at its rate."""
        return round(window_s * cls.rate_hz)


def get(name: str, key: str = "encoder") -> type[ForeignEncoder]:
    """Class of an encoder from elsewhere; `key` is the key of the study file that names it.

    Raises:
        SettingsError: when there is none, or its rate or window length is not a positive number.
    """
    if not (known := plugins.find(PACKAGE, ForeignEncoder)):
        raise SettingsError(
            f"{key}: there is no {name!r}, and no other encoder from elsewhere. Name a file with a ForeignEncoder "
            "under plugins"
        )
    if name not in known:
        raise SettingsError(f"{key}: there is no {name!r}; choose one of {', '.join(known)}")
    found = known[name]
    for attribute in ("rate_hz", "window_s"):
        value = getattr(found, attribute, None)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
            raise SettingsError(f"{key}: the encoder {name!r} has {attribute} = {value!r}. Set a positive number")
    return found


def features_network(encoder: type[ForeignEncoder], window_s: float, key: str = "encoder") -> Network:
    """Network whose output is the features of windows of a length, with one block, which is frozen.

    Args:
        encoder: class of the encoder.
        window_s: length of the windows in seconds, at the encoder's rate. If they are longer than the encoder's, the
            features are the mean over windows of the encoder's length that cover them evenly.
        key: key of the study file that names the encoder, for messages.

    Raises:
        SettingsError: when the windows are shorter than the encoder's, it cannot be made, or its output is no features.
    """
    if window_s < encoder.window_s * (1 - TOLERANCE):
        raise SettingsError(
            f"{key}: the encoder {encoder.name!r} takes windows of {encoder.window_s:g} s, and those of the data are "
            f"shorter, {window_s:g} s. Prepare longer windows"
        )
    try:
        block = _Covering(encoder())
        with torch.no_grad():
            found = block.eval()(torch.zeros(2, 3, encoder.samples(window_s)))
    except SettingsError:
        raise
    except Exception as error:  # code of others may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise SettingsError(
            f"{key}: the encoder {encoder.name!r} cannot be used ({reason}). Correct its class"
        ) from error
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != 2 or not found.shape[1]:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise SettingsError(
            f"{key}: the encoder {encoder.name!r} gives {shape} for two windows. Give a tensor (B, features)"
        )
    return Network(_Adapter(block), nn.Identity()).requires_grad_(False)


class _Covering(nn.Module):
    """An encoder from elsewhere, applied to as few of its windows as cover a window, with their mean features."""

    def __init__(self, encoder: ForeignEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.samples = encoder.samples(encoder.window_s)
        self.place = nn.Parameter(torch.zeros(()), requires_grad=False)  # tells the device, also without other tensors

    def extra_repr(self) -> str:
        """Part of the keys of kept features."""
        return f"{self.encoder.name}, samples={self.samples}, rate_hz={self.encoder.rate_hz}"

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, features) of windows (B, 3, samples)."""
        last = x.shape[2] - self.samples
        count = math.ceil(x.shape[2] / self.samples)
        starts = [round(i * last / max(1, count - 1)) for i in range(count)]
        parts: list[Tensor] = [self.encoder(x[:, :, start : start + self.samples]) for start in starts]
        if len(parts) == 1:
            return parts[0]
        found: Tensor = torch.stack(parts).mean(dim=0)
        return found


class _Adapter(Encoder):
    """What `Network` takes from an encoder: its blocks, of which there is one."""

    def __init__(self, block: _Covering) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential(OrderedDict(encoder=block))
