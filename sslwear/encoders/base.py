"""Base class of encoders, and networks of an encoder and a head."""

from __future__ import annotations

from typing import ClassVar

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

    feature_extractor: nn.Sequential

    @classmethod
    def block_names(cls) -> tuple[str, ...]:
        """Names of the blocks, input side first."""
        return tuple(f"layer{i}" for i in range(1, 6))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, features) of windows (B, 3, samples) in g."""
        features: Tensor = self.feature_extractor(x)
        return features.flatten(1)


class Network(nn.Module):
    """Encoder with a head; the tensor names are those of the published checkpoints.

    Args:
        encoder: encoder; its blocks are shared, not copied.
        head: maps features (B, features) to the input of a task's loss.
    """

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.feature_extractor = encoder.feature_extractor
        self.classifier = head

    @property
    def blocks(self) -> dict[str, nn.Module]:
        """Blocks of the encoder by name, input side first."""
        return dict(self.feature_extractor.named_children())

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Output of the head for windows (B, 3, samples) in g, or for outputs of the first `start` blocks."""
        output: Tensor = self.classifier(self.forward_blocks(x, start).flatten(1))
        return output

    def forward_blocks(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Output of the blocks `start` to `stop` - 1, counted from 0."""
        for block in list(self.feature_extractor)[start:stop]:
            x = block(x)
        return x


def get(name: str) -> type[Encoder]:
    """Encoder class by name.

    Raises:
        SettingsError: when no encoder has the name.
    """
    return plugins.get("sslwear.encoders", Encoder, name, "encoder")
