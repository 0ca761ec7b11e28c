"""Heads of networks, which take the features of an encoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslwear.errors import SettingsError

HIDDEN = 512
PUBLISHED, LINEAR = HEADS = ("published", "linear")
"""Kinds of classification heads, see `classifier`."""


FIRST_OUTPUTS = 0.01
"""Factor of the initial weights of the last layer, so that an untrained network guesses."""


class Classifier(nn.Module):
    """Classification head of the published models, two linear layers: (B, features) to logits (B, classes).

    Unlike the published one, it starts with nearly uniform predictions, see `guess`.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, classes)
        for linear in (self.linear1, self.linear2):
            nn.init.kaiming_normal_(linear.weight, mode="fan_out", nonlinearity="relu")
        guess(self.linear2)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, features) to logits (B, classes)."""
        logits: Tensor = self.linear2(functional.relu(self.linear1(features)))
        return logits


def classifier(kind: str, features: int, classes: int) -> nn.Module:
    """New classification head, features (B, features) to logits (B, classes).

    Args:
        kind: ``published`` for the two layers of the published models (`Classifier`), ``linear`` for one layer.
        features: number of input features.
        classes: number of classes.

    Raises:
        SettingsError: when the kind is unknown.
    """
    if kind not in HEADS:
        raise SettingsError(f"head: there is no '{kind}'; choose one of {', '.join(HEADS)}")
    return Classifier(features, classes) if kind == PUBLISHED else guess(nn.Linear(features, classes))


def guess(layer: nn.Linear) -> nn.Linear:
    """The layer, with its initial weights multiplied by `FIRST_OUTPUTS`."""
    with torch.no_grad():
        layer.weight.mul_(FIRST_OUTPUTS)
    return layer


class LinearHeads(nn.ModuleDict):
    """Parallel linear heads, one for each question: (B, features) to logits (B, sum of classes), in the given order.

    Args:
        features: number of input features.
        classes: number of answers for each question.
    """

    def __init__(self, features: int, classes: Mapping[str, int]) -> None:
        super().__init__({question: guess(nn.Linear(features, answers)) for question, answers in classes.items()})

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, features) to logits (B, sum of classes)."""
        return torch.cat([head(features) for head in self.values()], dim=1)


class Projection(nn.Module):
    """Projection head for contrastive learning, three linear layers: (B, features) to unit vectors (B, 50).

    The sizes are those of Tang et al., arXiv 2011.11542.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, 256)
        self.linear2 = nn.Linear(256, 128)
        self.linear3 = nn.Linear(128, 50)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, features) to unit vectors (B, 50)."""
        hidden = functional.relu(self.linear2(functional.relu(self.linear1(features))))
        return functional.normalize(self.linear3(hidden), dim=1)
