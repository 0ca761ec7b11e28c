"""Device, precision and determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import joblib
import numpy as np
import torch

from sslwear.errors import SettingsError


def resolve_device(name: str) -> torch.device:
    """Return the device that ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` means on this machine.

    Raises:
        SettingsError: when the machine does not have it.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[device.type]:
        raise SettingsError(f"device: this machine has no {name}; write auto or cpu")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """Return ``bf16`` or ``float32``: what ``auto`` means on a device, or the name itself.

    ``auto`` takes bf16 autocast where the device computes in it natively, and float32 elsewhere, because emulated bf16
    is slower than float32.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(feature, False) for feature in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        native = False
    return "bf16" if native else "float32"


def use_threads(threads: int | None) -> int:
    """Let PyTorch compute on so many cores, or with None on all that this process may use; returns how many.

    PyTorch by itself counts the machine's cores, also where a container may use only some of them, and more threads
    than cores are slower than one.

    Raises:
        SettingsError: when this process may not use so many.
    """
    available = joblib.cpu_count()
    if threads is not None and threads > available:
        raise SettingsError(f"threads: this process may use {available} cores and not {threads}; write auto or fewer")
    torch.set_num_threads(threads or available)
    return torch.get_num_threads()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Compute inside in a precision, ``float32`` or ``bf16``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Let only repeatable algorithms run inside, and put PyTorch's switches back afterwards."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, filling = torch.backends.cudnn.benchmark, cast("Any", torch.utils.deterministic)
    filled = filling.fill_uninitialized_memory
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    filling.fill_uninitialized_memory = False  # which nothing here reads; filling it takes 8 % of a step
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
        filling.fill_uninitialized_memory = filled


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch's CPU generator inside, for initial weights, and put its state back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def generator(seed: int, stream: int) -> torch.Generator:
    """A CPU generator of its own for one use (`stream`) of a seed, independent of the other uses."""
    state = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
