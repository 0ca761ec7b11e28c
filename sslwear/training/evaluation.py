"""Evaluation of a network on windows: its predictions with loss and scores, or its plain outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sslwear.encoders.base import Network
from sslwear.training.batch import Batch
from sslwear.training.device import Stream, autocast, generator
from sslwear.training.norms import left_out
from sslwear.training.on_device import batches_of
from sslwear.training.results import Evaluation, FitSettings
from sslwear.training.task import Task
from sslwear.training.threads import operations_from, threads_for
from sslwear.training.windows import VALIDATION_SEED, WindowSource
from sslwear.tuning.base import parts, set_mode

EVALUATION_BATCH = 256
ON_DEVICE_BATCH = 4096
"""Windows in a batch of an evaluation on a graphics card, if they do not depend on each other."""
LEAST_BATCH = 32
"""Smallest batch that an evaluation tries when the memory of a device does not suffice."""
Found = TypeVar("Found")
Scorer = Callable[[NDArray[Any], NDArray[Any]], dict[str, float]]
"""Scores of true and predicted answers by name."""


@torch.no_grad()
def evaluate(
    network: Network,
    samples: int,
    task: Task,
    windows: WindowSource,
    settings: FitSettings,
    scores: Scorer | None = None,
) -> Evaluation:
    """Predict windows and score the predictions; the task's random numbers are the same in every call.

    Windows are read in their order, but mixed where rows of a batch are compared with each other, as in training:
    windows that follow each other are more alike.

    Several processes predict a part of each batch each, and all of them have the whole evaluation.

    Args:
        network: put into evaluation mode.
        samples: window length of its encoder, in samples.
        task: gives targets, loss, answers and scores.
        windows: windows, or cached outputs of the network's first blocks for them.
        settings: device, precision and seed are used.
        scores: scores of true and predicted answers, in place of the task's own.
    """
    for part in parts(network).values():
        set_mode(part, training=False)
    # Other tasks draw for each batch, or compare its rows, so that their scores depend on its size.
    size = evaluation_batch(settings) if task.on_features else EVALUATION_BATCH
    compute = partial(_evaluate, network, samples, task, windows, settings, scores)
    return in_memory(compute, size) if task.on_features else compute(size)


def _evaluate(
    network: Network,
    samples: int,
    task: Task,
    windows: WindowSource,
    settings: FitSettings,
    scores: Scorer | None,
    size: int,
) -> Evaluation:
    """Evaluation in batches of a size; see `evaluate`."""
    draws = generator(settings.seed, Stream.VALIDATION)
    sums, answers = [], []
    together = settings.processes
    mixed = torch.Generator().manual_seed(VALIDATION_SEED) if task.across else None
    for x, labels in batches_of(windows, size, samples, settings, mixed, reading=together.reading()):
        batch = Batch.of(task, x, labels, draws, training=False, processes=together)
        output = batch.whole(forward_part(network, batch, settings, windows.depth))
        target = batch.whole(batch.target)
        sums.append(torch.stack(task.loss(output, target)))
        answers.append(task.answers(output, target))
    truth, predicted = (torch.cat(side).cpu().numpy() for side in zip(*answers, strict=True))
    return Evaluation(mean_loss(sums), (scores or task.scores)(truth, predicted), truth, predicted)


@torch.no_grad()
def outputs(network: Network, samples: int, windows: WindowSource, settings: FitSettings) -> NDArray[np.float32]:
    """Outputs of a network's head for windows (N, outputs); of a classifier these are logits.

    Args:
        network: put into evaluation mode.
        samples: window length of its encoder, in samples.
        windows: windows in their order, or cached outputs of the network's first blocks for them.
        settings: device and precision are used.
    """
    network.eval()
    operations = operations_from(network, samples)[windows.depth] * min(EVALUATION_BATCH, len(windows))

    def compute(size: int) -> NDArray[np.float32]:
        batches = batches_of(windows, size, samples, settings)
        values = torch.cat([forward(network, x, settings, windows.depth) for x, _ in batches])
        found: NDArray[np.float32] = values.cpu().numpy()
        return found

    with threads_for(operations, settings.threads):
        return in_memory(compute, evaluation_batch(settings))


def evaluation_batch(settings: FitSettings) -> int:
    """Windows in a batch of an evaluation in which they do not depend on each other."""
    return ON_DEVICE_BATCH if settings.device.type == "cuda" else EVALUATION_BATCH


def in_memory(compute: Callable[[int], Found], size: int) -> Found:
    """What a function computes in batches of a size, or of a smaller one where the memory of a device does not suffice.

    Args:
        compute: computes in batches of a size.
        size: the size to try first.

    Raises:
        torch.OutOfMemoryError: when the memory does not suffice for `LEAST_BATCH` windows.
    """
    while True:
        try:
            return compute(size)
        except torch.OutOfMemoryError:
            if size <= LEAST_BATCH:
                raise
        size //= 2  # here, where the tensors of the attempt are gone
        torch.cuda.empty_cache()


def forward(
    network: nn.Module, inputs: Tensor, settings: FitSettings, depth: int, factors: Tensor | None = None
) -> Tensor:
    """Output of a network in float32, computed in the precision of the settings; see `Network.forward`."""
    with autocast(settings.device, settings.precision):
        output: Tensor = network(inputs, depth, factors)
    return output.float()


def forward_part(
    network: nn.Module, batch: Batch, settings: FitSettings, depth: int, factors: Tensor | None = None
) -> Tensor:
    """Output of a network for this process's part of a batch, see `forward`.

    A process without a window of the batch takes part in all that the others compute together, with a row that counts
    nowhere, because networks need not accept batches of no rows.

    Args:
        network: the network.
        batch: the part.
        settings: device and precision are used.
        depth: number of blocks that the inputs have passed.
        factors: factors of the features of the whole batch (rows, features); None for no change.
    """
    if len(batch.rows):
        mine = factors[batch.rows.to(factors.device)] if factors is not None and batch.processes.several else factors
        return forward(network, batch.inputs, settings, depth, mine)
    with left_out():
        return forward(network, batch.inputs.new_zeros(1, *batch.inputs.shape[1:]), settings, depth)[:0]


def mean_loss(sums: list[Tensor]) -> float:
    """Mean loss over windows, from each batch's sum of losses and sum of weights; 0 where all weights are 0.

    This is the only place where an epoch waits for a GPU.
    """
    loss, weight = torch.stack(sums).cpu().double().sum(dim=0)
    return float(loss / weight) if weight else float(loss)  # NaN stays NaN
