"""Several processes that train one network: each computes its part of every batch.

torchrun starts them. Random numbers are drawn for the whole batch in each process, so that the processes together do
what one process does with a batch of that size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from sslwear.errors import ProcessLostError, SettingsError
from sslwear.training.reading import Reading

TIMEOUT = timedelta(days=7)
"""Longest wait for another process, which may wait for a pre-training of somebody else; one that has ended is noticed
at once.
"""
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo", "NCCL", "ProcessGroup")
"""In messages of PyTorch about a process that has ended."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """This process among those that train a network.

    Attributes:
        rank: number of this process, from 0; the first one writes and prints.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are other processes."""
        return self.count > 1

    def reading(self, skip: int = 0) -> Reading:
        """What this process reads of the batches of an epoch."""
        return Reading(skip, self.rank, self.count)

    def total(self, values: Tensor) -> Tensor:
        """Sum of a tensor over the processes, without gradients."""
        if self.several:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """Mean of a tensor over the processes, without gradients."""
        return self.total(values) / self.count if self.several else values

    def whole(self, part: Tensor, rows: Tensor, count: int) -> Tensor:
        """A tensor of the whole batch, of which each process has some rows; with gradients.

        Args:
            part: rows of this process (n, ...).
            rows: their indices in the whole (n,).
            count: number of rows of the whole.

        Returns:
            The whole (count, ...).
        """
        if not self.several:
            return part
        rows = rows.to(part.device)
        padded = torch.zeros(count, *part.shape[1:], dtype=part.dtype, device=part.device).index_copy(0, rows, part)
        return Total.apply(padded) if part.requires_grad else self.total(padded)  # type: ignore[no-untyped-call]

    def of_first(self, value: Value) -> Value:
        """The first process's value of something that can be pickled."""
        if not self.several:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process."""
        return bool(self.total(torch.tensor(int(flag)))) if self.several else flag

    def share(self, network: nn.Module) -> None:
        """Give all processes the tensors of the first one's network."""
        if self.several:
            for value in network.state_dict().values():
                distributed.broadcast(value, 0)

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Block in which the end of another process is an error that says so.

        Raises:
            ProcessLostError: when another process has ended.
        """
        try:
            yield
        except RuntimeError as error:
            if self.several and any(text in str(error) for text in LOST):
                raise ProcessLostError(
                    f"another of the {self.count} processes has ended; its own message says why. The same command goes "
                    "on from the last checkpoint"
                ) from error
            raise


class Total(torch.autograd.Function):
    """Sum over the processes; the gradient is the sum of their gradients."""

    @staticmethod
    def forward(_: object, values: Tensor) -> Tensor:
        """Sum of a tensor over the processes."""
        values = values.clone()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        """Sum of the gradients over the processes."""
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


def of_environment() -> Processes:
    """This process among those that torchrun has started; alone without torchrun."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return Processes(int(os.environ.get("RANK", "0")), count) if count > 1 else Processes()


def own_device(name: str) -> str:
    """Device of this process for a ``device`` of a study file: a graphics card of its own, or the CPU.

    Raises:
        SettingsError: when the processes of this machine cannot have the device.
    """
    place, here = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if name not in ("auto", "cuda"):
        raise SettingsError(f"device: several processes cannot train on {name}. Write auto, cuda or cpu")
    cards = torch.cuda.device_count()
    if here > cards:
        raise SettingsError(
            f"device: torchrun has started {here} processes on this machine, which has {cards} graphics cards for "
            "CUDA. Start one process for each card, or write cpu"
        )
    return f"cuda:{place}"


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """This process among those that torchrun has started, connected during the block; alone without torchrun.

    Args:
        device: device of this process, see `own_device`.

    Raises:
        ProcessLostError: when another process has ended.
    """
    processes = of_environment()
    if not processes.several:
        yield processes
        return
    on_card = device.startswith("cuda")
    if on_card:
        torch.cuda.set_device(torch.device(device))
    with processes.noticing():
        # Numbers on the CPU go through gloo also where gradients go through NCCL, so that no step waits for the card.
        distributed.init_process_group("cpu:gloo,cuda:nccl" if on_card else "gloo", timeout=TIMEOUT)
        yield processes
        distributed.destroy_process_group()  # not after an error, where it could wait for those that have ended
