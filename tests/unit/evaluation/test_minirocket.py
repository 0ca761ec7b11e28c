"""MiniRocket on real recordings, and without the package that it needs."""

from __future__ import annotations

import sys
from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch

from sslwear.data.dataset import Dataset
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.baselines import minirocket
from sslwear.evaluation.baselines.base import missing
from sslwear.evaluation.baselines.minirocket import MiniRocket
from sslwear.training import Windows
from sslwear.training.metrics import classification_scores

installed = pytest.mark.skipif(missing(MiniRocket) is not None, reason=f"MiniRocket needs {missing(MiniRocket)}")


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minirocket, "KERNELS", 840)


def sides(small: Dataset) -> tuple[Windows, Windows, Windows]:
    people = small.participants
    return Windows.of(small, tuple(people[:3])), Windows.of(small, (people[3],)), Windows.of(small, tuple(people[4:]))


@installed
def test_it_learns_from_both_sides(small: Dataset) -> None:
    train, validation, test = sides(small)
    found = MiniRocket().predict(train, validation, test, 3, seed=1)
    assert classification_scores(test.labels, found, 3)["kappa"] > 0.5
    one = Windows(small, train.rows[train.labels == 0])  # the other classes can only be learnt on the validation side
    assert set(MiniRocket().predict(one, validation, test, 3, seed=1)) == set(range(3))


@installed
def test_windows_that_are_given_twice_count_once(small: Dataset) -> None:
    train, _, test = sides(small)
    once = MiniRocket().probabilities(train, Windows(small, train.rows[:0]), test, 3, seed=1)
    assert np.array_equal(MiniRocket().probabilities(train, train, test, 3, seed=1), once)


@installed
def test_a_seed_gives_the_same_on_any_number_of_cores_and_leaves_global_random_numbers(
    small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for cores in (1, 2):
        monkeypatch.setattr(joblib, "cpu_count", lambda cores=cores: cores)
        np.random.seed(cores)  # noqa: NPY002
        found.append(MiniRocket().probabilities(*sides(small), 3, seed=1))
        drawn = np.random.random()  # noqa: NPY002
        np.random.seed(cores)  # noqa: NPY002
        assert drawn == np.random.random()  # noqa: NPY002
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], MiniRocket().probabilities(*sides(small), 3, seed=2))


@installed
def test_pytorch_keeps_its_number_of_threads(small: Dataset) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        MiniRocket().probabilities(*sides(small), 3, seed=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@installed
def test_features_are_the_same_whether_they_are_kept_or_not(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = MiniRocket().probabilities(*sides(small), 3, seed=1)
    monkeypatch.setattr(minirocket, "KEPT", 10)
    assert np.array_equal(MiniRocket().probabilities(*sides(small), 3, seed=1), kept)


@installed
def test_thresholds_are_from_windows_to_learn_from(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation, test = sides(small)
    seen: list[int] = []
    channels = minirocket._channels

    def spy(dataset: Dataset, rows: np.ndarray, samples: int | None = None) -> np.ndarray:
        seen.extend(rows if not seen else ())  # of the first call, which is that of the fit
        return channels(dataset, rows, samples)

    monkeypatch.setattr(minirocket, "_channels", spy)
    monkeypatch.setattr(minirocket, "EXAMPLES", 7)
    MiniRocket().probabilities(train, validation, test, 3, seed=1)
    assert len(seen) == len(set(seen)) == 7
    assert set(seen) <= {*train.rows, *validation.rows}


def test_its_channels_are_the_axes_and_the_length_of_acceleration(small: Dataset) -> None:
    found = minirocket._channels(small, np.arange(2))
    assert found.shape == (2, 4, 150)
    assert found[:, 3] == pytest.approx(np.sqrt((np.asarray(small.windows[:2]) ** 2).sum(axis=2)), rel=1e-6)


@installed
def test_nine_samples_are_enough_and_fewer_are_refused(small: Dataset) -> None:
    for samples in (9, 8):
        short = replace(small, windows=np.array(small.windows[:, :samples]))
        if samples == 9:
            assert len(MiniRocket().predict(*sides(short), 3, 1)) == len(sides(short)[2])
            continue
        with pytest.raises(DataError, match=r"has windows of 8 samples, and minirocket needs 9 or more\. Prepare"):
            MiniRocket().predict(*sides(short), 3, 1)


@pytest.fixture
def _without_aeon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "aeon"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aeon", None)


@pytest.mark.usefixtures("_without_aeon")
def test_without_aeon_the_extra_is_named(small: Dataset) -> None:
    assert missing(MiniRocket) == "the package aeon, which pip install 'sslwear[baselines]' installs"
    with pytest.raises(SettingsError, match=r"minirocket needs the package aeon, which pip install 'sslwear\[base"):
        MiniRocket().predict(*sides(small), 3, 1)
