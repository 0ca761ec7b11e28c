"""fit(): trains any task on any encoder, supervised or not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SslwearError
from sslwear.task import Task
from sslwear.training.data import FitData, WindowSource
from sslwear.training.device import deterministic, generator, seeded
from sslwear.tuning.base import TuningStrategy

EVALUATION_BATCH = 256
HEAD, ORDER, TRAINING, VALIDATION = range(4)
"""Streams of random numbers that one seed gives."""


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        learning_rate: Adam's, for the tuning strategy to share out.
        batch_size: windows a step.
        max_epochs: most passes through the training windows.
        patience: epochs without a lower validation loss after which training ends.
        seed: of the head's weights, the order of the windows and everything that the task draws.
        device: where to compute.
        precision: ``float32``, or ``bf16`` for autocast.
    """

    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"


@dataclass(frozen=True)
class Evaluation:
    """Predictions for some windows.

    Attributes:
        loss: mean over the windows, weighted as the task weights them.
        scores: the task's scores by name.
        truth: targets, (N,) or (N, questions).
        predicted: predictions of the same shape.
    """

    loss: float
    scores: dict[str, float]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: losses are means over windows, `scores` are the validation windows'."""

    epoch: int
    train_loss: float
    validation_loss: float
    scores: dict[str, float]
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


def fit(
    encoder: Encoder,
    task: Task,
    data: FitData,
    tuning: TuningStrategy,
    settings: FitSettings,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> FitResult:
    """Train an encoder and a new head on a task; the same arguments give the same result to the last bit.

    Args:
        encoder: where to start from; its tensors are trained in place.
        task: supervised classification or a pretext task.
        data: windows to learn from and windows to stop by.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size and the like.
        on_epoch: called after every epoch; what it raises ends the training.

    Raises:
        SslwearError: when the loss is no longer a number, or there is nothing to train on.
    """
    if len(data.train) == 0 or len(data.validation) == 0:
        raise SslwearError("there are no windows to train or to validate on; check the split")
    with seeded(generator(settings.seed, HEAD).initial_seed()):
        head = task.head(encoder.features)
    network = Network(encoder, head).to(settings.device)
    tuning.freeze(network)
    optimizer = torch.optim.Adam(tuning.parameter_groups(network, settings.learning_rate), amsgrad=True)
    order, draws = generator(settings.seed, ORDER), generator(settings.seed, TRAINING)
    history: list[EpochRecord] = []
    best: tuple[int, Evaluation, dict[str, Tensor]] | None = None
    with deterministic(settings.device):
        for epoch in range(1, settings.max_epochs + 1):
            started = time.perf_counter()
            tuning.train_mode(network)
            loss = _train(network, encoder.window_samples, task, data.train, optimizer, settings, order, draws)
            evaluation = evaluate(network, encoder.window_samples, task, data.validation, settings)
            if not math.isfinite(loss) or not math.isfinite(evaluation.loss):
                raise SslwearError(f"the loss is no longer a number after epoch {epoch}; lower the learning rate")
            if best is None or evaluation.loss < best[1].loss:
                best = epoch, evaluation, {key: value.clone() for key, value in network.state_dict().items()}
            seconds = time.perf_counter() - started
            history.append(EpochRecord(epoch, loss, evaluation.loss, evaluation.scores, seconds))
            if on_epoch is not None:
                on_epoch(history[-1])
            if epoch - best[0] >= settings.patience:
                break
    assert best is not None
    network.load_state_dict(best[2])
    return FitResult(network.cpu().eval(), best[0], best[1], tuple(history))


def _train(
    network: Network,
    samples: int,
    task: Task,
    windows: WindowSource,
    optimizer: torch.optim.Optimizer,
    settings: FitSettings,
    order: torch.Generator,
    draws: torch.Generator,
) -> float:
    """One pass through the training windows; returns the mean loss over windows."""
    total = torch.zeros(2, dtype=torch.float64)
    for x, labels in windows.batches(settings.batch_size, samples, settings.device, order):
        inputs, target = task.batch(x, labels, draws, training=True)
        loss, weight = task.loss(_forward(network, inputs, settings), target)
        optimizer.zero_grad(set_to_none=True)
        (loss / weight).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += torch.stack([loss.detach(), weight]).cpu()
    return float(total[0] / total[1])


@torch.no_grad()
def evaluate(network: Network, samples: int, task: Task, windows: WindowSource, settings: FitSettings) -> Evaluation:
    """Predict windows and score the predictions; what the task draws is the same at every call.

    Args:
        network: its mode is evaluation afterwards.
        samples: length of the windows that its encoder takes.
        task: gives targets, loss and scores.
        windows: what to predict.
        settings: the device, the precision and the seed are used.
    """
    network.eval()
    draws = generator(settings.seed, VALIDATION)
    total = torch.zeros(2, dtype=torch.float64)
    truth, predicted = [], []
    for x, labels in windows.batches(EVALUATION_BATCH, samples, settings.device):
        inputs, target = task.batch(x, labels, draws, training=False)
        output = _forward(network, inputs, settings)
        total += torch.stack(task.loss(output, target)).cpu()
        truth.append(target.cpu().numpy())
        predicted.append(task.predict(output).cpu().numpy())
    targets, answers = np.concatenate(truth), np.concatenate(predicted)
    return Evaluation(float(total[0] / total[1]), task.scores(targets, answers), targets, answers)


def _forward(network: Network, inputs: Tensor, settings: FitSettings) -> Tensor:
    with torch.autocast(settings.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        output: Tensor = network(inputs)
    return output.float()
