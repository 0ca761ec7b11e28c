"""Comparison of a repeated training with the original: all metrics, to the bit, and what they start from."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow.entities import Run as MlflowRun

from sslwear.evaluation.participants import POOLED
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Run, Store, reading
from sslwear.training.metrics import SCORES
from sslwear.utils.words import shown

History = dict[tuple[int, str], list[float]]
"""Values of metrics by step and name."""


@dataclass(frozen=True)
class MetricDifference:
    """A metric at a step in which two runs differ; an empty list means that a run did not log it."""

    step: int
    name: str
    before: list[float]
    now: list[float]

    def __str__(self) -> str:
        values = (" and ".join(map(shown, some)) or "nothing" for some in (self.before, self.now))
        text = f"{self.name} at step {self.step}: {' then, '.join(values)} now"
        if len(self.before) == len(self.now) == 1:
            text += f", a difference of {self.now[0] - self.before[0]:.1e}"
        return text


@dataclass(frozen=True)
class RerunResult:
    """Result of a rerun.

    Attributes:
        run_id: id of the new run.
        metrics: number of metrics compared; times, system metrics and metrics that were added after the end of a run
            are not compared.
        values: number of values over all steps.
        differing: first difference; None if all values are identical to the bit.
    """

    run_id: str
    metrics: int
    values: int
    differing: MetricDifference | None


def compare(before: str, now: str, store: Store) -> RerunResult:
    """Compare all metrics that two trainings logged at all steps, to the bit.

    Args:
        before: id of the original run.
        now: id of the run that repeats it.
        store: store of both.
    """
    old, new = _comparable(reading.metric_history(store, before), reading.metric_history(store, now))
    differing = None
    for key in sorted({*old, *new}):
        values = old.get(key, []), new.get(key, [])
        if [value.hex() for value in values[0]] != [value.hex() for value in values[1]]:  # NaN is like NaN
            differing = MetricDifference(*key, *values)
            break
    return RerunResult(now, len({name for _, name in new}), sum(map(len, new.values())), differing)


def warn_of_another_start(original: MlflowRun, run: Run, progress: ProgressCallback) -> None:
    """Warn if the rerun started from another pre-training or another version of a model."""
    now = run.store.client.get_run(run.id)
    before, origin = (reading.tag(one, "pretraining_run") for one in (original, now))
    if origin != before:
        progress.warn(f"the rerun starts from the pre-training {origin}, the original from {before}")
    before, origin = (one.data.params.get("weights") for one in (original, now))
    if origin != before:
        progress.warn(f"the rerun starts from the weights {origin}, the original from {before}")


def _comparable(old: History, new: History) -> tuple[History, History]:
    """Metrics without those that have another meaning in a run of version 0.1, whose scores are over all windows."""
    names = [{name for _, name in history} for history in (old, new)]
    if f"{POOLED}kappa" in names[0] or f"{POOLED}kappa" not in names[1]:
        return old, new
    same = names[0] - {f"{prefix}{score}" for score in SCORES for prefix in ("", "val_")}
    kept = [{key: values for key, values in history.items() if key[1] in same} for history in (old, new)]
    return kept[0], kept[1]
