"""System metrics are logged beside a training, and never cost one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sslwear.config import Settings
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.single_run import train_once
from sslwear.tracking import Store, system_metrics
from tests.integration.conftest import Interrupting, statuses

PROCESSOR, MEMORY = "system/cpu_utilization_percentage", "system/system_memory_usage_percentage"


def monitors() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


def test_a_training_logs_system_metrics_and_stops_the_monitor(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_metrics, "FIRST_S", 0.02)
    run, _ = train_once(make(), store, ProgressCallback())
    kept = store.find_run(run.id)
    assert kept is not None
    assert 0 <= kept.data.metrics[PROCESSOR] <= 100
    assert 0 < kept.data.metrics[MEMORY] <= 100
    assert monitors() == []


def test_sampling_intervals_grow(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "LONGEST_S", 0.6)
    monitor = system_metrics._Monitor("none", sampling_interval=0.2, tracking_uri=store.tracking_uri)
    monkeypatch.setattr(monitor.mlflow_logger, "record_metrics", lambda *_: None)
    waits = []
    for _ in range(4):
        monitor.publish_metrics({})
        waits.append(monitor.sampling_interval)
    assert waits == pytest.approx([0.3, 0.45, 0.6, 0.6])


def test_an_interruption_stops_the_monitor(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_metrics, "FIRST_S", 0.02)
    with pytest.raises(KeyboardInterrupt):
        train_once(make(), store, Interrupting(1))
    assert monitors() == []
    assert statuses(store)["train"] == ["KILLED"]


@pytest.mark.parametrize("step", ["__init__", "start", "collect_metrics", "publish_metrics"])
def test_a_monitor_that_fails_does_not_fail_the_training(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such sensor")

    monkeypatch.setattr(system_metrics, "FIRST_S", 0.02)
    monkeypatch.setattr(system_metrics._Monitor, step, fail)
    said: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    run, _ = train_once(make(), store, ProgressCallback())
    assert said == []
    kept = store.find_run(run.id)
    assert kept is not None
    assert kept.info.status == "FINISHED"
    assert PROCESSOR not in kept.data.metrics


def test_training_does_not_wait_for_a_store_that_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    answered, waited = threading.Event(), threading.Event()

    def finish(_: Any) -> None:
        answered.wait(60)
        waited.set()

    monkeypatch.setattr(system_metrics, "STOP_TIMEOUT_S", 0.05)
    monkeypatch.setattr(system_metrics._Monitor, "finish", finish)
    run = store.create_run(store.experiment("tiny"), "one", "train")
    with system_metrics.monitored(run, torch.device("cpu")):
        pass
    assert not waited.is_set()
    run.end("FINISHED", "finished")
    answered.set()
    assert waited.wait(60)


def test_the_peak_of_a_graphics_cards_memory_is_that_of_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    peak = {"cuda": 8e9}
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: peak.update({device.type: 0}))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: peak[device.type])
    run = store.create_run(store.experiment("tiny"), "one", "train")
    with system_metrics.monitored(run, torch.device("cuda")):
        peak["cuda"] += 2.5e9
    run.end("FINISHED", "finished")
    kept = store.find_run(run.id)
    assert kept is not None
    assert kept.data.metrics["system/peak_gpu_memory_gigabytes"] == 2.5
