"""Device, precision, random numbers and determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, cast

import numpy as np
import torch

from sslwear.errors import SettingsError


class Stream(IntEnum):
    """Independent streams of random numbers from one seed."""

    HEAD = 0
    ORDER = 1
    TRAINING = 2
    VALIDATION = 3
    GRADIENTS = 4
    DROPOUT = 5
    AVERAGE = 6


def resolve_device(name: str) -> torch.device:
    """Device for ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` on this machine.

    For CUDA, convolutions in float32 are no longer computed in TF32 in this process, as they are by PyTorch's default:
    TF32 rounds 1 g to steps of 0.5 to 1 mg, which is as much as moves while a person sits still. Matrix products are
    repeatable from here on, see `deterministic`.

    Raises:
        SettingsError: when the machine does not have the device.
    """
    device = _device(name)
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        _repeatable_products()
    return device


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[device.type]:
        raise SettingsError(f"device: this machine has no {name}. Write auto or cpu")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """Precision ``bf16`` or ``float32``: the choice of ``auto`` for a device, or the name itself.

    ``auto`` chooses bf16 autocast on devices that are faster with it, and float32 on all others.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        faster = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        faster = device.type == "cpu" and _bf16_is_faster(torch.cpu.get_capabilities())
    return "bf16" if faster else "float32"


def _bf16_is_faster(capabilities: Mapping[str, Any]) -> bool:
    """Whether a processor is known to compute faster in bf16 than in float32.

    Intel processors do so with AMX only, which many virtual machines hide. With AVX-512 alone, their matrix product in
    bf16 is half as fast as in float32. On AMD's it is twice as fast (benchmarks/RESULTS.md). ARM was not measured.
    """
    is_amd = "AMD" in str(capabilities.get("cpu_name", ""))
    return bool(capabilities.get("amx_bf16") or (is_amd and capabilities.get("avx512_bf16")))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context manager for computing in ``float32`` or ``bf16``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _repeatable_products() -> None:
    """Set cuBLAS to repeatable matrix products, unless the user has set it."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Use only deterministic algorithms in a block, and restore PyTorch's settings afterwards.

    The first block of a process with CUDA must begin before its first matrix product there: PyTorch reads once whether
    cuBLAS is set to repeatable ones, and refuses all of them in such blocks if it is not.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, memory = torch.backends.cudnn.benchmark, cast("Any", torch.utils.deterministic)
    fill = memory.fill_uninitialized_memory
    if device.type == "cuda":
        _repeatable_products()
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    memory.fill_uninitialized_memory = False  # no code reads it, and filling it takes 8 % of a step
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
        memory.fill_uninitialized_memory = fill


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed PyTorch's global CPU generator in a block, for initial weights, and restore its state afterwards.

    Args:
        seed: the seed.
        device: another device whose global generator is seeded too, and on CUDA restored; None for none.
    """
    device = device or torch.device("cpu")
    with torch.random.fork_rng(devices=_cuda(device)):
        seed_global(seed, device)
        yield


def global_generators(device: torch.device) -> list[torch.Generator]:
    """PyTorch's global generators of the CPU and of a CUDA device."""
    return [torch.default_generator, *(torch.cuda.default_generators[index] for index in _cuda(device))]


def seed_global(seed: int, device: torch.device) -> None:
    """Seed PyTorch's global generators of the CPU and of a device."""
    for draws in global_generators(device):
        draws.manual_seed(seed)
    if device.type == "mps":
        torch.mps.manual_seed(seed)


def _cuda(device: torch.device) -> list[int]:
    """Index of a device among those of CUDA; none for other devices."""
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]


def generator(seed: int, stream: int, device: torch.device | None = None) -> torch.Generator:
    """Generator of one stream of random numbers of a seed, independent of the seed's other streams.

    Args:
        seed: the seed.
        stream: number of the stream.
        device: device that draws; None for the CPU.
    """
    state = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0]
    return torch.Generator(device or "cpu").manual_seed(int(state >> np.uint64(1)))
