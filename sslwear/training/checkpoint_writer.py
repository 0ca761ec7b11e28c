"""Writes checkpoints of a network in training, when it is time and when the training is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sslwear.errors import DivergenceError
from sslwear.training.checkpoint import Checkpoints, State
from sslwear.training.epochs import Training


class CheckpointWriter:
    """Writes checkpoints of a network in training after batches, from now on.

    Args:
        checkpoints: of the training.
        training: the network in training, whose `on_batch` is set.
        state: content of a checkpoint.
        epochs: number of epochs that `state` knows the results of.
    """

    def __init__(
        self, checkpoints: Checkpoints, training: Training, state: Callable[[], State], epochs: Callable[[], int]
    ) -> None:
        self._checkpoints, self._training, self._state, self._epochs = checkpoints, training, state, epochs
        self._written = training.place
        training.on_batch = self._after_batch

    def write(self) -> None:
        """Write a checkpoint, unless nothing is new or the state is not that between two batches."""
        place = self._training.place
        if self._training.at_rest and self._training.epochs <= self._epochs() and place != self._written:
            self._checkpoints.write(self._state())
            self._written = place

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Write a checkpoint if the block, which trains, is interrupted; also at its end if the checkpoints say so."""
        try:
            yield
        except DivergenceError:
            self._checkpoints.delete()  # it would diverge again
            raise
        except BaseException:
            self.write()
            raise
        if self._checkpoints.at_end:
            self.write()

    def _after_batch(self) -> None:
        if self._checkpoints.due:
            self._checkpoints.write(self._state())
            self._written = self._training.place
