"""Pre-training on unlabelled shards, and with windows drawn by their motion."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sslwear.config import Settings
from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.shards import open_shards
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.data.splits import hold_out
from sslwear.errors import DataError, LeakageError
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.single_run import pretrain_once, train_once
from sslwear.tracking import Store


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All ten participants' windows of 5 s, without labels."""
    folder = tmp_path_factory.mktemp("unlabelled") / "shards"
    prepare(Smartwatch(), folder, WindowPlan(window_s=5, step_s=5, unlabelled=True))
    return folder


def pretraining(shards: Path, **changes: Any) -> dict[str, Any]:
    return {"max_epochs": 1, "data": str(shards), "windows_per_participant": 12, "participants_at_a_time": 3} | changes


def test_a_study_pre_trains_on_shards_of_those_it_is_not_judged_on(
    make: Callable[..., Settings], shards: Path, small_folder: Path, store: Store
) -> None:
    settings = make(
        training={"pretext": "reverse", "tuning": "head", "max_epochs": 1, "batch_size": 32},
        pretraining=pretraining(shards, sampling="motion"),
    )
    run, _ = train_once(settings, store)
    origin = store.client.get_run(store.client.get_run(run.id).data.tags["sslwear.pretraining_run"])
    split = hold_out(open_dataset(small_folder).pid, 0.2, 42, 0.25, 41)
    seen = {int(pid) for side in ("train", "held_out") for pid in origin.data.params[f"{side}_participants"].split()}
    assert seen == set(range(1, 11)) - {*split.validation, *split.test}
    assert origin.data.params["sampling"] == "motion"
    assert origin.inputs.dataset_inputs[0].dataset.digest == open_shards(shards).fingerprint[:12]


@pytest.mark.parametrize(("rate", "is_learnt"), [(1e-9, False), (1e-2, True)])
def test_a_pre_training_says_if_it_learnt_nothing(
    make: Callable[..., Settings], shards: Path, store: Store, rate: float, is_learnt: bool
) -> None:
    class Noting(ProgressCallback):
        def note(self, text: str) -> None:
            notes.append(text)

    notes: list[str] = []
    changes = {"learning_rate": rate, "max_epochs": 6, "windows_per_participant": 40, "sampling": "uniform"}
    settings = make(encoder="cnn5", training={"pretext": "jitter"}, pretraining=pretraining(shards, **changes))
    run, scores = pretrain_once(settings, store, progress=Noting())
    assert (scores["accuracy"] > scores["chance"]) is is_learnt
    told = "no better than chance; more epochs or more windows may help"
    assert (told not in notes[-1]) is is_learnt
    assert (told not in store.client.get_run(run).data.tags["mlflow.note.content"]) is is_learnt


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


def test_data_that_is_neither_shards_nor_a_data_set_is_refused_before_anything_starts(
    make: Callable[..., Settings], store: Store, tmp_path: Path
) -> None:
    settings = make(training={"pretext": "reverse"}, pretraining=pretraining(tmp_path))
    with pytest.raises(DataError, match=r"has neither a data set \(X.npy\) nor shards of unlabelled windows"):
        train_once(settings, store)
    assert store.client.search_experiments(filter_string="name = 'tiny'") == []


@pytest.fixture(scope="module")
def others(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same recordings under another source's name, so that they count as other people's; two of their classes."""
    small = open_dataset(small_folder)
    keep = small.labels < 2
    names = np.array(["slow", "fast"])[small.labels[keep]]
    folder = tmp_path_factory.mktemp("others") / "data"
    description = Description(name="elsewhere", source="elsewhere", class_names=("slow", "fast"), window_s=5)
    arrays = (np.array(small.windows[keep]), names, small.pid[keep], small.start[keep])
    write_dataset(folder, *arrays, description)
    return folder


def test_the_labels_of_other_people_are_learnt_and_it_says_so(
    make: Callable[..., Settings], others: Path, shards: Path, store: Store
) -> None:
    data = [str(shards), str(others)]
    training = {"pretext": "activities", "tuning": "head", "max_epochs": 1, "batch_size": 32}
    changes = {"data": data, "max_epochs": 8, "sampling": "uniform", "windows_per_participant": 40}
    run, _ = train_once(make(training=training, pretraining=pretraining(others, **changes)), store)
    origin = store.client.get_run(store.client.get_run(run.id).data.tags["sslwear.pretraining_run"])
    assert origin.data.tags["sslwear.dataset"] == "elsewhere"  # shards have no labels
    assert origin.inputs.dataset_inputs[0].dataset.digest == open_dataset(others).fingerprint[:12]
    assert "**supervised by their labels**" in origin.data.tags["mlflow.note.content"]
    losses = [found.value for found in store.client.get_metric_history(origin.info.run_id, "train_loss")]
    assert min(losses) < 0.5 * np.log(2)  # slow from fast; half of what guessing gives
    assert origin.data.params["train_windows"] == str(40 * len(origin.data.params["train_participants"].split()))


def test_windows_of_several_directories_are_learnt_together(
    make: Callable[..., Settings], others: Path, shards: Path, store: Store
) -> None:
    settings = make(training={"pretext": "reverse"}, pretraining=pretraining(others, data=[str(others), str(shards)]))
    run_id, _ = pretrain_once(settings, store)
    origin = store.client.get_run(run_id)
    assert [found.dataset.name for found in origin.inputs.dataset_inputs] == ["elsewhere", "smartwatch"]
    seen = {pid for side in ("train", "held_out") for pid in origin.data.params[f"{side}_participants"].split()}
    assert {name.split(":")[0] for name in seen} == {"elsewhere", "smartwatch"}


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (None, DataError, "pretraining.data names no data set with labels. Add one, such as"),
        ("shards", DataError, "pretraining.data names no data set with labels. Add one, such as"),
        ("small_folder", LeakageError, "would learn the labels of .*, whose participants may be those of"),
    ],
)
def test_labels_that_may_be_of_the_people_who_are_judged_are_refused(
    data: str | None,
    error: type[Exception],
    message: str,
    make: Callable[..., Settings],
    request: pytest.FixtureRequest,
    store: Store,
) -> None:
    changes = {"data": str(request.getfixturevalue(data))} if data else {}
    settings = make(training={"pretext": "activities"}, pretraining={"max_epochs": 1, **changes})
    with pytest.raises(error, match=message):
        train_once(settings, store)


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
        settings = make(data=str(folder), include_nonwear=include, training={"tuning": "head", "max_epochs": 1})
        run, result = train_once(settings, store)
        params = store.client.get_run(run.id).data.params
        used.append((params["train_windows"], params["validation_windows"], len(result.validation.truth)))
    assert used == [("60", "20", 20), ("90", "30", 30)]
