"""Reading of logged runs: text files, settings, tags and metrics."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from sslwear.config import Settings, from_yaml, parse
from sslwear.tracking import SYSTEM_METRICS, Store
from sslwear.tracking.provenance import PREFIX
from sslwear.tracking.run import OLD_KINDS
from sslwear.training import EpochRecord

SETTINGS = "settings.yaml"
TIMES = ("epoch_seconds",)
"""Metrics that differ between identical runs."""


def text(store: Store, run_id: str, path: str) -> str | None:
    """Content of a text file of a run; None if there is no such file."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Path(store.client.download_artifacts(run_id, path, folder)).read_text()
        except (MlflowException, OSError):
            return None


def settings(store: Store, run_id: str) -> Settings | None:
    """Settings of a run; None if it logged none.

    Raises:
        SettingsError: when the settings are not valid in this version of the package.
    """
    logged = text(store, run_id, SETTINGS)
    return None if logged is None else parse(from_yaml(logged), f"{SETTINGS} of the run {run_id}")


def tag(run: MlflowRun, name: str) -> str | None:
    """Tag of this package by name without the prefix ``sslwear.``; None if the run does not have it."""
    value = run.data.tags.get(f"{PREFIX}{name}")
    return None if value is None else str(value)


def kind_of(run: MlflowRun) -> str | None:
    """Kind of a run, see `Store.create_run`; kinds of version 0.1 have their current names."""
    kind = tag(run, "kind")
    return OLD_KINDS.get(kind, kind) if kind is not None else None


def metric_history(store: Store, run_id: str) -> dict[tuple[int, str], list[float]]:
    """Metrics of a run by step and name, in the order of steps, without times and system metrics."""
    found: dict[tuple[int, str], list[float]] = {}
    for name in sorted(store.client.get_run(run_id).data.metrics):
        if name.startswith(SYSTEM_METRICS) or name in TIMES:
            continue
        for metric in store.client.get_metric_history(run_id, name):
            found.setdefault((metric.step, name), []).append(metric.value)
    return {key: sorted(found[key]) for key in sorted(found)}


def epochs(store: Store, run_id: str, score: str) -> list[EpochRecord]:
    """Losses and a validation score of each epoch of a run; empty if it logged none."""
    by_name: dict[str, dict[int, float]] = {"train_loss": {}, "val_loss": {}, f"val_{score}": {}}
    for (epoch, name), values in metric_history(store, run_id).items():
        if name in by_name:
            by_name[name][epoch] = values[-1]
    train, validation, scores = by_name.values()
    known = sorted(train.keys() & validation.keys() & scores.keys())
    return [EpochRecord(epoch, train[epoch], validation[epoch], {score: scores[epoch]}, {}, 0.0) for epoch in known]
