"""Experiment tracking with MLflow: the store and its runs."""

from __future__ import annotations

from sslwear.tracking.environment import without_telemetry

with without_telemetry():
    from sslwear.tracking.paging import all_pages
    from sslwear.tracking.run import (
        CLASSIFIER,
        MAX_PARAM,
        MODEL_URI,
        NOTE,
        RUN_URI,
        SYSTEM_METRICS,
        Run,
        participant_names,
        participant_params,
    )
    from sslwear.tracking.store import HOME_VARIABLE, STORAGE_VARIABLE, Store

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
    "participant_names",
    "participant_params",
]
