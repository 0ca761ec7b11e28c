"""Epochs of folds in the database, and when the owner of a trial waits for helpers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import sqlalchemy as sa

from sslwear.studies.database.optuna_storage import open_storage
from sslwear.studies.workers import shared_folds
from sslwear.studies.workers.fold_epochs import OWNER, FoldEpochs
from sslwear.studies.workers.heartbeats import heartbeat_of
from sslwear.studies.workers.shared_folds import PAUSE_S, SILENT_S, _Helped, rights
from sslwear.tracking import Store
from sslwear.training import EpochRecord, Evaluation
from sslwear.tuning.base import Learning


def epochs(first: int, last: int) -> list[tuple[EpochRecord, Evaluation]]:
    """Epochs of a fold, with numbers that no rounded text gives back."""
    found = []
    for number in range(first, last + 1):
        learning = {"head": Learning(1 / 3, 7, {"weight": 0.1 + 0.2})}
        record = EpochRecord(number, 0.1 * number, 1 / (7 * number), {}, learning, 0.5)
        answers = np.arange(5, dtype=np.int16)
        found.append((record, Evaluation(1 / (7 * number), {}, answers, answers[::-1].copy())))
    return found


@pytest.fixture
def table(tmp_path: Path) -> FoldEpochs:
    return FoldEpochs(sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}"))


def same(one: list[Any], other: list[Any]) -> bool:
    return [record for record, _ in one] == [record for record, _ in other] and all(
        a.loss == b.loss
        and a.truth.dtype == b.truth.dtype
        and np.array_equal(a.truth, b.truth)
        and np.array_equal(a.predicted, b.predicted)
        for (_, a), (_, b) in zip(one, other, strict=True)
    )


def test_epochs_are_read_as_they_were_written(table: FoldEpochs) -> None:
    table.add(1, 2, epochs(1, 3))
    table.add(1, 2, epochs(4, 4))
    table.add(1, 3, epochs(1, 1))
    assert same(table.read(1, 2, 0), epochs(1, 4))
    assert same(table.read(1, 2, 2), epochs(3, 4))
    assert table.read(1, 2, 4) == []
    table.come(1, 5)
    table.come(1, 6)
    assert table.progress(1) == {2: 4, 3: 1, OWNER: 6}
    table.add(1, 2, epochs(6, 6))  # of a helper that stood still while another one came to epoch 4
    assert same(table.read(1, 2, 1), epochs(2, 4))
    assert table.read(1, 2, 4) == []
    table.forget(1, 2)
    assert table.progress(1) == {3: 1, OWNER: 6}


def test_epochs_that_another_helper_wrote_are_the_same(table: FoldEpochs) -> None:
    table.add(1, 2, epochs(1, 3))
    table.add(1, 2, epochs(2, 3))
    assert same(table.read(1, 2, 0), epochs(1, 3))


def test_epochs_of_trials_that_ended_are_forgotten(table: FoldEpochs) -> None:
    for trial in (1, 2, 3):
        table.add(trial, 1, epochs(1, 1))
    table.forget_ended([1, 3, 9])
    assert [table.progress(trial) for trial in (1, 2, 3)] == [{}, {1: 1}, {}]


@pytest.fixture
def trial(store: Store) -> optuna.Trial:
    return optuna.create_study(study_name="x", storage=open_storage(store)).ask()


def helped(store: Store, trial: optuna.Trial, monkeypatch: pytest.MonkeyPatch, *names: str) -> _Helped:
    """The helpers of a trial, which have some rights."""
    monkeypatch.setattr(shared_folds.time, "sleep", lambda _: None)
    found = _Helped(heartbeat_of(store), trial)
    owners = {f"{rights(trial._trial_id)}{name}": "them" for name in names}
    monkeypatch.setattr(found._heartbeat.claims, "others", lambda prefix, gone=False: {} if gone else owners)
    return found


def test_nothing_is_read_or_written_without_helpers(
    store: Store, trial: optuna.Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = helped(store, trial, monkeypatch)
    found.notice()
    found.look(1)
    assert not found.ahead(1, 0)
    assert found.epochs(1, 0) == []
    assert not sa.inspect(found._heartbeat.engine).has_table("sslwear_fold_epochs")


def test_the_owner_waits_for_a_helper_that_is_ahead_unless_it_is_silent(
    store: Store, trial: optuna.Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_folds, "PAUSE_S", 0.0)
    found, table = helped(store, trial, monkeypatch, "2"), FoldEpochs(heartbeat_of(store).engine)
    found.notice()
    found.look(1)
    assert not found.ahead(2, 0)
    table.add(trial._trial_id, 2, epochs(1, 2))
    table.add(trial._trial_id, 3, epochs(1, 2))
    found.look(2)
    assert found.ahead(2, 1)
    assert not found.ahead(2, 2)
    assert not found.ahead(3, 0), "nobody has the right any more"
    assert same(found.epochs(3, 0), epochs(1, 2)), "what was done is used"
    assert table.progress(trial._trial_id)[OWNER] == 2
    monkeypatch.setattr(shared_folds, "PAUSE_S", PAUSE_S)
    for _ in range(int(SILENT_S / PAUSE_S) + 2):
        found.wait()
    assert not found.ahead(2, 1)
    table.add(trial._trial_id, 2, epochs(3, 3))
    found._looked = -1e9
    found.look(3)
    assert found.ahead(2, 1), "there is news"
