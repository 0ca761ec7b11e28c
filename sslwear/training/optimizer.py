"""Optimizers, and their parameter groups."""

from __future__ import annotations

from typing import Any

import torch

from sslwear.training.results import FitSettings


def new_optimizer(groups: list[dict[str, Any]], settings: FitSettings) -> torch.optim.Optimizer:
    """Optimizer of the parameter groups of a tuning strategy.

    Args:
        groups: parameter groups with their learning rates.
        settings: `optimizer`, `weight_decay` and `device` are used.
    """
    fused = settings.device.type in ("cpu", "cuda")
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, amsgrad=True, fused=fused)
    return torch.optim.AdamW(
        [part for group in groups for part in _by_decay(group, settings.weight_decay)], fused=fused
    )


def _by_decay(group: dict[str, Any], weight_decay: float) -> list[dict[str, Any]]:
    """A group cut into the tensors that decay and those that do not: biases, and scales and offsets of norms."""
    sides: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for parameter in group["params"]:
        sides[parameter.ndim < 2].append(parameter)
    decays = (weight_decay, 0.0)
    return [{**group, "params": side, "weight_decay": decay} for side, decay in zip(sides, decays, strict=True) if side]
