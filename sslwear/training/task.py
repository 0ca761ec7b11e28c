"""Tasks of the training loop: inputs and targets of a batch, the head, the loss and the scores."""

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
    """Interface of supervised classification and of pretext tasks.

    Supervised and self-supervised training differ in the task only; the training loop is the same.
    """

    headline: ClassVar[str]
    """Name of the main score among those of `scores`."""
    on_features: ClassVar[bool] = False
    """Whether `batch` does not change windows, so that it also accepts outputs of the first blocks."""

    across: ClassVar[bool] = False
    """Whether the loss of a row depends on other rows of the batch, so that it has to be computed of all together."""

    @abstractmethod
    def head(self, features: int) -> nn.Module:
        """New head: maps features (B, features) to the output that `loss` and `answers` take."""

    @abstractmethod
    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch.

        Args:
            x: windows (B, 3, samples) in g, on the device that trains.
            labels: class indices (B,), used by supervised tasks only.
            generator: CPU generator of all random numbers.
            training: whether the batch is for training.

        Returns:
            Inputs (rows, 3, samples), one or more rows for a window (the first rows of all windows, then the second
            ones), and the target in the format of the task.
        """

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the weighted losses of the rows, and sum of the weights; their ratio is the mean loss."""

    @abstractmethod
    def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Correct and predicted answers of a batch, the input of `scores`.

        Returns:
            Two tensors of the same shape with a few numbers for each row, such as class indices, so that the memory of
            an evaluation does not grow with the size of the network's outputs.
        """

    @abstractmethod
    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Scores of the `answers` of all batches, by name."""


class ClassTask(Task):
    """Task whose answers are classes; the target is class indices (B,) or (B, questions)."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Most likely classes, in the shape of the target."""

    def answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The target, and the most likely classes."""
        return target, self.predict(output)


class Classification(ClassTask):
    """Supervised classification of windows by activity, with cross-entropy.

    Args:
        classes: number of classes.
        class_weights: weight of each class in the loss (classes,), or None for equal weights of 1.
        kind: kind of head, ``published`` or ``linear``, see `sslwear.encoders.heads.classifier`.
        label_smoothing: share of the target that is spread evenly over all classes, also in validation.
    """

    headline = "kappa"
    on_features = True

    def __init__(
        self, classes: int, class_weights: Tensor | None = None, kind: str = PUBLISHED, label_smoothing: float = 0.0
    ) -> None:
        self.label_smoothing = label_smoothing
        self.classes = classes
        self.class_weights = class_weights
        self.kind = kind

    def head(self, features: int) -> nn.Module:
        """New classification head."""
        return classifier(self.kind, features, self.classes)

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """The windows, or their outputs of the first blocks, unchanged, and the labels."""
        return x, labels

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted cross-entropy of logits (B, classes)."""
        each = functional.cross_entropy(output, target, reduction="none", label_smoothing=self.label_smoothing)
        if self.class_weights is None:
            return each.sum(), each.new_full((), len(target))
        if self.class_weights.device != each.device:  # moved once: a CUDA graph cannot copy from the CPU
            self.class_weights = self.class_weights.to(each.device)
        weights = self.class_weights[target]
        return (weights * each).sum(), weights.sum()

    def predict(self, output: Tensor) -> Tensor:
        """Most likely classes (B,)."""
        return output.argmax(dim=1)

    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """Scores of `sslwear.training.metrics.classification_scores`."""
        return classification_scores(truth, predicted, self.classes)


def inverse_frequency(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Class weights: every class with labels has the same total weight, and the mean weight is 1.

    A class without labels cannot be learnt. It has the weight 0, so that its validation windows, whose loss rises the
    more certain a network becomes, do not decide the number of epochs.
    """
    counts = np.bincount(labels, minlength=classes)
    shares = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.from_numpy(np.where(counts > 0, shares, 0).astype(np.float32))
