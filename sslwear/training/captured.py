"""Training steps as CUDA graphs: batches, learning rates and sums of losses are on the device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.encoders.base import Network
from sslwear.training.batch import Batch
from sslwear.training.graphs import Graphs, Step, recorded
from sslwear.training.on_device import Table
from sslwear.training.results import FitSettings
from sslwear.training.steps import Steps

KEPT = 8
"""Most graphs of trainings side by side: with more trainings than branches, groups of them take turns in each epoch."""


class CapturedSteps:
    """Steps of a training as CUDA graphs, one for each size of a batch.

    A graph reads everything that differs from step to step from tensors that stay where they are. With a `Table`, the
    windows of all batches of an epoch, its learning rates and augmentations are put there when the epoch starts, and
    the graph counts the steps itself. Without, each batch is copied there before its step.

    Args:
        network: network in training.
        steps: its steps.
        optimizer: updates the weights.
        settings: settings of the training.
        graphs: records steps.
    """

    def __init__(
        self, network: Network, steps: Steps, optimizer: torch.optim.Optimizer, settings: FitSettings, graphs: Graphs
    ) -> None:
        self._network, self._steps, self._optimizer = network, steps, optimizer
        self._graphs, self._device = graphs, settings.device
        self._rate = [torch.zeros((), device=self._device) for _ in optimizer.param_groups]
        self._place = torch.zeros(1, dtype=torch.int64, device=self._device)
        self._static: dict[str, Tensor] = {}
        self._moved = 0  # how often a static tensor got another place, which no graph of before knows
        self._modes: dict[tuple[Any, ...], int] = {}
        self._mode = 0
        self._taken: set[tuple[Any, ...]] = set()  # steps that were taken without a graph
        self._recorded: dict[tuple[Any, ...], Step] = {}
        self._table: Table | None = None
        self._batch: Batch | None = None
        self._sums: Sequence[Tensor] = ()
        self._depth = 0
        self._sizes: list[int] = []
        self._next = 0

    def start_table(
        self, table: Table, order: Sequence[NDArray[np.int64]], rates: Tensor, factors: Tensor, first: int, depth: int
    ) -> None:
        """Start an epoch on windows that are on the device, or go on within it.

        Args:
            table: the windows.
            order: indices of the windows of all batches of the epoch.
            rates: learning rates of the optimizer's groups without the factor of the schedule (groups,).
            factors: factors of all steps of the epoch (steps,).
            first: number of the first step, from 0.
            depth: number of blocks that the windows have passed.
        """
        self._sizes, self._next = [len(chosen) for chosen in order], first
        indices = np.zeros((len(order), max(map(len, order))), np.int64)
        for row, chosen in enumerate(order):
            indices[row, : len(chosen)] = chosen
        self._put("order", torch.from_numpy(indices))
        self._put("labels", table.labels)
        for number, (_, drawn) in enumerate(table.changes):
            self._put(f"drawn {number}", drawn)
        changes = tuple((one, self._static[f"drawn {n}"]) for n, (one, _) in enumerate(table.changes))
        self._table, self._batch = replace(table, labels=self._static["labels"], changes=changes), None
        self._start(rates, len(order), depth, table.values.data_ptr())
        self._static["rates"].copy_(factors.outer(rates))
        self._place.fill_(first)

    def start_batches(self, rates: Tensor, depth: int) -> None:
        """Start an epoch on batches that `take_batch` gets, or go on within it; see `start_table`."""
        self._table, self._sizes, self._next = None, [], 0
        self._put("base rates", rates)
        self._start(rates, 1, depth, 0)

    def _start(self, rates: Tensor, steps: int, depth: int, values: int) -> None:
        self._depth = depth
        self._put("rates", rates.new_zeros(steps, len(rates)))
        self._put("steps", torch.arange(steps).unsqueeze(1))
        self._put("sums", torch.zeros(steps, 2))
        self._sums = self._static["sums"].unbind(0)
        for group, rate in zip(self._optimizer.param_groups, self._rate, strict=True):
            group["lr"] = rate
        learns = tuple(value.requires_grad for value in self._network.parameters())
        modes = tuple(module.training for module in self._network.modules())
        mode = depth, values, self._table is None, learns, modes
        self._mode = self._modes.setdefault(mode, len(self._modes))

    def next_size(self) -> int:
        """Number of windows in the batch of the next step on a table; 0 if none is left."""
        return self._sizes[self._next] if self._next < len(self._sizes) else 0

    def take_next(self, factor: float) -> Tensor:
        """Take the next step on a table, which has the factor of its learning rates already.

        Returns:
            The sum of the losses and the sum of their weights (2,).
        """
        self.take_alone()
        return self.count(factor)

    def take_alone(self) -> None:
        """Take the next step on a table without counting it."""
        self._take(self.next_size())

    def count(self, factor: float) -> Tensor:
        """Count a step that was taken on a table; returns its sums, see `take_next`."""
        self._next += 1
        return self._sums[self._next - 1]

    def take_batch(self, x: Tensor, labels: Tensor, factor: float) -> Tensor:
        """Take a step with a batch.

        Args:
            x: windows (B, 3, samples), or their outputs of the first blocks.
            labels: class indices (B,).
            factor: factor of the learning rates.

        Returns:
            The sum of the losses and the sum of their weights (2,).
        """
        made = self._steps.batch(x, labels)
        places = []
        for name, value in (("inputs", made.inputs), ("target", made.target)):
            self._put(f"{name} {tuple(value.shape)}", value)
            places.append(self._static[f"{name} {tuple(value.shape)}"])
        self._batch = replace(made, inputs=places[0], target=places[1])
        self._static["rates"][0].copy_(factor * self._static["base rates"])  # on the device, so that nothing waits
        self._place.zero_()
        self._take(len(labels))
        return self._sums[0].clone()

    def _take(self, size: int) -> None:
        key = self.key(size)
        if (record := self._recorded.get(key)) is not None:
            record()
        elif self._can_be_recorded(key):
            step = partial(self.step, size)
            record = recorded(self._graphs, [step], self.tensors(), self.generators)
            self._recorded[key] = record or partial(self._graphs.run, step, 0)
        else:
            self._graphs.run(partial(self.step, size), 0)
            if self._steps.settled:
                self._taken.add(key)

    def can_be_recorded(self) -> bool:
        """Whether the next step on a table does the same as one that was taken before, so that it can be recorded."""
        return self._can_be_recorded(self.key(self.next_size()))

    def _can_be_recorded(self, key: tuple[Any, ...]) -> bool:
        return self._steps.settled and key in self._taken

    def key(self, size: int) -> tuple[Any, ...]:
        """What distinguishes graphs: everything in a step that is not read from static tensors."""
        shapes = () if self._batch is None else (self._batch.inputs.shape, self._batch.target.shape)
        return size, self._mode, self._moved, shapes

    def step(self, size: int) -> None:
        """One step, as it is recorded."""
        place, static = self._place, self._static
        for group in self._optimizer.param_groups:  # PyTorch warns where it is set and nothing is recorded
            group["capturable"] = self._device.type == "cuda" and torch.cuda.is_current_stream_capturing()
        for rate, column in zip(self._rate, static["rates"].index_select(0, place).unbind(1), strict=True):
            rate.copy_(column.squeeze(0))
        if self._table is None:
            assert self._batch is not None
            batch = self._batch
        else:
            rows = static["order"].index_select(0, place).squeeze(0)[:size]
            batch = self._steps.batch(*self._table.batch(rows))
        sums = self._steps.take(batch, self._depth)
        self._optimizer.zero_grad(set_to_none=True)  # so that the memory of graphs holds nothing between steps
        static["sums"].copy_(torch.where(static["steps"] == place, sums, static["sums"]))
        place.add_(1)

    def tensors(self) -> list[Tensor]:
        """All tensors that a step changes."""
        states = self._optimizer.state.values()
        state = [value for values in states for value in values.values() if torch.is_tensor(value)]
        network = [*self._network.parameters(), *self._network.buffers()]
        return [*network, *state, *self._rate, self._place, self._static["sums"]]

    @property
    def generators(self) -> list[torch.Generator]:
        """Generators that a step draws from."""
        return [self._steps.draws["dropout"]]

    def _put(self, name: str, value: Tensor) -> None:
        """Put a value where graphs read it."""
        held = self._static.get(name)
        if held is not None and held.shape == value.shape and held.dtype == value.dtype:
            held.copy_(value)
            return
        self._static[name] = value.to(self._device, copy=True)
        if held is not None:
            self._moved += 1
            self._recorded.clear()


class SideBySide:
    """Steps of several trainings as branches of one graph; each training is what it is alone, to the bit.

    Where that cannot be recorded, for example because the memory of the device does not suffice for all of them at the
    same time, each training takes its steps alone.

    Args:
        graphs: records the steps.
    """

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._recorded: OrderedDict[tuple[Any, ...], Step | None] = OrderedDict()

    def take(self, trainings: Sequence[CapturedSteps]) -> None:
        """Take the next step of all trainings, each of which must be one that can be recorded; they do not count it."""
        together = [(one, one.next_size()) for one in trainings]
        key = tuple((id(one), *one.key(size)) for one, size in together)
        if key not in self._recorded:
            while len(self._recorded) >= KEPT:
                self._recorded.popitem(last=False)
            steps = [partial(one.step, size) for one, size in together]
            tensors = [value for one in trainings for value in one.tensors()]
            generators = [draws for one in trainings for draws in one.generators]
            self._recorded[key] = recorded(self._graphs, steps, tensors, generators)
            return
        if (record := self._recorded[key]) is not None:
            record()
        else:
            for one in trainings:
                one.take_alone()
