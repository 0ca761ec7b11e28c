"""Writes checkpoints of a network in training, when it is time and when the training is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sslwear.errors import DataChangedError, DivergenceError
from sslwear.training.checkpoint import Checkpoints, State
from sslwear.training.epochs import Training


class CheckpointWriter:
    """Writes checkpoints of a network in training.

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
        self._written = self._place
        training.on_batch = self.write_if_due

    def write_if_due(self) -> None:
        """Write a checkpoint if it is time and anything is new; only between two batches.

        Raises:
            DataChangedError: when the windows in use were changed.
        """
        if self._checkpoints.due and self._place != self._written:
            self._write()

    def write(self) -> None:
        """Write a checkpoint, unless nothing is new, the state is not that between two batches, or data changed."""
        if self._training.at_rest and self._training.epochs <= self._epochs() and self._place != self._written:
            with suppress(DataChangedError):
                self._write()

    def write_at_end(self) -> None:
        """Write a checkpoint at the end of the training, unless what is new takes no time to repeat."""
        if self._checkpoints.due_at_end:
            self.write()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Write a checkpoint when the block, which trains, is interrupted, fails or ends."""
        try:
            yield
        except DivergenceError:
            self._checkpoints.delete()  # it would diverge again
            raise
        except BaseException:
            self.write()
            raise
        self.write_at_end()

    @property
    def _place(self) -> tuple[tuple[int, int], int]:
        return self._training.place, self._epochs()

    def _write(self) -> None:
        self._checkpoints.write(self._state())
        self._written = self._place
