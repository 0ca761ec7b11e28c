"""Batches of pretext tasks, made from random windows, and answers of an untrained head."""

from __future__ import annotations

import torch
from torch import Tensor

from sslwear.pretext.base import PretextTask
from sslwear.testing.synthetic import SAMPLES, seeded

BATCH, FEATURES = 64, 32


def windows(seed: int = 0, samples: int = SAMPLES) -> Tensor:
    """Random windows (BATCH, 3, samples)."""
    return torch.randn(BATCH, 3, samples, generator=seeded(seed))


def batch(task: PretextTask, seed: int = 0, training: bool = True) -> tuple[Tensor, Tensor]:
    """Inputs and targets of the same random windows."""
    return task.batch(windows(), torch.zeros(BATCH, dtype=torch.long), seeded(seed), training)


def by_window(rows: Tensor) -> Tensor:
    """Rows (views * B, ...) as (B, views, ...)."""
    return rows.reshape(-1, BATCH, *rows.shape[1:]).transpose(0, 1)


def answers(task: PretextTask, rows: int = BATCH, dtype: torch.dtype = torch.float32) -> Tensor:
    """Outputs of a new head for random features."""
    torch.manual_seed(0)
    head = task.head(FEATURES).to(dtype)
    output: Tensor = head(torch.randn(rows, FEATURES, dtype=dtype))
    return output.detach()


def scored(task: PretextTask, output: Tensor, target: Tensor) -> dict[str, float]:
    """Scores of outputs of a head."""
    truth, predicted = task.answers(output, target)
    return task.scores(truth.numpy(), predicted.numpy())
