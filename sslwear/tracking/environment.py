"""Settings of MLflow's environment: none changes at import, and defaults are set when a store is opened."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
DEFAULTS = {
    TELEMETRY: "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # a server that does not answer is reported after seconds, not minutes
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Environment variables that are set when a store is opened, unless the user has set them."""
LOGGERS = ("alembic", "mlflow.pyfunc")
"""Loggers whose information messages are hidden when a store is opened."""
DATABASE_LOGGERS = ("mlflow.store.db.utils", "sqlalchemy.pool")
"""Loggers that write tracebacks although an error is raised too: of every error of a database, and of cursors that
cannot be closed because Ctrl-C ended a query."""


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Import MLflow in this block: its telemetry looks up a host when MLflow is imported."""
    given = os.environ.get(TELEMETRY)
    os.environ.setdefault(TELEMETRY, DEFAULTS[TELEMETRY])
    try:
        yield
    finally:
        if given is None:
            del os.environ[TELEMETRY]


def set_defaults() -> None:
    """Set `DEFAULTS` where the user has set nothing, and hide messages of `LOGGERS` and `DATABASE_LOGGERS`."""
    for variable, value in DEFAULTS.items():
        os.environ.setdefault(variable, value)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET or logger.level == logging.INFO:
            logger.setLevel(logging.WARNING)
    for name in DATABASE_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
