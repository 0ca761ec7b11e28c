"""Contrastive task: find the two views of the same window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sslwear import transforms
from sslwear.encoders.heads import Projection
from sslwear.pretext.base import CHANCE, Example, PretextTask

TEMPERATURE = 0.1
MOST_DEGREES, SCALE_SIGMA, JITTER_G = 45.0, 0.1, 0.05


class Contrastive(PretextTask):
    """Contrastive task with SimCLR's NT-Xent loss over two augmented views of each window of a batch.

    It follows Tang et al., 'Exploring contrastive learning in human activity recognition for healthcare', arXiv
    2011.11542: a view is rotated at random, its motion is scaled by N(1, 0.1), and noise of 0.05 g is added. The head
    is their MLP. Rotations are by up to 45 degrees and not by any angle. Any angle needs long trainings with large
    batches (on the smart-watch data the accuracy stayed near chance), and posture contains information about activity.
    Windows are compared within a batch, so larger batches make the task harder and the features better.
    """

    name = "contrastive"
    title = "Which two augmented views, of all in the batch, are of the same window?"

    across = True

    def head(self, features: int) -> nn.Module:
        """Projection onto the unit sphere."""
        return Projection(features)

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """First views of all windows, then second views (2B, 3, samples); targets (2B,) are the other views."""
        count = len(x)
        target = torch.arange(2 * count, device=x.device).roll(count)
        return torch.cat([_view(x, generator), _view(x, generator)]), target

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """NT-Xent loss: cross-entropy of each view's similarities to all others, divided by the temperature."""
        each = functional.cross_entropy(_similarities(output) / TEMPERATURE, target, reduction="none")
        return each.sum(), each.new_full((), len(target))

    def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Index of the other view and of the most similar one (2B, 2), each with the number of candidates."""
        others = torch.full_like(target, len(target) - 1)
        return torch.stack([target, others], 1), torch.stack([_similarities(output).argmax(dim=1), others], 1)

    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """``accuracy``, the share of views for which the other view is the most similar one, and ``chance``."""
        return {
            "accuracy": float((truth[:, 0] == predicted[:, 0]).mean()),
            CHANCE: float((1 / truth[:, 1]).mean()),
        }

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """Two views of a window."""
        return [Example(f"{which} view", _view(x, generator)[0]) for which in ("first", "second")]


def _view(x: Tensor, generator: torch.Generator) -> Tensor:
    """Augmented view of windows (B, 3, samples)."""
    count = len(x)
    x = transforms.random_rotations(count, generator, MOST_DEGREES).to(x) @ x
    x = transforms.scale_motion(x, 1 + SCALE_SIGMA * torch.randn(count, generator=generator))
    return transforms.jitter(x, torch.full((count,), JITTER_G), generator)


def _similarities(output: Tensor) -> Tensor:
    """Cosine similarities (rows, rows) of unit vectors (rows, size); -inf on the diagonal."""
    itself = torch.eye(len(output), dtype=torch.bool, device=output.device)
    return (output @ output.mT).masked_fill(itself, -torch.inf)
