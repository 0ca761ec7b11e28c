"""What a task is to the training loop: a batch's input and target, a head, a loss and a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sslwear.encoders.heads import PUBLISHED, classifier
from sslwear.training.metrics import classification_scores


class Task(ABC):
    """One question asked of a network; supervised classification and every pretext task answer to it.

    A task is all in which supervised and self-supervised training differ: the loop around it is the same.
    """

    headline: ClassVar[str]
    """Name of the score, among those of `scores`, that says most about this task."""
    on_features: ClassVar[bool] = False
    """Whether `batch` leaves windows as they are, so that it takes their features as well."""

    @abstractmethod
    def head(self, features: int) -> nn.Module:
        """Make the head: features (B, features) to the output that `loss` and `answers` take."""

    @abstractmethod
    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Make a batch's input and target.

        Args:
            x: windows (B, 3, samples) in g, on the device that trains.
            labels: class indices (B,), which only a supervised task looks at.
            generator: CPU generator; all that is random is drawn from it.
            training: whether the batch is to learn from.

        Returns:
            Inputs (rows, 3, samples), one or more rows a window, and the target, whose shape only the task knows.
        """

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the rows' weighted losses, and the sum of their weights; their ratio is the mean loss."""

    @abstractmethod
    def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the right answers are and what the network's are: all that is kept of a batch in evaluation.

        Returns:
            Two tensors of one shape, a row each with a few numbers at most, so that memory does not grow with what the
            network gives: classes, for example, or how much there was to explain and how much of it was.
        """

    @abstractmethod
    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Score the `answers` of many batches, joined."""


class ClassTask(Task):
    """A task whose answers are classes; its target is their indices, (B,) or (B, questions)."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Most likely answers, of the shape of the target."""

    def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The target, and the most likely answers."""
        return target, self.predict(output)


class Classification(ClassTask):
    """Supervised classification of windows by activity, with cross-entropy.

    Args:
        classes: number of classes.
        class_weights: weight of each class's samples in the loss (classes,), or None for 1 each.
        kind: of head, ``published`` or ``linear``, see `sslwear.encoders.heads.classifier`.
    """

    headline = "kappa"
    on_features = True

    def __init__(self, classes: int, class_weights: Tensor | None = None, kind: str = PUBLISHED) -> None:
        self.classes = classes
        self.class_weights = class_weights
        self.kind = kind

    def head(self, features: int) -> nn.Module:
        """A classifier of the kind that is wanted."""
        return classifier(self.kind, features, self.classes)

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """The windows, or their features, as they are, and their labels."""
        return x, labels

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy over (B, classes)."""
        each = functional.cross_entropy(output, target, reduction="none")
        if self.class_weights is None:
            return each.sum(), torch.tensor(float(len(target)), device=each.device)
        weights = self.class_weights.to(output)[target]
        return (weights * each).sum(), weights.sum()

    def predict(self, output: Tensor) -> Tensor:
        """Most likely class (B,)."""
        return output.argmax(dim=1)

    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Kappa, macro F1 and the rest of `sslwear.training.metrics.classification_scores`."""
        return classification_scores(truth, predicted, self.classes)


def inverse_frequency(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Class weights n / (classes * n_c), so that every class weighs the same in the loss and the mean weight is 1."""
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy((len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32))
