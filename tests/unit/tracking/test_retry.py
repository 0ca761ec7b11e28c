"""Calls wait for a server that cannot be reached, and for nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError, PendingRollbackError, ProgrammingError

from sslwear.tracking import retry
from sslwear.tracking.retry import impatient, patient
from sslwear.utils.interrupts import signals_deferred

LOST = OperationalError("SELECT 1", {}, Exception("server closed the connection"))


def wrapped(error: Exception) -> StorageInternalError:
    made = StorageInternalError("while committing")
    made.__cause__ = error
    return made


def stuck() -> StorageInternalError:
    """As SQLAlchemy fails with a transaction whose connection was lost."""
    made = PendingRollbackError("cannot reconnect until the invalid transaction is rolled back")
    made.__context__ = LOST
    return wrapped(made)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    monkeypatch.setattr(retry.time, "sleep", made.append)
    return made


def failing(error: Exception, times: int) -> Callable[[], str]:
    left = [times]

    @patient
    def call() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "done"

    return call


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        wrapped(LOST),
        stuck(),
        requests.ConnectionError("refused"),
        MlflowException("API request to http://x failed with exception refused"),
        MlflowException("the database is away", TEMPORARILY_UNAVAILABLE),
    ],
)
def test_a_lost_server_is_waited_for_with_growing_pauses(error: Exception, pauses: list[float]) -> None:
    assert failing(error, 5)() == "done"
    assert len(pauses) == 5
    assert pauses[4] > 4 * pauses[0]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a mistake"),
        ProgrammingError("SELECT x", {}, Exception("no such column")),
        OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked")),
        MlflowException("changing a parameter"),
    ],
)
def test_other_errors_are_raised_at_once(error: Exception, pauses: list[float]) -> None:
    with pytest.raises(type(error)):
        failing(error, 1)()
    assert pauses == []


def test_a_server_that_stays_away_is_an_error(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(retry.time, "monotonic", lambda: next(clock))
    with pytest.raises(OperationalError):
        failing(LOST, 10**6)()
    assert len(pauses) == retry.LONGEST_S / 100


def test_who_is_about_to_end_does_not_wait(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    with impatient(), pytest.raises(OperationalError):
        failing(LOST, 1)()
    with signals_deferred():
        monkeypatch.setattr(retry, "is_deferred", lambda: True)
        with pytest.raises(OperationalError):
            failing(LOST, 1)()
    assert pauses == []
    monkeypatch.undo()
