"""What training is told, and what it tells."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from sslwear.encoders.base import Network
from sslwear.tuning.base import Learning


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        learning_rate: Adam's, for the tuning strategy to share out.
        batch_size: windows a step.
        max_epochs: most passes through the training windows.
        patience: epochs without a lower validation loss after which training ends; they count once everything learns
            that is to learn.
        seed: of the head's weights, the order of the windows and everything that the task draws.
        device: where to compute.
        precision: ``float32``, or ``bf16`` for autocast.
        augmented_views: where the first block is frozen and windows are augmented, epochs take turns with so many views
            of them, whose outputs can be kept; where it learns, each epoch has a view of its own.
        schedule: ``constant``, or ``cosine`` for rates that fall from epoch to epoch along half a cosine, which ends
            after `max_epochs`.
    """

    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"
    augmented_views: int = 8
    schedule: Literal["constant", "cosine"] = "constant"

    def share_of_rate(self, epoch: int) -> float:
        """What the schedule leaves of the learning rates in an epoch, from 1: all of them in the first one."""
        if self.schedule == "constant":
            return 1.0
        return (1 + math.cos(math.pi * (epoch - 1) / self.max_epochs)) / 2


@dataclass(frozen=True)
class Evaluation:
    """Answers for some windows.

    Attributes:
        loss: mean over the windows, weighted as the task weights them.
        scores: the task's scores by name.
        truth: the right answers as the task keeps them; of classes their indices, (N,) or (N, questions).
        predicted: the network's, of the same shape.
    """

    loss: float
    scores: dict[str, float]
    truth: NDArray[Any]
    predicted: NDArray[Any]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: losses are means over windows, `scores` are the validation windows'.

    Attributes:
        epoch: from 1.
        train_loss: while the weights changed.
        validation_loss: after the epoch.
        scores: by name.
        learning: how fast each block and the head learnt.
        seconds: that it took.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    scores: dict[str, float]
    learning: dict[str, Learning]
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """A trained network, with the weights of its best epoch.

    Attributes:
        network: on the CPU, in evaluation mode.
        best_epoch: the epoch with the lowest validation loss, from 1.
        validation: that epoch's evaluation.
        history: all epochs.
    """

    network: Network
    best_epoch: int
    validation: Evaluation
    history: tuple[EpochRecord, ...]
