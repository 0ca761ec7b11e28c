"""System metrics of a run: use of CPU, memory and GPU, measured by MLflow's monitor.

The monitor samples in a thread, often at first, so that short runs have samples, and then at growing intervals. Errors
of the monitor are ignored: they never end a training, and a training waits at most `STOP_TIMEOUT_S` for the monitor.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from sslwear.tracking import Run

FIRST_S, LONGEST_S, GROWTH = 0.5, 10.0, 1.5
"""Seconds until the first sample, maximum seconds between two samples, and growth factor of the intervals."""
PEAK = "system/peak_gpu_memory_gigabytes"
STOP_TIMEOUT_S = 5.0
"""Maximum seconds to wait for the end of the monitor."""

logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)  # it logs the start of every run


class _Monitor(SystemMetricsMonitor):
    """Monitor with growing intervals, which ends when something cannot be measured."""

    def monitor(self) -> None:
        with suppress(Exception):
            super().monitor()  # type: ignore[no-untyped-call]

    def publish_metrics(self, metrics: dict[str, Any]) -> None:
        super().publish_metrics(metrics)  # type: ignore[no-untyped-call]
        self.sampling_interval = min(LONGEST_S, self.sampling_interval * GROWTH)


@contextmanager
def monitored(run: Run, device: torch.device) -> Iterator[None]:
    """Log system metrics of a run during the block; the run must be open at its end.

    Args:
        run: an open run.
        device: device that computes; of a graphics card, the peak of the memory that PyTorch has used is logged.
    """
    monitor = _started(run)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        yield
        if device.type == "cuda":
            run.metrics({PEAK: torch.cuda.max_memory_allocated(device) / 1e9})
    finally:
        if monitor is not None:
            # In a thread, because the store may not answer, and the training must not wait for it.
            stopping = threading.Thread(target=monitor.finish, daemon=True)
            stopping.start()
            stopping.join(STOP_TIMEOUT_S)


def _started(run: Run) -> SystemMetricsMonitor | None:
    try:
        uri = run.store.tracking_uri
        monitor = _Monitor(run.id, sampling_interval=FIRST_S, tracking_uri=uri)  # type: ignore[no-untyped-call]
        monitor.start()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - no error of the monitor may end a training
        return None
    return monitor
