"""Outages: failures of a store, a disk, the memory or the device, which say nothing about the settings of a run."""

from __future__ import annotations

import errno
import re
import sqlite3
import tempfile

import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode
from optuna.exceptions import StorageInternalError
from requests import RequestException
from safetensors import SafetensorError
from sqlalchemy.exc import SQLAlchemyError

from sslwear.errors import DataChangedError, ProcessLostError, SslwearError
from sslwear.utils.masking import one_line

STORE_ERRORS = (MlflowException, RequestException, SQLAlchemyError, StorageInternalError, sqlite3.Error)
OWN_CODES = (ErrorCode.Name(INVALID_PARAMETER_VALUE), ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))
"""Codes of MLflow's errors about what was asked for, not about the store."""
MEMORY = re.compile(r"out of memory|(can't|cannot|unable to) allocate|not enough memory|alloc_failed|bad_alloc", re.I)
DEVICE = re.compile(r"CUDA error|HIP error|device-side assert|can't start new thread")
"""Messages of PyTorch and Python after which nothing more can be computed in the process."""
DISK = re.compile(r"I/O error|os error \d+", re.I)
"""Messages of safetensors about an error of the system."""
FULL = re.compile(r"no space left|disk quota exceeded|os error (28|122)\b", re.I)


def is_interruption(error: BaseException) -> bool:
    """Whether an error interrupts a run, which can be repeated, instead of showing that the run fails."""
    return isinstance(error, KeyboardInterrupt) or is_outage(error)


def is_outage(error: BaseException) -> bool:
    """Whether an error, or the one that caused it, is an outage or a change of the data in use.

    What a user can correct (`SslwearError`) may be caused by a missing file or run, which is no outage.
    """
    if isinstance(error, DataChangedError | ProcessLostError):
        return True
    if isinstance(error, SslwearError):
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (None, errno.ENOENT):
            return isinstance(cause, RequestException)
        return cause is not None and is_outage(cause)
    return _of_store(error) or advice(error) is not None


def _of_store(error: BaseException) -> bool:
    return isinstance(error, STORE_ERRORS) and not (
        isinstance(error, MlflowException) and error.error_code in OWN_CODES
    )


def is_memory(error: BaseException) -> bool:
    """Whether memory was used up, which may also be due to the settings of a run."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and MEMORY.search(str(error)) is not None
    )


def advice(error: BaseException) -> str | None:
    """What failed and what to do, in sentences; None if it was not the disk, the memory, the device or the system."""
    reason = f"({one_line(error)})" if str(error) else f"({type(error).__name__})"
    if isinstance(error, torch.OutOfMemoryError):
        return (
            f"the graphics card is out of memory {reason}. Lower training.batch_size or cache.device_gb, or close "
            "other programs that use it, and run the same command again"
        )
    if is_memory(error):
        return f"out of memory {reason}. Close other programs that use it and run the same command again"
    if isinstance(error, RuntimeError) and DEVICE.search(str(error)):
        return f"the device or the system failed {reason}. Check it and run the same command again"
    of_system = isinstance(error, OSError) or (isinstance(error, SafetensorError) and DISK.search(str(error)))
    if of_system and FULL.search(str(error)):
        return (
            f"a disk is full {reason}. Free space where the store is and in the temporary folder "
            f"{tempfile.gettempdir()} (or set TMPDIR), and run the same command again"
        )
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open {reason}. Raise the limit with ulimit -n and run the same command again"
    if of_system:
        return f"a file could not be read or written {reason}. Correct this and run the same command again"
    return None
