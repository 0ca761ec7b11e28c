"""Reading of logged runs: text files, settings, tags and metrics."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from sslwear.config import Settings, from_yaml, parse
from sslwear.evaluation.participants import POOLED
from sslwear.tracking import SYSTEM_METRICS, Store
from sslwear.tracking.provenance import PREFIX
from sslwear.tracking.run import OLD_KINDS, PLUGINS
from sslwear.training import EpochRecord

SETTINGS = "settings.yaml"
NOT_RESULTS = (SYSTEM_METRICS, "learning_parameters/")
"""Prefixes of metrics that are no results; version 0.1 logged numbers of parameters as metrics."""
TIMES = ("epoch_seconds", "windows_per_second")
"""Metrics that differ between identical runs."""
Value = TypeVar("Value")


def text(store: Store, run_id: str, path: str) -> str | None:
    """Content of a text file of a run; None if there is no such file."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            content = Path(store.client.download_artifacts(run_id, path, folder)).read_bytes()
        except (MlflowException, OSError):
            return None
    return content.decode()  # MLflow writes UTF-8 in every locale; a plug-in keeps its ends of lines


def settings(store: Store, run_id: str) -> Settings | None:
    """Settings of a run; None if it logged none.

    Raises:
        SettingsError: when the settings are not valid in this version of the package.
    """
    logged = text(store, run_id, SETTINGS)
    return None if logged is None else parse(from_yaml(logged), f"{SETTINGS} of the run {run_id}")


def with_plugins(found: Settings, store: Store, run_ids: Sequence[str], folder: Path) -> Settings:
    """Settings with logged copies in place of plug-in files that changed or are missing.

    Args:
        found: settings of a run.
        store: the store.
        run_ids: the run, and others that may have logged the files, such as its parent.
        folder: receives the copies.
    """
    paths = list(found.plugins)
    for number, path in enumerate(paths):
        copies = (text(store, run_id, f"{PLUGINS}/{number}.py") for run_id in run_ids)
        logged = next((copy for copy in copies if copy is not None), None)
        if logged is not None and not _has(Path(path), logged):
            copy = folder / f"{number}_{Path(path).name}"
            copy.write_bytes(logged.encode())
            paths[number] = str(copy)
    return found.model_copy(update={"plugins": tuple(paths)})


def _has(path: Path, content: str) -> bool:
    try:
        return path.read_bytes() == content.encode()
    except OSError:
        return False


def tag(run: MlflowRun, name: str) -> str | None:
    """Tag of this package by name without the prefix ``sslwear.``; None if the run does not have it."""
    value = run.data.tags.get(f"{PREFIX}{name}")
    return None if value is None else str(value)


def kind_of(run: MlflowRun) -> str | None:
    """Kind of a run, see `Store.create_run`; kinds of version 0.1 have their current names."""
    kind = tag(run, "kind")
    return OLD_KINDS.get(kind, kind) if kind is not None else None


def current_names(metrics: Mapping[str, Value]) -> dict[str, Value]:
    """Metrics under current names.

    Version 0.1 named means over participants ``test_kappa_mean``, and scores over all windows ``test_kappa``.
    """
    old = {name for name in metrics if name.startswith("test_") and name.endswith("_mean")}
    means = {name: name.removesuffix("_mean") for name in old}
    pooled = {name: f"{POOLED}{name}" for name in means.values()}
    return {means.get(name, pooled.get(name, name)): value for name, value in metrics.items()}


def metric_history(store: Store, run_id: str) -> dict[tuple[int, str], list[float]]:
    """Metrics of a run until its end by step and name, in the order of steps, without times and system metrics.

    Metrics that were added after the end, for example by a promotion, are not results of the training.
    """
    run = store.client.get_run(run_id)
    end = run.info.end_time or math.inf
    histories = {
        name: [metric for metric in store.client.get_metric_history(run_id, name) if metric.timestamp <= end]
        for name in run.data.metrics
        if not name.startswith(NOT_RESULTS) and name not in TIMES
    }
    found: dict[tuple[int, str], list[float]] = {}
    for name, history in current_names({name: history for name, history in histories.items() if history}).items():
        for metric in history:
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
