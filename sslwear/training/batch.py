"""A batch of a task, of which each of several processes has a part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslwear.training.processes import Processes
from sslwear.training.task import Task


@dataclass(frozen=True)
class Batch:
    """This process's part of a batch.

    Attributes:
        inputs: its inputs of the network (n, 3, samples), or outputs of the first blocks.
        target: its target.
        rows: indices of its rows in the whole batch (n,).
        count: number of rows of the whole batch.
        processes: this process among the others.
    """

    inputs: Tensor
    target: Tensor
    rows: Tensor
    count: int
    processes: Processes

    @classmethod
    def of(
        cls, task: Task, x: Tensor, labels: Tensor, draws: torch.Generator, training: bool, processes: Processes
    ) -> Batch:
        """The part of a batch that a task makes of windows.

        The task draws for the whole batch, so that random numbers are those of one process. As it changes each window
        by itself, the windows of the other processes do not matter, and those of this one take their places.

        Args:
            task: the task.
            x: windows of this process (B of them), or their outputs of the first blocks.
            labels: class indices of the whole batch.
            draws: CPU generator of the task's random numbers.
            training: whether the batch is for training.
            processes: this process among the others.
        """
        if not processes.several:
            inputs, target = task.batch(x, labels, draws, training)
            return cls(inputs, target, torch.arange(len(inputs)), len(inputs), processes)
        windows = torch.arange(len(labels))
        mine = windows[processes.reading().part(len(labels))]
        places = (windows - mine[0]) % len(x) if len(x) else windows
        whole = x[places] if len(x) else x.new_zeros(len(labels), *x.shape[1:])
        inputs, target = task.batch(whole, labels, draws, training)
        rows = torch.cat([mine + first for first in range(0, len(inputs), len(labels))])
        return cls(inputs[rows], target[rows], rows, len(inputs), processes)

    def whole(self, part: Tensor) -> Tensor:
        """A tensor of the whole batch, of which this process has its rows."""
        return self.processes.whole(part, self.rows, self.count)
