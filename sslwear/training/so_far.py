"""What a training has come to so far: its epochs, and the weights of the best one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslwear.encoders.base import Network
from sslwear.training.checkpoint import Checkpoints, State
from sslwear.training.checkpoint_writer import CheckpointWriter
from sslwear.training.epochs import Training, stops_early
from sslwear.training.processes import Processes
from sslwear.training.results import EpochRecord, Evaluation, FitResult, FitSettings
from sslwear.tuning.base import Learning, TuningStrategy, parts
from sslwear.utils.interrupts import signals_deferred


class SoFar:
    """What a training has come to so far.

    Args:
        training: the training.
        together: this process among those that train.

    Attributes:
        history: records of the epochs so far.
        best_weights: weights of the epoch with the lowest validation loss.
    """

    def __init__(self, training: Training, together: Processes) -> None:
        self._training, self._together = training, together
        self.history: list[EpochRecord] = []
        self.best_weights = BestWeights(training.network)
        self._best: tuple[int, Evaluation] | None = None

    def add(self, record: EpochRecord, frozen: frozenset[str]) -> None:
        """Count an epoch, in which some blocks were frozen."""
        evaluation = self._training.evaluation
        assert evaluation is not None
        with signals_deferred():
            if self._best is None or record.validation_loss < self._best[1].loss:
                self._best = record.epoch, evaluation
                self.best_weights.copy(parts(self._training.network).keys() - frozen)
            self.history.append(record)

    def ended(self, tuning: TuningStrategy, settings: FitSettings) -> bool:
        """Whether there is no further epoch."""
        if self._best is None:
            return False
        epoch = len(self.history)
        return epoch == settings.max_epochs or stops_early(tuning, settings, epoch, self._best[0])

    def result(self) -> FitResult:
        """The network with the weights of the best epoch."""
        assert self._best is not None
        self.best_weights.restore()
        return FitResult(self._training.network.cpu().eval(), *self._best, tuple(self.history))

    @contextmanager
    def kept(self, checkpoints: Checkpoints | None) -> Iterator[None]:
        """Go on from the last checkpoint, and write checkpoints in the block, also when it is interrupted."""
        state = self._together.of_first(None if checkpoints is None else checkpoints.read())
        if state is not None:
            self._load(state)
        if checkpoints is None:  # also in all processes but the first one
            yield
            return
        if state is not None and checkpoints.on_resume is not None:
            checkpoints.on_resume(self.history)
        with CheckpointWriter(checkpoints, self._training, self._state, lambda: len(self.history)).watching():
            yield

    def _state(self) -> State:
        best = self._best
        return {
            "training": self._training.state(),
            "history": [asdict(record) for record in self.history],
            "best": None if best is None else (best[0], evaluation_state(best[1])),
            "best_weights": self.best_weights.tensors,
        }

    def _load(self, state: State) -> None:
        self._training.load(state["training"])
        self.history = [record_of(content) for content in state["history"]]
        self.best_weights.load(state["best_weights"])
        if state["best"] is not None:
            self._best = state["best"][0], evaluation_of(state["best"][1])


class BestWeights:
    """Snapshot of the weights of the best epoch; blocks that never learnt are not copied.

    Attributes:
        tensors: the copied tensors by block, or ``head``, and name.
    """

    def __init__(self, network: Network) -> None:
        self._parts = parts(network)
        self.tensors: dict[str, dict[str, Tensor]] = {}

    def copy(self, names: Iterable[str]) -> None:
        """Copy the current tensors of some blocks, or of the head."""
        for name in names:
            state = self._parts[name].state_dict()
            if name in self.tensors:
                for key, value in state.items():
                    self.tensors[name][key].copy_(value)
            else:
                self.tensors[name] = {key: value.clone() for key, value in state.items()}

    def load(self, tensors: dict[str, dict[str, Tensor]]) -> None:
        """Take over the copied tensors of a checkpoint."""
        for name, copied in tensors.items():
            now = self._parts[name].state_dict()
            self.tensors[name] = {key: value.to(now[key].device) for key, value in copied.items()}

    def restore(self) -> None:
        """Load the copied tensors into the network."""
        for name, tensors in self.tensors.items():
            self._parts[name].load_state_dict(tensors)


def evaluation_state(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation with tensors in place of arrays."""
    arrays = {
        name: torch.from_numpy(np.ascontiguousarray(getattr(evaluation, name))) for name in ("truth", "predicted")
    }
    return {"loss": evaluation.loss, "scores": dict(evaluation.scores), **arrays}


def evaluation_of(content: dict[str, Any]) -> Evaluation:
    """The evaluation with a state of `evaluation_state`."""
    return Evaluation(**{**content, "truth": content["truth"].numpy(), "predicted": content["predicted"].numpy()})


def record_of(content: dict[str, Any]) -> EpochRecord:
    """The record with the content that `dataclasses.asdict` gives."""
    learning = {part: Learning(**how) for part, how in content["learning"].items()}
    return EpochRecord(**{**content, "learning": learning})
