"""One fold of a cross-validated training: its network, and its epochs so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sslwear.encoders.base import Encoder
from sslwear.errors import SslwearError
from sslwear.training.cache import FeatureCache
from sslwear.training.checkpoint import Checkpoints, State
from sslwear.training.checkpoint_writer import CheckpointWriter
from sslwear.training.device import seeded
from sslwear.training.epochs import Training
from sslwear.training.position import restore_global
from sslwear.training.results import EpochRecord, Evaluation, FitSettings
from sslwear.training.so_far import evaluation_of, evaluation_state, record_of
from sslwear.training.task import Task
from sslwear.training.windows import FitData
from sslwear.tuning.base import TuningStrategy

SMALL = np.int16
"""Type of kept class indices, of which there are as many as windows times epochs."""


@dataclass(frozen=True)
class Fold:
    """What one fold trains on.

    Attributes:
        encoder: initial weights; its tensors are trained in place.
        task: the task, with the class weights of the fold's training windows.
        data: training and validation windows.
        tuning: which blocks learn, and how fast; an object of the fold's own, because it may have a state.
    """

    encoder: Encoder
    task: Task
    data: FitData
    tuning: TuningStrategy


class TrainedFold:
    """A fold with its network, and its epochs so far.

    Args:
        fold: the fold.
        settings: settings of the training.
        cache: stores the outputs of the frozen first blocks.
        checkpoints: of the fold, which goes on from the last one; None for none.

    Attributes:
        fold: the fold.
        training: its network in training; helpers may have done more epochs of the fold than it has.
        history: records by epoch.
        evaluations: evaluations by epoch.
        error: what ended its training.
    """

    def __init__(
        self, fold: Fold, settings: FitSettings, cache: FeatureCache | None, checkpoints: Checkpoints | None = None
    ) -> None:
        data = fold.data
        if len(data.train) == 0 or len(data.validation) == 0:
            raise SslwearError("there are no windows to train or to validate on. Check the split")
        self.fold = fold
        self.training = Training(
            fold.encoder, fold.task, data.train, fold.tuning, settings, cache, data.validation, _no_scores
        )
        self.history: list[EpochRecord] = []
        self.evaluations: list[Evaluation] = []
        self.error: Exception | None = None
        self._device, self._draws = settings.device, dict[str, Tensor]()
        self._writer: CheckpointWriter | None = None
        if checkpoints is not None:
            self._resume(checkpoints)

    def _resume(self, checkpoints: Checkpoints) -> None:
        """Go on from the last checkpoint, and write further ones."""
        if (state := checkpoints.read()) is not None:
            with seeded(0, self._device):  # loading sets the global generator, which the other folds use too
                self.training.load(state["training"])
            self._draws = state["training"]["global"]
            for record, evaluation in state["epochs"]:
                self.add(record_of(record), evaluation_of(evaluation))
            if checkpoints.on_resume is not None:
                checkpoints.on_resume(self.history)
        self._writer = CheckpointWriter(checkpoints, self.training, self._state, lambda: len(self.history))

    def _state(self) -> State:
        states = [evaluation_state(evaluation) for evaluation in self.evaluations]
        shared: dict[int, Tensor] = {}  # the same classes for all epochs are written once
        for evaluation, state in zip(self.evaluations, states, strict=True):
            state["truth"] = shared.setdefault(id(evaluation.truth), state["truth"])
        return {
            "training": self.training.state(),
            "epochs": list(zip(map(asdict, self.history), states, strict=True)),
        }

    def keep(self, at_end: bool = False) -> None:
        """Write a checkpoint of what is not written yet; only while no other thread trains the fold.

        Args:
            at_end: whether the training ended, so that little is not worth it.
        """
        if self._writer is not None:
            (self._writer.write_at_end if at_end else self._writer.write)()

    def keep_if_due(self) -> None:
        """Write a checkpoint of what is not written yet if it is time; as for `keep`."""
        if self._writer is not None and self.error is None:
            self._writer.write_if_due()

    def restore_draws(self) -> None:
        """Restore PyTorch's global generator as it was when the checkpoint was written."""
        if self._draws:
            restore_global(self._device, self._draws)
        self._draws = {}

    def prepare(self) -> None:
        """Prepare the next epoch; an exception is kept as `error`."""
        self._attempt(self.training.prepare)

    def begin(self) -> None:
        """Begin the next epoch, see `Training.begin`; an exception is kept as `error`."""
        self._attempt(self.training.begin)

    def advance(self) -> None:
        """Train and evaluate for the next epoch; an exception is kept as `error`."""
        self._attempt(self._advance)

    def _advance(self) -> None:
        record = self.training.advance()
        evaluation = self.training.evaluation
        assert evaluation is not None
        self.training.evaluation = None
        if self.training.epochs > len(self.history):
            self.add(record, evaluation)

    def add(self, record: EpochRecord, evaluation: Evaluation) -> None:
        """Add the next epoch."""
        self.history.append(record)
        truth, predicted = _small(evaluation.truth), _small(evaluation.predicted)
        if self.evaluations and np.array_equal(truth, self.evaluations[0].truth):
            truth = self.evaluations[0].truth
        self.evaluations.append(replace(evaluation, truth=truth, predicted=predicted))

    def _attempt(self, step: Callable[[], None]) -> None:
        if self.error is None:
            try:
                step()
            except Exception as error:  # noqa: BLE001 (raised in the main thread when the fold's turn comes)
                self.error = error


def _small(answers: NDArray[Any]) -> NDArray[Any]:
    """Answers as int16 if they are integers that fit, as class indices do."""
    if not np.issubdtype(answers.dtype, np.integer):
        return answers
    limits = np.iinfo(SMALL)
    return answers.astype(SMALL) if limits.min <= answers.min() and answers.max() <= limits.max else answers


def _no_scores(*_: object) -> dict[str, float]:
    return {}
