"""Several processes together do what one does with a batch of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sslwear.data.dataset import Dataset
from sslwear.errors import ProcessLostError, SettingsError
from sslwear.pretext.contrastive import Contrastive
from sslwear.training.batch import Batch
from sslwear.training.processes import Processes, of_environment, own_device
from sslwear.training.reading import Reading
from tests.commands import together
from tests.unit.training import fit_together
from tests.unit.training.fit_together import CASES, results

Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def three(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    """Results of each of three processes, with batches of 2 windows each, of which the last has none for one."""
    out = tmp_path_factory.mktemp("three") / "results"
    for process in together(3, fit_together.main, str(small_folder), str(out)):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return [torch.load(f"{out}-{rank}.pt") for rank in range(3)]


@pytest.fixture(scope="module")
def alone(small: Dataset) -> Results:
    """Results of one process, with batches of 6 windows."""
    return results(small, Processes())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_several_processes_do_what_one_does_with_the_whole_batch(
    three: list[Results], alone: Results, case: str
) -> None:
    one, first = alone[case], three[0][case]
    assert one["gradients"].keys() == first["gradients"].keys()
    for name, gradient in one["gradients"].items():  # rounding may move an activation over the kink of a ReLU
        assert (first["gradients"][name] - gradient).norm() <= 0.03 * gradient.norm() + 1e-7, name
    assert first["losses"] == pytest.approx(one["losses"], rel=1e-2)
    assert first["rates"] == pytest.approx(one["rates"], rel=1e-2)
    assert first["predicted"].shape == one["predicted"].shape
    assert first["classes"] == one["classes"]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_all_processes_have_the_same_network(three: list[Results], case: str) -> None:
    for other in three[1:]:
        assert other[case]["losses"] == three[0][case]["losses"]
        for name, value in three[0][case]["tensors"].items():
            assert torch.equal(other[case]["tensors"][name], value), name


@pytest.mark.parametrize(("windows", "count"), [(8, 2), (7, 2), (2, 3), (1, 4), (64, 5)])
def test_the_parts_of_a_batch_are_the_batch(windows: int, count: int) -> None:
    parts = [list(range(windows))[Reading(rank=rank, count=count).part(windows)] for rank in range(count)]
    assert [row for part in parts for row in part] == list(range(windows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_has_all_rows_of_its_windows() -> None:
    x, labels = torch.randn(4, 3, 150), torch.zeros(4, dtype=torch.long)
    whole, _ = Contrastive().batch(x, labels, torch.Generator(), True)
    part = Batch.of(Contrastive(), x[2:], labels, torch.Generator(), True, Processes(1, 2))
    assert part.rows.tolist() == [2, 3, 6, 7]
    assert torch.equal(part.inputs, whole[part.rows])
    assert part.target.tolist() == [6, 7, 2, 3]


def test_torchrun_with_one_process_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    assert of_environment() == Processes()


def test_each_process_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [own_device(name) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(SettingsError, match="several processes cannot train on cuda:0"):
        own_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SettingsError, match="torchrun has started 2 processes on this machine, which has 1 graphics"):
        own_device("auto")


def test_the_end_of_another_process_is_an_error_that_says_so() -> None:
    with pytest.raises(ProcessLostError, match="another of the 2 processes has ended"), Processes(0, 2).noticing():
        raise RuntimeError("[pair.cc:547] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(RuntimeError, match="another thing"), Processes(0, 2).noticing():
        raise RuntimeError("another thing")
