"""MLflow: the store, and runs written through explicit run ids, metrics in batches."""

from __future__ import annotations

import logging
import os

for _variable, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # before mlflow is imported, or it looks up a host
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # a server that is not there is told after seconds, not minutes
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}.items():
    os.environ.setdefault(_variable, _value)
for _name in ("alembic", "mlflow.pyfunc", "mlflow.store.db.utils"):
    logging.getLogger(_name).setLevel(logging.WARNING)

from sslwear.tracking.run import (  # noqa: E402
    CLASSIFIER,
    MAX_PARAM,
    MODEL_URI,
    NOTE,
    RUN_URI,
    SYSTEM_METRICS,
    Run,
    named,
    people,
)
from sslwear.tracking.store import HOME_VARIABLE, STORAGE_VARIABLE, Store, all_pages, write_ahead  # noqa: E402

__all__ = [
    "CLASSIFIER",
    "HOME_VARIABLE",
    "MAX_PARAM",
    "MODEL_URI",
    "NOTE",
    "RUN_URI",
    "STORAGE_VARIABLE",
    "SYSTEM_METRICS",
    "Run",
    "Store",
    "all_pages",
    "named",
    "people",
    "write_ahead",
]
