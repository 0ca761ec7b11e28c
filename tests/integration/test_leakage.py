"""Training provenance through several data sets and several steps: participants and labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sslwear.config import Settings
from sslwear.data.arrays import write_dataset
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.deployment.promotion.promotion import promote
from sslwear.encoders.card import CHECKPOINT
from sslwear.errors import LeakageError
from sslwear.studies.evaluations.plan import CrossValidationPlan
from sslwear.studies.results.verdict import JUDGED
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.leakage import seen_participants, training_provenance
from sslwear.studies.trial.single_run import pretrain_once, train_once
from sslwear.tracking import Store
from tests.conftest import SMALL_PARTICIPANTS
from tests.integration.conftest import Hearing

TRAINING = {"tuning": "head", "max_epochs": 1, "batch_size": 32}


def others(small: Dataset, folder: Path, name: str, first: int) -> Path:
    """Recordings of other people, who are called from a number on."""
    description = small.description.model_copy(update={"name": name, "source": name, "fingerprint": None})
    arrays = (np.array(small.windows), np.array(small.class_names)[small.labels], small.pid + first, small.start)
    write_dataset(folder, *arrays, description)
    return folder


@pytest.fixture(scope="module")
def strangers(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return others(small, tmp_path_factory.mktemp("strangers") / "data", "strangers", 100)


@pytest.fixture
def collected(make: Callable[..., Settings], small_folder: Path, strangers: Path, store: Store) -> str:
    """Weights pre-trained, without labels, on the training participants and on strangers."""
    pretraining = {"max_epochs": 1, "data": [str(strangers), str(small_folder)], "windows_per_participant": 12}
    run, _ = pretrain_once(make(training={"pretext": "reverse"}, pretraining=pretraining), store)
    return f"runs:/{run}"


def learnt_from(store: Store, weights: str) -> set[str]:
    """Everybody in a pre-training run's own words."""
    params = store.client.get_run(weights.removeprefix("runs:/")).data.params
    return {name for side in ("train", "held_out") for name in params[f"{side}_participants"].split()}


def test_people_of_one_of_several_data_sets_are_known_by_their_own_names(
    collected: str, small: Dataset, strangers: Path, store: Store
) -> None:
    told = learnt_from(store, collected)
    mine = {name.removeprefix("small:") for name in told if name.startswith("small:")}
    assert 0 < len(mine) < len(SMALL_PARTICIPANTS)  # those who are judged were left out
    assert set(seen_participants(store, collected, small, SMALL_PARTICIPANTS)) == mine
    far = open_dataset(strangers)
    assert set(seen_participants(store, collected, far, far.participants)) == {
        str(100 + pid) for pid in SMALL_PARTICIPANTS
    }
    assert not any(step.labels for step in training_provenance(store, collected))


def test_all_steps_are_followed_up_to_a_registered_model(
    collected: str, make: Callable[..., Settings], small: Dataset, store: Store, tmp_path: Path
) -> None:
    third = others(small, tmp_path / "third", "third", 200)
    study = make(study="far", data=str(third), weights=collected, training=TRAINING, search={}, trials=1)
    run_study(study, store)
    promote("far", store)
    run, _ = train_once(make(study="next", weights="models:/far@champion", training=TRAINING), store)
    provenance = training_provenance(store, f"runs:/{run.id}")
    steps = [({source.name for source in step.sources}, step.labels) for step in provenance]
    assert steps == [({"small"}, True), ({"third"}, True), ({"small", "strangers"}, False)]
    assert store.client.get_run(run.id).data.params["weights"] == "models:/far/1"  # an alias may move
    client = store.client
    client.delete_run(collected.removeprefix("runs:/"))  # in the UI; its weights can still be read
    assert len(training_provenance(store, f"runs:/{run.id}")) == 3
    assert set(seen_participants(store, "models:/far@champion", small, SMALL_PARTICIPANTS)) < set(
        map(str, SMALL_PARTICIPANTS)
    )
    assert seen_participants(store, "models:/far@champion", small, SMALL_PARTICIPANTS)


def test_a_checkpoint_is_known_by_its_file_too(collected: str, small: Dataset, store: Store) -> None:
    (model,) = store.client.get_run(collected.removeprefix("runs:/")).outputs.model_outputs
    folder = store.client.get_logged_model(model.model_id).artifact_location.removeprefix("file://")
    file = str(Path(folder) / CHECKPOINT)
    assert Path(file).is_file()
    assert training_provenance(store, file) == training_provenance(store, collected)
    assert seen_participants(store, file, small, SMALL_PARTICIPANTS) == seen_participants(
        store, collected, small, SMALL_PARTICIPANTS
    )
    assert training_provenance(store, file.replace(model.model_id, f"m-{'0' * 32}")) == []


def test_a_search_from_weights_that_know_those_who_are_tested_is_refused(
    make: Callable[..., Settings], store: Store
) -> None:
    run, _ = train_once(make(training=TRAINING), store)
    pretrained, _ = pretrain_once(make(training={"pretext": "reverse"}), store)
    split = {"test": 0.2, "test_seed": 7, "validation": 0.25}
    for origin in (run.id, pretrained):
        search: dict[str, Any] = {"weights": f"runs:/{origin}", "training": TRAINING, "search": {}, "trials": 1}
        with pytest.raises(LeakageError, match=f"runs:/{origin} were trained on participant .* a test participant"):
            run_study(make(study=f"other-{origin}", split=split, **search), store)
        run_study(make(study=f"same-{origin}", **search), store)  # the same people are tested


@pytest.mark.parametrize("split", [{"test": 0.2, "folds": 2}, {"test": 0.2, "validation": 0.25}])
def test_a_search_from_weights_that_know_the_labels_of_those_who_judge_is_refused(
    split: dict[str, Any], make: Callable[..., Settings], store: Store
) -> None:
    once: dict[str, Any] = {"split": split, "training": TRAINING, "search": {}, "trials": 1}
    first = run_study(make(study="first", **once), store)
    (winner,) = store.find_runs(store.experiment("first"), kind="winner")
    with pytest.raises(LeakageError, match=r"with the labels of participant .* by whom trials are judged"):
        run_study(make(study="second", weights=f"runs:/{winner.info.run_id}", **once), store)
    assert "a network that was not trained on that participant" in first.user_attrs[JUDGED] or "folds" not in split


def test_a_search_inside_of_a_hold_out_from_weights_that_know_the_labels_is_refused(
    make: Callable[..., Settings], store: Store
) -> None:
    once: dict[str, Any] = {"split": {"test": 0.2, "folds": 2}, "training": TRAINING}
    run_study(make(study="first", search={}, trials=1, **once), store)
    (winner,) = store.find_runs(store.experiment("first"), kind="winner")
    method = {"search": {"learning_rate": [1e-3, 1e-2]}, "trials": 2, "weights": f"runs:/{winner.info.run_id}"}
    evaluation = {"protocol": "hold_out", "baselines": "none", "methods": {"search": method, "plain": {}}}
    with pytest.raises(LeakageError, match=r"with the labels of participant .* by whom trials are judged"):
        CrossValidationPlan.build(make(study="nested", search={}, evaluation=evaluation, **once), store)


def test_weights_that_know_windows_of_those_who_judge_are_told(make: Callable[..., Settings], store: Store) -> None:
    once: dict[str, Any] = {"split": {"test": 0.2, "folds": 2}, "search": {}, "trials": 1}
    weights, _ = pretrain_once(make(training={"pretext": "reverse"}, split={"test": 0.2, "validation": 0.25}), store)
    progress = Hearing()
    study = run_study(make(weights=f"runs:/{weights}", training=TRAINING, **once), store, progress)
    told = "The initial weights were trained on windows of 3 participants by whom trials are judged, without labels"
    assert any(text.startswith(told) for text in progress.warnings), progress.warnings
    assert "was not trained on that participant with labels. " + told in study.user_attrs[JUDGED]


def test_a_single_training_from_weights_that_know_those_who_validate_is_warned_of(
    make: Callable[..., Settings], store: Store
) -> None:
    def settings(weights: str, seed: int) -> Settings:
        split = {"test": 0.2, "validation": 0.25, "validation_seed": seed}
        return make(weights=weights, training=TRAINING, split=split)

    def warned(weights: str, seed: int) -> list[str]:
        progress = Hearing()
        train_once(settings(f"runs:/{weights}", seed), store, progress)
        return [text for text in progress.warnings if "by whom trials are judged" in text]

    first, _ = train_once(make(training=TRAINING), store)
    pretrained, _ = pretrain_once(make(training={"pretext": "reverse"}), store)
    (one, other) = (StudyContext.open(settings("none", seed), store).split.validation for seed in (41, 2))
    assert set(one).isdisjoint(other)
    assert "with the labels of participant" in warned(first.id, 2)[0]
    assert "without labels" in warned(pretrained, 2)[0]
    assert warned(pretrained, 41) == []


def test_a_search_inside_of_a_hold_out_from_weights_that_know_windows_is_warned_of(
    make: Callable[..., Settings], store: Store
) -> None:
    once: dict[str, Any] = {"split": {"test": 0.2, "folds": 2}, "training": TRAINING}
    apart = {"test": 0.2, "validation": 0.25}
    weights, _ = pretrain_once(make(study="first", training={"pretext": "reverse"}, split=apart), store)
    method = {"search": {"learning_rate": [1e-3, 1e-2]}, "trials": 2, "weights": f"runs:/{weights}"}
    evaluation = {"protocol": "hold_out", "baselines": "none", "methods": {"search": method, "plain": {}}}
    warnings = CrossValidationPlan.build(
        make(study="nested", search={}, evaluation=evaluation, **once), store
    ).warnings()
    assert any("windows of 3 participants by whom trials are judged, without labels" in one for one in warnings)


def test_where_it_is_not_known_whom_a_data_set_taught_all_are_taken_to_be_known(
    make: Callable[..., Settings], small: Dataset, store: Store
) -> None:
    run = store.create_run(store.experiment("old"), "old", "train", dataset=small.description.name)
    run.dataset(small, {"train": 1})
    run.end("FINISHED", "finished")
    assert seen_participants(store, f"runs:/{run.id}", small, [1, 2]) == ["1", "2"]


@pytest.mark.parametrize("weights", ["none", "hub", "weights/harnet10.mdl"])
def test_of_published_weights_nothing_is_known(weights: str, small: Dataset, store: Store) -> None:
    assert training_provenance(store, weights) == seen_participants(store, weights, small, SMALL_PARTICIPANTS) == []
