"""Servers that may restart: calls to Optuna's storage and to MLflow wait for them with growing pauses."""

from __future__ import annotations

import functools
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, TypeVar

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE, ErrorCode
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from sslwear.utils.interrupts import is_deferred
from sslwear.utils.masking import one_line

log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])

LONGEST_S = 600.0
"""Seconds after which a server that does not come back is an error."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
WARNED_AFTER_S = 2.0
"""Seconds of silence after which a warning says what is waited for."""
AWAY = ErrorCode.Name(TEMPORARILY_UNAVAILABLE)
UNREACHED = "failed with exception"
"""Part of MLflow's message about a request that got no answer."""
_waiting = threading.local()


def is_lost_connection(error: BaseException | None) -> bool:
    """Whether an error says that a server cannot be reached, and not that it refused something."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, requests.ConnectionError | requests.Timeout):
            return True
        if isinstance(error, MlflowException) and (error.error_code == AWAY or UNREACHED in str(error)):
            return True
        if isinstance(getattr(error, "orig", None), sqlite3.Error):  # a file, which does not restart
            return False
        if isinstance(error, OperationalError | InterfaceError):
            return True
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        error = error.__cause__ or error.__context__  # a transaction that cannot go on names the loss as context
    return False


def patient(function: Function) -> Function:
    """Let a function that asks a server wait while the server cannot be reached.

    It gives up after `LONGEST_S`, and when the process is asked to end.
    """

    @functools.wraps(function)
    def waiting(*arguments: Any, **named: Any) -> Any:
        if getattr(_waiting, "inside", False):  # a patient function that called this one waits
            return function(*arguments, **named)
        _waiting.inside = True
        try:
            return _retried(lambda: function(*arguments, **named))
        finally:
            _waiting.inside = False

    return waiting  # type: ignore[return-value]


@contextmanager
def impatient() -> Iterator[None]:
    """Block in which calls do not wait for a server, because the process is about to end."""
    before = getattr(_waiting, "inside", False)
    _waiting.inside = True
    try:
        yield
    finally:
        _waiting.inside = before


@contextmanager
def while_ending() -> Iterator[None]:
    """Block of a process that is about to end: calls do not wait for a server, and that it is away is no error."""
    try:
        with impatient():
            yield
    except Exception as error:
        if not is_lost_connection(error):
            raise


def _retried(call: Callable[[], Any]) -> Any:
    start, pause, warned = time.monotonic(), FIRST_PAUSE_S, False
    while True:
        try:
            return call()
        except (StorageInternalError, SQLAlchemyError, MlflowException, requests.RequestException) as error:
            silent = time.monotonic() - start
            if not is_lost_connection(error) or silent > LONGEST_S or is_deferred():
                raise
            if silent > WARNED_AFTER_S and not warned:
                warned = True
                log.warning("a server does not answer (%s). Waiting for it", one_line(error))
        time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - workers should not all come back at once
        pause = min(2 * pause, LONGEST_PAUSE_S)


class PatientStorage(RDBStorage):
    """Optuna's relational storage whose calls wait while the server restarts."""


class PatientClient(MlflowClient):
    """MLflow's client whose calls wait while the server restarts; see `sslwear.tracking.offline_records`.

    Attributes:
        before: called before each call, so that what was logged meanwhile is there when something is read.
    """

    before: Callable[[], None] | None = None


def _prepared(function: Function) -> Function:
    """Method of the client that does first what has to be done before."""

    @functools.wraps(function)
    def after(client: PatientClient, *arguments: Any, **named: Any) -> Any:
        if client.before is not None:
            client.before()
        return function(client, *arguments, **named)

    return after  # type: ignore[return-value]


for _base, _class in ((RDBStorage, PatientStorage), (MlflowClient, PatientClient)):
    for _name, _function in vars(_base).items():
        if isinstance(_function, FunctionType) and not _name.startswith("__"):
            setattr(_class, _name, patient(_prepared(_function) if _class is PatientClient else _function))
