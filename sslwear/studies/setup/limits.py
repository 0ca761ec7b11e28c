"""Size and speed of a trial's network: constraints and second objective of a study."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial

from sslwear.config import Settings, TrainingSettings
from sslwear.encoders.base import Network
from sslwear.studies.setup.context import StudyContext
from sslwear.tuning.base import parts

MEASURED = "measured"
"""Attribute of a trial with its size and speed."""
BATCH, REPEATS = 256, 5
DIRECTIONS = {"trainable_parameters": StudyDirection.MINIMIZE, "windows_per_second": StudyDirection.MAXIMIZE}
"""Directions of second objectives."""


def measured(context: StudyContext, training: TrainingSettings) -> dict[str, float]:
    """Number of tuned parameters of a training, and if the study needs it the speed of prediction.

    Returns:
        ``trainable_parameters`` and ``windows_per_second`` by name.
    """
    settings, frozen = context.settings, context.tuning(training).frozen
    encoder = context.new_encoder()
    network = Network(encoder, context.classification(training).head(encoder.features))
    learning = (part for name, part in parts(network).items() if name not in frozen)
    found = {"trainable_parameters": float(sum(one.numel() for part in learning for one in part.parameters()))}
    if settings.constraint.windows_per_second is not None or settings.second_objective == "windows_per_second":
        found["windows_per_second"] = _speed(network.to(context.device).eval(), encoder.window_samples, context.device)
    return found


@torch.no_grad()
def _speed(network: Network, samples: int, device: torch.device) -> float:
    """Windows that a network predicts in a second, the median of a few batches."""
    x, seconds = torch.zeros(BATCH, 3, samples, device=device), []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        network(x).cpu()
        seconds.append(time.perf_counter() - started)
    return BATCH / statistics.median(seconds[1:])


def set_constraints(trial: Trial, settings: Settings) -> None:
    """Let Optuna's samplers know by how much a measured trial exceeds each limit."""
    for place, over in enumerate(excess(trial, settings)):
        if str(place) not in trial.constraints:  # of an attempt to end the trial whose answer was lost
            trial.set_constraint(str(place), over)


def excess(trial: FrozenTrial | Trial, settings: Settings) -> Sequence[float]:
    """By how much a trial exceeds each limit: at most 0 where the limit is kept.

    A trial that was not measured, because it did not finish, exceeds none.
    """
    found, limits = trial.user_attrs.get(MEASURED, {}), settings.constraint
    over = []
    if limits.trainable_parameters is not None:
        over.append(found.get("trainable_parameters", 0.0) / limits.trainable_parameters - 1)
    if limits.windows_per_second is not None and "windows_per_second" in found:
        over.append(limits.windows_per_second / found["windows_per_second"] - 1)
    return over


def values(value: float, found: dict[str, float], settings: Settings) -> list[float]:
    """Values of a trial for Optuna: the objective, and the second one if there is one."""
    return [value] if settings.second_objective is None else [value, found[settings.second_objective]]


def directions(settings: Settings) -> list[StudyDirection]:
    """Directions of a study's objectives."""
    second = settings.second_objective
    return [StudyDirection.MAXIMIZE] if second is None else [StudyDirection.MAXIMIZE, DIRECTIONS[second]]
