"""Trainings whose gradients and losses tests compare: in one process, or in each of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sslwear.augmentations.rotation import Rotation
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.encoders.base import Encoder
from sslwear.encoders.cnn import Cnn5
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.multiscale import Multiscale
from sslwear.pretext.base import get as get_pretext
from sslwear.training import AugmentedViews, FitData, FitSettings, Windows
from sslwear.training.device import seeded
from sslwear.training.epochs import Training
from sslwear.training.processes import Processes, joined
from sslwear.training.task import Classification
from sslwear.training.windows import SampledWindows
from sslwear.tuning.base import parse

WHOLE_BATCH = 6
CASES: dict[str, dict[str, Any]] = {
    "classes": {},
    "frozen": {"tuning": "layer4-5", "augment": True},
    "auto_rgn": {"tuning": "auto_rgn"},
    "gradual": {"tuning": "gradual"},
    "averaged": {"weight_average": "ema", "dropout": 0.3, "schedule": "one_cycle"},
    "swa": {"weight_average": "swa", "clip_norm": 0.1},
    "sampled": {"task": "permutation", "sampled": True},
    "jitter": {"task": "jitter"},
    "contrastive": {"task": "contrastive"},
    "hidden_half": {"task": "hidden_half", "encoder": Harnet5},
    "multiscale": {"encoder": Multiscale, "task": "contrastive"},
}
"""Changes of the settings, and of the task, the encoder and the windows, by name."""


class Person:
    """Windows of one participant that can be sampled."""

    def __init__(self, dataset: Dataset, participant: int) -> None:
        self.participant = participant
        self._dataset, self._rows = dataset, np.flatnonzero(dataset.pid == participant)
        self.count = len(self._rows)

    def windows(self) -> Any:
        """All windows of the data set."""
        return self._dataset.windows

    def rows(self) -> Any:
        """Indices of the participant's windows."""
        return self._rows

    def motion(self, rows: Any) -> Any:
        """Motion that grows."""
        return np.linspace(1, 2, len(rows), dtype=np.float32)

    def labels(self, rows: Any) -> Any:
        """Zeros."""
        return np.zeros(len(rows), np.int64)


def windows(dataset: Dataset, sampled: bool, augment: bool) -> FitData:
    """20 windows to train on, so that the last batch has only 2, and 10 held-out ones."""
    if sampled:
        train, held_out = ([Person(dataset, participant) for participant in side] for side in ((1, 2, 5, 6), (7,)))
        return FitData(SampledWindows(train, 5, 2, True), SampledWindows(held_out, 10, 2, True))
    views = AugmentedViews(Rotation(), 5) if augment else None
    found, validation = Windows.of(dataset, (1, 2), views), Windows.of(dataset, (5,))
    return FitData(replace(found, rows=found.rows[::3]), replace(validation, rows=validation.rows[::3]))


def results(dataset: Dataset, processes: Processes) -> dict[str, dict[str, Any]]:
    """Gradients of the first step, and losses, scores and tensors after an epoch, of each case."""
    return {name: _result(dataset, processes, **changes) for name, changes in CASES.items()}


def _result(
    dataset: Dataset,
    processes: Processes,
    encoder: type[Encoder] = Cnn5,
    task: str | None = None,
    tuning: str = "all",
    sampled: bool = False,
    augment: bool = False,
    **changes: Any,
) -> dict[str, Any]:
    settings = FitSettings(
        learning_rate=1e-4,  # at 1e-3, Adam makes rounding errors of tiny gradients differences of 10 % in a loss
        batch_size=WHOLE_BATCH // processes.count,
        max_epochs=4,
        patience=9,
        seed=3,
        threads=1,
        processes=processes,
        **changes,
    )
    with seeded(0):
        network = encoder.for_windows(5.0)()
    data = windows(dataset, sampled, augment)
    made = get_pretext(task)() if task is not None else Classification(3, torch.tensor([1.0, 2.0, 0.5]))
    training = Training(network, made, data.train, parse(tuning, encoder), settings, validation=data.validation)
    steps: list[dict[str, torch.Tensor]] = []

    def keep(*_: Any) -> None:
        if not steps:
            named = training._trained.named_parameters()
            steps.append({name: value.grad.clone() for name, value in named if value.grad is not None})

    training._optimizer.register_step_pre_hook(keep)
    with training.in_step():
        record = training.advance()
    assert training.evaluation is not None
    return {
        "gradients": steps[0],
        "tensors": {name: value.clone() for name, value in training.network.state_dict().items()},
        "losses": [record.train_loss, record.validation_loss],
        "rates": {part: how.rate for part, how in record.learning.items()},
        "predicted": torch.from_numpy(training.evaluation.predicted),
        "classes": sorted({type(module).__name__ for module in training.network.modules()}),
    }


def main(folder: str, out: str) -> None:
    """Keep the results of this process of several in a file."""
    torch.set_num_threads(1)
    with joined("cpu") as those:
        torch.save(results(open_dataset(Path(folder)), those), f"{out}-{those.rank}.pt")
