"""What every encoder offers: five named blocks and a number of features."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from sslwear.utils import plugins


class Encoder(nn.Module):
    """A network body that turns windows into features.

    A subclass sets the class attributes and builds ``feature_extractor``, an `nn.Sequential` whose children are the
    blocks that a study may freeze or tune, in the order in which data flows.
    """

    name: ClassVar[str]
    window_samples: ClassVar[int]
    """Length of the windows that the encoder takes, in samples."""
    rate_hz: ClassVar[float] = 30.0
    features: ClassVar[int]
    """Number of features per window."""

    feature_extractor: nn.Sequential

    @classmethod
    def block_names(cls) -> tuple[str, ...]:
        """Names of the blocks, input side first."""
        return tuple(f"layer{i}" for i in range(1, 6))

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (B, 3, samples) in g to features (B, features)."""
        features: Tensor = self.feature_extractor(x)
        return features.flatten(1)


class Network(nn.Module):
    """An encoder's blocks with a head on them; its tensor names are those of the published checkpoints.

    Args:
        encoder: the body; its blocks become this network's, they are not copied.
        head: maps features (B, features) to what a task's loss takes.
    """

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.feature_extractor = encoder.feature_extractor
        self.classifier = head

    @property
    def blocks(self) -> dict[str, nn.Module]:
        """The encoder's blocks by name, input side first."""
        return dict(self.feature_extractor.named_children())

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Map windows (B, 3, samples) in g, or outputs of the first `start` blocks, to the head's output."""
        output: Tensor = self.classifier(self.forward_blocks(x, start).flatten(1))
        return output

    def forward_blocks(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Apply the blocks from number `start` to before number `stop`, counted from 0."""
        for block in list(self.feature_extractor)[start:stop]:
            x = block(x)
        return x


def get(name: str) -> type[Encoder]:
    """Return the encoder class called `name`.

    Raises:
        SettingsError: when there is none.
    """
    return plugins.get("sslwear.encoders", Encoder, name, "encoder")
