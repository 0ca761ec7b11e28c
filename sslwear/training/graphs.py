"""Training steps as CUDA graphs: the kernels of a step are recorded once, and then started all at once.

Small networks start a hundred kernels in a step, and starting them takes longer than computing them. Several trainings
are branches of one graph, each on a stream of its own, so that a small network does not leave most of the card idle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from sslwear.training.device import global_generators

Step = Callable[[], None]
log = logging.getLogger(__name__)


class Graphs(Protocol):
    """Runs steps, and records them."""

    def run(self, step: Step, branch: int) -> None:
        """Take a step as it will be recorded: on the stream of its branch."""

    def record(self, steps: Sequence[Step], generators: Iterable[torch.Generator]) -> Step:
        """Record a step of each branch without taking it; returns what takes all of them.

        Args:
            steps: steps that do not depend on each other.
            generators: generators of the device that the steps draw from.

        Raises:
            RuntimeError: when a step does what cannot be recorded, such as to wait for the device.
        """


class CudaGraphs:
    """Graphs of one CUDA device; they share memory, because only one of them runs at a time.

    Nothing may stay in this memory after a step, because other graphs use it too.

    Args:
        device: the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._branches: list[torch.cuda.Stream] = []
        self._pool = torch.cuda.graph_pool_handle()
        self._needed = 0  # most bytes that the last step may have had at once

    def run(self, step: Step, branch: int) -> None:
        """Take a step on the stream of its branch; what follows waits for it."""
        stream, now = self._stream_of(branch), torch.cuda.current_stream(self._device)
        before = torch.cuda.memory_allocated(self._device)
        stream.wait_stream(now)
        with torch.cuda.stream(stream):
            step()
        now.wait_stream(stream)
        self._needed = torch.cuda.max_memory_allocated(self._device) - before

    def record(self, steps: Sequence[Step], generators: Iterable[torch.Generator]) -> Step:
        """Record a step of each branch; see `Graphs.record`."""
        if len(steps) > 1 and len(steps) * self._needed > self._free:  # what runs out of memory may keep what it has
            raise torch.OutOfMemoryError(f"the device may not have the memory for {len(steps)} steps at the same time")
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        # A capture that fails leaves its stream as the current one. Other threads may pin memory meanwhile.
        capture = torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local")
        with torch.cuda.stream(torch.cuda.current_stream(self._device)), capture:
            for branch, step in enumerate(steps):
                stream = self._stream_of(branch)
                stream.wait_stream(self._stream)
                with torch.cuda.stream(stream):
                    step()
            for branch in range(len(steps)):
                self._stream.wait_stream(self._stream_of(branch))
        return graph.replay

    @property
    def _free(self) -> int:
        """Bytes of the device that nobody uses."""
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return torch.cuda.mem_get_info(self._device)[0] + kept

    def _stream_of(self, branch: int) -> torch.cuda.Stream:
        while len(self._branches) <= branch:
            self._branches.append(torch.cuda.Stream(self._device))  # type: ignore[no-untyped-call]
        return self._branches[branch]


def graphs_of(device: torch.device) -> Graphs | None:
    """Graphs of a device, for all trainings of the process; None for those that have none.

    cuBLAS keeps memory for each stream, and a record that fails may keep its own, so trainings do not have streams and
    memory of their own.
    """
    return _cuda_graphs(device) if device.type == "cuda" else None


@cache
def _cuda_graphs(device: torch.device) -> CudaGraphs:
    return CudaGraphs(device)


def recorded(
    graphs: Graphs, steps: Sequence[Step], tensors: Sequence[Tensor], generators: Sequence[torch.Generator]
) -> Step | None:
    """Take a step of each branch, and record it; returns what takes the next ones, or None if the record is of no use.

    The step is taken twice from the same state, as usual and from the record. Only if both give the same bits is the
    record used. So a network with a step that cannot be recorded is trained as without graphs.

    Args:
        graphs: records the steps.
        steps: steps that do not depend on each other, each of which was taken before.
        tensors: all tensors that the steps change.
        generators: generators that the steps draw from, besides PyTorch's global ones.
    """
    on_device = [generator for generator in generators if generator.device.type == "cuda"]
    generators = [*generators, *global_generators(tensors[0].device)]
    before, draws = [value.clone() for value in tensors], [generator.get_state() for generator in generators]
    for branch, step in enumerate(steps):
        graphs.run(step, branch)
    after, drawn = [value.clone() for value in tensors], [generator.get_state() for generator in generators]
    _put(tensors, before, generators, draws)
    try:
        record = graphs.record(steps, on_device)
    except RuntimeError as error:
        _put(tensors, after, generators, drawn)
        log.warning("training steps cannot be recorded as a CUDA graph, and are slower (%s)", _first_line(error))
        return None
    record()
    if all(map(_same, after, tensors)):
        return record
    _put(tensors, after, generators, drawn)
    log.warning("a CUDA graph of the training steps gives other numbers than the steps, and is not used")
    return None


@torch.no_grad()
def _put(
    tensors: Sequence[Tensor],
    values: Sequence[Tensor],
    generators: Sequence[torch.Generator],
    states: Sequence[Tensor],
) -> None:
    """Put tensors and generators into an earlier state."""
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same numbers; NaN is the same as NaN, so that a network may diverge."""
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
