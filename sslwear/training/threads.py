"""Number of threads of PyTorch.

A thread that has finished its part of an operation waits for the others. If one of them is not running because other
processes use the cores, each operation takes as long as the scheduler lets it wait, which is many times the duration
of the operation itself (benchmarks/RESULTS.md). Therefore more than one thread is used only for large batches, and by
default not more threads than there are idle cores.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate

import joblib
import torch
from torch.utils.flop_counter import FlopCounterMode

from sslwear.encoders.base import Network
from sslwear.errors import SettingsError
from sslwear.utils.processes import THREADS_VARIABLE

SMALLEST_BATCH = 1e9
"""Operations of a forward pass of a batch below which it is computed on one thread."""
IDLE_SHARE = 0.85
"""Share of the time that a core must run a thread to count as idle."""
MEASURED_S = 0.1
"""Duration of a measurement of idle cores in seconds."""
MEASUREMENTS = 3
"""Number of measurements of which the median counts, so that a short burst of another process does not."""
REPEATED_S = 30.0
"""Seconds after which idle cores are measured again."""
_BLOCK = bytes(1 << 18)

_measured: tuple[float, int] | None = None


def use_threads(threads: int | None) -> int:
    """Set the largest number of PyTorch's threads; returns the number.

    By default PyTorch uses all cores of the machine, also in a container that may use only some of them.

    Args:
        threads: number of threads; None for the number of idle cores, see `idle_cores`.

    Raises:
        SettingsError: when this process may not use as many cores.
    """
    available = joblib.cpu_count()
    if threads is not None and threads > available:
        raise SettingsError(
            f"threads: {threads} is more than the {available} cores that this process may use. Write auto or less"
        )
    torch.set_num_threads(threads or idle_cores())
    return torch.get_num_threads()


def idle_cores() -> int:
    """Number of cores that this process may use and that other processes leave idle, at least 1.

    A worker takes no more than its share, see `sslwear.studies.workers.local_workers`.

    It is measured in a fraction of a second, and again after half a minute. Of a number of cores some of which are
    busy, half is tried next.
    """
    global _measured
    if _measured is None or time.monotonic() - _measured[0] > REPEATED_S:
        cores = int(os.environ.get(THREADS_VARIABLE, joblib.cpu_count()))
        while cores > 1 and statistics.median(min(running_shares(cores)) for _ in range(MEASUREMENTS)) < IDLE_SHARE:
            cores //= 2
        _measured = time.monotonic(), cores
    return _measured[1]


def running_shares(threads: int) -> list[float]:
    """Share of the time that each of some computing threads was running on a core."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(_running_share, [time.perf_counter() + MEASURED_S] * threads))


def _running_share(until: float) -> float:
    """Share of the time until a moment that this thread was running while it computed."""
    started, before = time.perf_counter(), time.thread_time()
    while time.perf_counter() < until:
        hashlib.sha256(_BLOCK)  # lets other threads run Python code meanwhile
    elapsed = time.perf_counter() - started
    return (time.thread_time() - before) / elapsed if elapsed > 0 else 1.0


@contextmanager
def threads_for(operations: float, most: int | None = None) -> Iterator[None]:
    """Compute in a block on one thread if its batches are small, and restore the number of threads afterwards.

    The number depends on nothing that is measured, so that the same computation is rounded in the same way.

    Args:
        operations: floating-point operations of a forward pass of a batch.
        most: number of threads for large batches; None for the number that PyTorch has.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if operations < SMALLEST_BATCH else most or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads_kept() -> Iterator[None]:
    """Restore PyTorch's number of threads after a block in which Numba computes, which sets it to all cores."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def operations_from(network: Network, samples: int) -> list[int]:
    """Floating-point operations of a forward pass of one window, from each block to the output, and of the head alone.

    Args:
        network: network; its state does not change.
        samples: window length of its encoder, in samples.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()  # batch norms keep their statistics
    x, counts = torch.zeros(1, 3, samples, device=next(network.parameters()).device), []
    for part in [*network.feature_extractor, torch.nn.Sequential(torch.nn.Flatten(1), network.classifier)]:
        with FlopCounterMode(display=False) as counter:
            x = part(x)
        counts.append(counter.get_total_flops())
    for module, training in modes:
        module.training = training
    return list(accumulate(reversed(counts)))[::-1]
