"""Settings and results of training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from sslwear.encoders.base import Network
from sslwear.training.processes import Processes
from sslwear.tuning.base import Learning

CYCLE_RISE, CYCLE_FIRST, CYCLE_LAST = 0.3, 1 / 25, 1 / 25 / 1e4
"""Of ``one_cycle``: share of the steps in which rates rise, and the factors at the start and at the end."""


@dataclass(frozen=True)
class FitSettings:
    """Settings of training.

    Attributes:
        learning_rate: learning rate of Adam; the tuning strategy derives the rates of the blocks from it.
        batch_size: windows in a batch.
        max_epochs: largest number of epochs.
        patience: epochs without a lower validation loss after which training stops early. They are counted from the
            epoch in which the last block is unfrozen.
        seed: seed of the head's initial weights, the order of the windows and the task's random numbers.
        device: device of the computation.
        precision: ``float32``, or ``bf16`` for autocast.
        augmented_views: number of augmented views that epochs cycle through if the first block is frozen, so that its
            outputs can be cached. If the first block learns, each epoch has a new view.
        schedule: ``constant``; ``cosine`` for learning rates that fall along half a cosine over `max_epochs`; or
            ``one_cycle``, see `schedule_factor`.
        warmup_epochs: first epochs, in which learning rates rise linearly; not for ``one_cycle``.
        optimizer: ``adam``, with AMSGrad, or ``adamw``.
        weight_decay: weight decay of AdamW for tensors with more than one axis.
        clip_norm: largest norm of the gradient of a step; None for no limit.
        dropout: share of the features that are set to 0 in training.
        weight_average: ``none``, ``ema`` or ``swa``, see `sslwear.training.averaging`.
        device_bytes: memory of a CUDA device for data; None for half of what is free at first use.
        threads: number of threads of PyTorch for large batches; None for the number that PyTorch has.
        processes: this process among those that train together, each with `batch_size` windows of a batch.
    """

    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"
    augmented_views: int = 8
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    warmup_epochs: int = 0
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.01
    clip_norm: float | None = None
    dropout: float = 0.0
    weight_average: Literal["none", "ema", "swa"] = "none"
    device_bytes: int | None = None
    threads: int | None = None
    processes: Processes = field(default_factory=Processes)

    @property
    def whole_batch(self) -> int:
        """Windows in a batch of all processes."""
        return self.batch_size * self.processes.count

    def schedule_factor(self, epoch: int, share: float = 1.0) -> float:
        """Factor of the learning rates in a step.

        After the warm-up, ``constant`` and ``cosine`` have one factor in each epoch, 1 in the first one. ``one_cycle``
        has the shape of PyTorch's `OneCycleLR`: half a cosine from 1 / 25 to 1 over the first 30 % of the steps, then
        half a cosine to 4e-6.

        Args:
            epoch: number of the epoch, from 1.
            share: share of the epoch's windows that have been seen, with those of the step.
        """
        if self.schedule == "one_cycle":
            position = (epoch - 1 + share) / self.max_epochs
            if position < CYCLE_RISE:
                return _half_cosine(CYCLE_FIRST, 1.0, position / CYCLE_RISE)
            return _half_cosine(1.0, CYCLE_LAST, (position - CYCLE_RISE) / (1 - CYCLE_RISE))
        if epoch <= self.warmup_epochs:
            return (epoch - 1 + share) / self.warmup_epochs
        if self.schedule == "constant":
            return 1.0
        after = self.warmup_epochs
        return (1 + math.cos(math.pi * (epoch - 1 - after) / (self.max_epochs - after))) / 2


def _half_cosine(first: float, last: float, share: float) -> float:
    """Value on half a cosine from `first` to `last`."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Evaluation:
    """Predictions for windows, and their scores.

    Attributes:
        loss: weighted mean loss over the windows.
        scores: the task's scores by name.
        truth: correct answers in the format of the task; class indices are (N,) or (N, questions).
        predicted: predicted answers, of the same shape.
    """

    loss: float
    scores: dict[str, float]
    truth: NDArray[Any]
    predicted: NDArray[Any]


@dataclass(frozen=True)
class EpochRecord:
    """Losses, scores and learning rates of an epoch; losses are means over windows.

    Attributes:
        epoch: number of the epoch, from 1.
        train_loss: mean loss during the epoch, while the weights changed.
        validation_loss: mean validation loss after the epoch.
        scores: validation scores by name.
        learning: learning rate and size of each block and the head.
        seconds: duration of the epoch.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    scores: dict[str, float]
    learning: dict[str, Learning]
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """Trained network with the weights of its best epoch.

    Attributes:
        network: trained network, on the CPU, in evaluation mode.
        best_epoch: epoch with the lowest validation loss, from 1.
        validation: evaluation of the best epoch.
        history: records of all epochs.
    """

    network: Network
    best_epoch: int
    validation: Evaluation
    history: tuple[EpochRecord, ...]
