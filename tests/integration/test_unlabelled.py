"""Pre-training on unlabelled shards, and with windows drawn by their motion."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import Plan, prepare
from sslwear.data.shards import open_shards
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.data.splits import hold_out
from sslwear.errors import DataError
from sslwear.search.single import pretrain_once, train_once
from sslwear.settings import Settings
from sslwear.tracking import Store


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All ten participants' windows of 5 s, without labels."""
    folder = tmp_path_factory.mktemp("unlabelled") / "shards"
    prepare(Smartwatch(), folder, Plan(window_s=5, step_s=5, unlabelled=True))
    return folder


def pretraining(shards: Path, **changes: Any) -> dict[str, Any]:
    return {"max_epochs": 1, "data": str(shards), "windows_per_participant": 12, "participants_at_a_time": 3} | changes


def test_a_study_pre_trains_on_shards_of_those_it_is_not_judged_on(
    make: Callable[..., Settings], shards: Path, small_folder: Path, store: Store
) -> None:
    settings = make(
        training={"pretext": "reverse", "tuned": "head", "max_epochs": 1, "batch_size": 32},
        pretraining=pretraining(shards, sampling="motion"),
    )
    run, _ = train_once(settings, store)
    origin = store.client.get_run(store.client.get_run(run.id).data.tags["sslwear.pretraining_run"])
    split = hold_out(open_dataset(small_folder).pid, 0.2, 42, 0.25, 41)
    seen = {int(pid) for side in ("train", "held_out") for pid in origin.data.params[f"{side}_participants"].split()}
    assert seen == set(range(1, 11)) - {*split.validation, *split.test}
    assert origin.data.params["sampling"] == "motion"
    assert origin.inputs.dataset_inputs[0].dataset.digest == open_shards(shards).fingerprint[:12]


def test_shards_are_known_by_content_and_not_by_place(
    make: Callable[..., Settings], shards: Path, store: Store, tmp_path: Path
) -> None:
    training = {"pretext": "reverse"}
    first, _ = pretrain_once(make(training=training, pretraining=pretraining(shards)), store)
    moved = Path(shutil.copytree(shards, tmp_path / "moved"))
    assert pretrain_once(make(training=training, pretraining=pretraining(moved)), store)[0] == first
    shutil.rmtree(moved / "0000-1")
    assert pretrain_once(make(training=training, pretraining=pretraining(moved)), store)[0] != first


def test_windows_are_drawn_by_motion_unless_told_otherwise_which_is_another_pre_training(
    make: Callable[..., Settings], store: Store
) -> None:
    training, epochs = {"pretext": "reverse"}, {"max_epochs": 1}
    one, _ = pretrain_once(make(training=training, pretraining=epochs), store)
    other, _ = pretrain_once(make(training=training, pretraining={**epochs, "sampling": "uniform"}), store)
    assert one != other
    assert [store.client.get_run(run).data.params["sampling"] for run in (one, other)] == ["motion", "uniform"]


def test_data_that_is_no_shards_is_refused_before_anything_starts(
    make: Callable[..., Settings], small_folder: Path, store: Store
) -> None:
    settings = make(training={"pretext": "reverse"}, pretraining=pretraining(small_folder))
    with pytest.raises(DataError, match="has no shards of unlabelled windows; make it with sslwear data prepare"):
        train_once(settings, store)
    assert store.client.search_experiments(filter_string="name = 'tiny'") == []


def test_windows_not_worn_are_left_out_unless_they_are_asked_for(
    make: Callable[..., Settings], small_folder: Path, store: Store, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(small_folder, tmp_path / "data"))
    (folder / "dataset.json").unlink()
    worn = np.ones(180, bool)
    worn[::3] = False
    np.save(folder / "worn.npy", worn)
    used = []
    for include in (False, True):
        settings = make(data=str(folder), include_nonwear=include, training={"tuned": "head", "max_epochs": 1})
        run, result = train_once(settings, store)
        params = store.client.get_run(run.id).data.params
        used.append((params["train_windows"], params["validation_windows"], len(result.validation.truth)))
    assert used == [("60", "20", 20), ("90", "30", 30)]
