"""Which errors are outages, and what is said about them."""

from __future__ import annotations

import errno
import os
import re
import sqlite3

import pytest
import requests
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from optuna.exceptions import StorageInternalError
from safetensors import SafetensorError
from sqlalchemy.exc import OperationalError

from sslwear.errors import DataChangedError, DivergenceError, StudyError, WeightsError
from sslwear.tracking.outages import advice, is_interruption, is_memory, is_outage


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


OUTAGES = [
    system(errno.ENOSPC),
    system(errno.EDQUOT),
    system(errno.EIO),
    system(errno.EMFILE),
    system(errno.EACCES),
    OSError("1024 requested and 0 written"),
    FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: unspecified launch failure"),
    RuntimeError("can't start new thread"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    MlflowException("the server restarts"),
    requests.ConnectionError("refused"),
    OperationalError("SELECT 1", {}, Exception("the database system is starting up")),
    StorageInternalError("the commit failed"),
    sqlite3.OperationalError("database is locked"),
    DataChangedError("data was changed"),
    caused(StudyError("cannot use the lock file"), system(errno.EIO)),
    caused(WeightsError("no checkpoint"), MlflowException("the server restarts")),
    caused(WeightsError("no checkpoint"), requests.ConnectionError("refused")),
]
OWN = [
    DivergenceError("the loss is not finite after epoch 1"),
    ValueError("a bad combination"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    SafetensorError("Error while deserializing header"),
    MlflowException("the name of the metric is too long", INVALID_PARAMETER_VALUE),
    caused(WeightsError("no checkpoint"), OSError("the run logged no checkpoint")),
    caused(WeightsError("no checkpoint"), FileNotFoundError(errno.ENOENT, "no such file")),
    caused(WeightsError("no checkpoint"), MlflowException("no such run", RESOURCE_DOES_NOT_EXIST)),
]


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_outages_interrupt(error: Exception) -> None:
    assert is_outage(error)
    assert is_interruption(error)


@pytest.mark.parametrize("error", OWN, ids=repr)
def test_errors_of_a_run_do_not(error: Exception) -> None:
    assert not is_outage(error)
    assert not is_interruption(error)


def test_the_user_interrupts() -> None:
    assert is_interruption(KeyboardInterrupt())


def test_memory_is_told_from_the_rest() -> None:
    said = [error for error in OUTAGES if is_memory(error)]
    assert said == OUTAGES[7:11]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (system(errno.ENOSPC), r"a disk is full \(\[Errno 28\] No space left on device\)\. Free space .*TMPDIR"),
        (OUTAGES[13], "a disk is full"),
        (system(errno.EMFILE), "too many files are open .* ulimit -n"),
        (system(errno.EIO), r"a file could not be read or written \(\[Errno 5\] Input/output error\)\. Correct this"),
        (MemoryError(), r"out of memory \(MemoryError\)\. Close other programs"),
        (torch.OutOfMemoryError("CUDA out of memory"), r"the graphics card is out of memory .* training\.batch_size"),
        (RuntimeError("CUDA error: device lost"), "the device or the system failed"),
    ],
)
def test_the_advice_says_what_to_do(error: Exception, words: str) -> None:
    said = advice(error)
    assert said is not None
    assert re.search(words, said)
    assert said.endswith("run the same command again")
