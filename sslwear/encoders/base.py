"""Base class of encoders, and networks of an encoder and a head."""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from sslwear.utils import plugins


class Encoder(nn.Module):
    """Base class of encoders, which map windows to features.

    A subclass sets the class attributes and builds ``feature_extractor``, an `nn.Sequential` whose children are the
    blocks that a study can freeze or tune, input side first.
    """

    name: ClassVar[str]
    window_samples: ClassVar[int]
    """Window length in samples."""
    rate_hz: ClassVar[float] = 30.0
    features: ClassVar[int]
    """Number of features of a window."""
    shortest_s: ClassVar[float | None] = None
    """Shortest windows in seconds of an encoder that takes windows of any length; None for those that do not."""

    adapted: ClassVar[bool] = False
    """Whether it was made by `for_windows`, for windows of another length than its own."""

    feature_extractor: nn.Sequential

    @classmethod
    def block_names(cls) -> tuple[str, ...]:
        """Names of the blocks, input side first."""
        return tuple(f"layer{i}" for i in range(1, 6))

    @classmethod
    def for_windows(cls, window_s: float | None) -> type[Self]:
        """The encoder for windows of a length, if it takes any; otherwise itself, for which windows are resampled.

        Args:
            window_s: length of the windows in seconds; None if it is not known.
        """
        if cls.shortest_s is None or window_s is None or window_s < cls.shortest_s:
            return cls
        samples = {"window_samples": round(window_s * cls.rate_hz), "__module__": cls.__module__, "adapted": True}
        return cls if samples["window_samples"] == cls.window_samples else type(cls.__name__, (cls,), samples)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, features) of windows (B, 3, samples) in g."""
        features: Tensor = self.feature_extractor(x)
        return features.flatten(1)


class Blocks(Protocol):
    """What a network takes of an encoder."""

    feature_extractor: nn.Sequential


class Network(nn.Module):
    """Encoder with a head; the tensor names are those of the published checkpoints.

    Args:
        encoder: encoder; its blocks are shared, not copied.
        head: maps features (B, features) to the input of a task's loss.

    Attributes:
        made_by: class of the encoder, with the version of its plug-in, for keys of what is computed.
    """

    def __init__(self, encoder: Blocks, head: nn.Module) -> None:
        super().__init__()
        self.made_by = f"{type(encoder).__qualname__} {plugins.identity(type(encoder))}"
        self.feature_extractor = encoder.feature_extractor
        self.classifier = head

    @property
    def blocks(self) -> dict[str, nn.Module]:
        """Blocks of the encoder by name, input side first."""
        return dict(self.feature_extractor.named_children())

    def forward(self, x: Tensor, start: int = 0, factors: Tensor | None = None) -> Tensor:
        """Output of the head.

        Args:
            x: windows (B, 3, samples) in g, or outputs of the first `start` blocks.
            start: number of blocks that `x` has passed.
            factors: factors of the features (B, features), such as those of dropout; None for no change.
        """
        features = self.forward_blocks(x, start).flatten(1)
        output: Tensor = self.classifier(features if factors is None else features * factors)
        return output

    def forward_blocks(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Output of the blocks `start` to `stop` - 1, counted from 0.

        The first block is computed in float32, also under autocast, because bf16 rounds 1 g to steps of 4 to 8 mg.
        """
        device = x.device.type
        for number, block in enumerate(list(self.feature_extractor)[start:stop], start):
            exact = number == 0 and torch.is_autocast_enabled(device)
            with torch.autocast(device, enabled=False) if exact else nullcontext():
                x = block(x)
        return x


def get(name: str) -> type[Encoder]:
    """Encoder class by name.

    Raises:
        SettingsError: when no encoder has the name.
    """
    return plugins.get("sslwear.encoders", Encoder, name, "encoder")
