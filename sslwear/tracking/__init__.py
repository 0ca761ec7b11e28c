"""Experiment tracking with MLflow: the store and its runs.

The store, from its outside to its inside:

- `store`: the store of runs, studies and prepared data sets.
- `client`: MLflow's client of a store, and results in pages.
- `addresses`: checks of the addresses of stores that a user gives.
- `mlflow_database`: creation, repair and upgrade of MLflow's database, and its paths after a move.
- `databases`: SQLite files, also Optuna's: addresses, checks, safe replacement, backups and failures.
- `store_folder`: the folder of the embedded store as a whole: moving and backup.
- `open_runs`: runs that a killed process left open.
- `retry`: waiting for servers that restart.
- `offline_records`, `offline_folder`: what runs log while a server is away, and its files.
- `outages`: which errors are failures of a store, a disk, the memory or the device.
- `environment`: settings of MLflow's environment.

Its runs:

- `run`: writing a run: parameters, metrics, files, weights.
- `records`: what a run logs, in a form that can be kept and sent later.
- `reading`: settings, tags and metrics of logged runs.
- `checkpoints`: weights and cards of runs and registered models.
- `provenance`: command, commit and versions of libraries.
- `system_metrics`: use of the processor, memory and graphics card.
"""

from __future__ import annotations

from sslwear.tracking.environment import without_telemetry

with without_telemetry():
    from sslwear.tracking.client import all_pages
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
