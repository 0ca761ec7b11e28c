"""System metrics of a training: use of processor and memory, and of a GPU where there is one, by MLflow's own monitor.

It samples in a thread beside the training: often at first, so that a run of seconds has some, and then less and less. A
monitor that cannot be started, or whose store does not answer, is gone without a word: no training ends because of it,
and none waits longer than `PATIENCE_S` for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from sslwear.tracking import Run

FIRST_S, LONGEST_S, GROWTH = 0.5, 10.0, 1.5
"""Seconds until the first sample is logged, at most between two, and how much longer each wait is than the last."""
PATIENCE_S = 5.0

logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)  # it would say of every run that it starts


class _Slowing(SystemMetricsMonitor):
    """Waits longer after each sample, and ends where something cannot be measured."""

    def monitor(self) -> None:
        with suppress(Exception):
            super().monitor()  # type: ignore[no-untyped-call]

    def publish_metrics(self, metrics: dict[str, Any]) -> None:
        super().publish_metrics(metrics)  # type: ignore[no-untyped-call]
        self.sampling_interval = min(LONGEST_S, self.sampling_interval * GROWTH)


@contextmanager
def monitored(run: Run) -> Iterator[None]:
    """Log system metrics on a run while the block goes on; the run must be ended after it.

    Args:
        run: an open run.
    """
    monitor = _started(run)
    try:
        yield
    finally:
        if monitor is not None:
            # A thread of its own, because the store may not answer, and the training is not to wait for that.
            closing = threading.Thread(target=monitor.finish, daemon=True)
            closing.start()
            closing.join(PATIENCE_S)


def _started(run: Run) -> SystemMetricsMonitor | None:
    try:
        uri = run.store.tracking_uri
        monitor = _Slowing(run.id, sampling_interval=FIRST_S, tracking_uri=uri)  # type: ignore[no-untyped-call]
        monitor.start()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - whatever it is, it is not worth a training
        return None
    return monitor
