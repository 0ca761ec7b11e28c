"""Number of threads: one for small batches, and not more than there are idle cores."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import joblib
import pytest
import torch
from torch import nn

from sslwear.encoders.base import Network, get
from sslwear.encoders.heads import classifier
from sslwear.errors import SettingsError
from sslwear.training import threads
from sslwear.training.threads import (
    SMALLEST_BATCH,
    idle_cores,
    operations_from,
    running_shares,
    threads_for,
    use_threads,
)
from sslwear.utils.processes import THREADS_VARIABLE


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "_measured", None)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def network(name: str) -> Network:
    encoder = get(name)()
    return Network(encoder, classifier("published", encoder.features, 4))


def test_a_small_batch_is_computed_on_one_thread() -> None:
    torch.set_num_threads(2)
    for share, most, expected in ((0.5, None, 1), (1, None, 2), (1, 3, 3)):
        with threads_for(share * SMALLEST_BATCH, most):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 2


def test_the_number_of_threads_is_restored_after_an_error() -> None:
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError), threads_for(0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def test_a_small_network_and_a_head_are_small_batches_and_a_large_network_is_not() -> None:
    small, large = (operations_from(network(name), samples) for name, samples in (("cnn10", 300), ("harnet10", 300)))
    assert 32 * small[0] < SMALLEST_BATCH < 512 * small[0]
    assert 256 * large[-1] < SMALLEST_BATCH < 8 * large[0]
    assert large == sorted(large, reverse=True)


def test_operations_are_those_of_each_layer_and_counting_changes_nothing() -> None:
    body = network("cnn5")
    body.train()
    body.blocks["layer2"].eval()
    state = {name: value.clone() for name, value in body.state_dict().items()}
    modes = [module.training for module in body.modules()]
    found = operations_from(body, 150)
    assert len(found) == 6
    layers = [layer for layer in body.classifier.modules() if isinstance(layer, nn.Linear)]
    assert found[-1] == 2 * sum(layer.weight.numel() for layer in layers)
    assert found[0] - found[1] == 2 * 32 * 3 * 5 * 150  # one convolution from 3 to 32 channels with kernels of 5
    assert [module.training for module in body.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in body.state_dict().items())


@pytest.mark.parametrize(
    ("shares", "expected"),
    [({8: [1.0] * 8}, 8), ({8: [1.0] * 7 + [0.5], 4: [1.0] * 4}, 4), ({8: [0.5] * 8, 4: [0.6] * 4, 2: [0.7, 1.0]}, 1)],
)
def test_busy_cores_are_not_idle(
    monkeypatch: pytest.MonkeyPatch, shares: dict[int, list[float]], expected: int
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "running_shares", shares.__getitem__)
    assert idle_cores() == expected


def test_a_worker_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "running_shares", lambda count: [1.0] * count)
    monkeypatch.setenv(THREADS_VARIABLE, "4")
    assert idle_cores() == 4


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((0.3, 1.0, 0.9), 2), ((1.0, 1.0, 0.3), 2), ((0.6, 0.9, 0.5), 1)],
)
def test_a_short_burst_of_another_process_does_not_count(
    monkeypatch: pytest.MonkeyPatch, shares: tuple[float, ...], expected: int
) -> None:
    measured = iter(shares)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    monkeypatch.setattr(threads, "running_shares", lambda _: [1.0, next(measured)])
    assert idle_cores() == expected


def test_idle_cores_are_measured_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    monkeypatch.setattr(threads, "running_shares", lambda _: [1.0, 1.0])
    assert idle_cores() == 2
    monkeypatch.setattr(threads, "running_shares", lambda _: [1.0, 0.5])
    assert idle_cores() == 2
    monkeypatch.setattr(threads, "REPEATED_S", -1.0)
    assert idle_cores() == 1
    assert use_threads(None) == 1


def test_threads_that_share_a_core_run_for_a_part_of_the_time() -> None:
    """Two busy processes for each core of the machine."""
    cores = joblib.cpu_count()
    count = 2 * multiprocessing.cpu_count()
    busy = [multiprocessing.get_context("spawn").Process(target=_busy, daemon=True) for _ in range(count)]
    for process in busy:
        process.start()
    try:
        assert min(min(running_shares(cores)) for _ in range(3)) < threads.IDLE_SHARE
    finally:
        for process in busy:
            process.kill()


def _busy() -> None:
    while True:
        pass


def test_more_threads_than_cores_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"threads: 100000 is more than the \d+ cores"):
        use_threads(100000)
    assert use_threads(1) == 1
