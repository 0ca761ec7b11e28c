"""Epochs of folds that helpers trained: rows in Optuna's database, which the owner of the trial reads.

Workers may be on different machines, and their caches and folders are local. The database is what they surely share: it
has the rights to train folds too, and rows can be deleted when the trial has ended, as artifacts of a run cannot.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
import torch
from sqlalchemy.exc import IntegrityError

from sslwear.studies.workers.claims import create_table
from sslwear.tracking.retry import patient
from sslwear.training import EpochRecord, Evaluation
from sslwear.training.so_far import evaluation_of, evaluation_state, record_of

EPOCHS = sa.Table(
    "sslwear_fold_epochs",
    sa.MetaData(),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fold", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", sa.LargeBinary(2**32 - 1), nullable=False),
)
"""Trial by Optuna's id, fold from 0, last epoch of the row from 1, and the row's epochs."""
OWNER = -1
"""Row in place of a fold: the epoch that the owner of the trial has come to."""
Epoch = tuple[EpochRecord, Evaluation]


class FoldEpochs:
    """Epochs of folds that helpers trained.

    Args:
        engine: of Optuna's database; the table is created if it does not exist.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        create_table(self._engine, EPOCHS)

    @patient
    def add(self, trial: int, fold: int, epochs: Sequence[Epoch]) -> None:
        """Add the next epochs of a fold."""
        self._insert(trial, fold, epochs[-1][0].epoch, _packed(epochs))

    @patient
    def read(self, trial: int, fold: int, known: int) -> list[Epoch]:
        """The epochs of a fold after the first `known` ones, up to the first that is not there.

        A helper that stood still for long may have written one after those that another helper has come to.
        """
        mine = (EPOCHS.c.trial == trial) & (EPOCHS.c.fold == fold) & (EPOCHS.c.epoch > known)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(EPOCHS.c.content).where(mine).order_by(EPOCHS.c.epoch)).all()
        found = [epoch for row in rows for epoch in _unpacked(row.content)]
        later = (epoch for epoch in found if epoch[0].epoch > known)
        return [epoch for number, epoch in enumerate(later, start=known + 1) if epoch[0].epoch == number]

    @patient
    def progress(self, trial: int) -> dict[int, int]:
        """Number of epochs by fold, and the owner's under `OWNER`."""
        found = sa.select(EPOCHS.c.fold, sa.func.max(EPOCHS.c.epoch).label("epoch")).where(EPOCHS.c.trial == trial)
        with self._engine.connect() as connection:
            return {row.fold: row.epoch for row in connection.execute(found.group_by(EPOCHS.c.fold))}

    @patient
    def come(self, trial: int, epoch: int) -> None:
        """Say which epoch the owner of a trial has come to."""
        self._insert(trial, OWNER, epoch, b"")

    @patient
    def forget(self, trial: int, fold: int | None = None) -> None:
        """Delete the epochs of a fold, or everything of a trial."""
        mine = EPOCHS.c.trial == trial
        with self._engine.connect() as connection:
            connection.execute(sa.delete(EPOCHS).where(mine if fold is None else mine & (EPOCHS.c.fold == fold)))

    @patient
    def forget_ended(self, trials: Iterable[int]) -> None:
        """Delete what killed processes left of trials that have ended."""
        with self._engine.connect() as connection:
            left = {row.trial for row in connection.execute(sa.select(EPOCHS.c.trial).distinct())}
        for trial in left & set(trials):
            self.forget(trial)

    def _insert(self, trial: int, fold: int, epoch: int, content: bytes) -> None:
        with self._engine.connect() as connection:
            try:
                connection.execute(sa.insert(EPOCHS).values(trial=trial, fold=fold, epoch=epoch, content=content))
            except IntegrityError:  # another helper was given up and is not gone: its epochs are the same
                return


def _packed(epochs: Sequence[Epoch]) -> bytes:
    content = io.BytesIO()
    torch.save([(asdict(record), evaluation_state(evaluation)) for record, evaluation in epochs], content)
    return zlib.compress(content.getbuffer(), 1)


def _unpacked(content: bytes) -> list[Epoch]:
    found: list[tuple[dict[str, Any], dict[str, Any]]] = torch.load(
        io.BytesIO(zlib.decompress(content)), map_location="cpu", weights_only=True
    )
    return [(record_of(record), evaluation_of(evaluation)) for record, evaluation in found]
