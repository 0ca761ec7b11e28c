"""Leakage checks compare participants in any spelling."""

from __future__ import annotations

from typing import Any, cast

import pytest
from mlflow.exceptions import MlflowException

from sslwear.data.dataset import Dataset
from sslwear.studies.setup import leakage
from sslwear.studies.setup.leakage import Source, TrainingStep, seen_participants, training_provenance
from sslwear.tracking import Store


@pytest.mark.parametrize(
    ("sources", "people"),
    [
        (("other",), {"01", "2.0", "7_visit1", "P5"}),
        (("other", "more"), {"other:01", "other:2 ", "more:07", "more:P5"}),
        (("other", "other"), {"other:01", "other-2:2 ", "other-2:07", "other:P5"}),
        (("other",), {"other:01", "other-2:2 ", "other-2:07", "other:P5"}),  # of two copies MLflow keeps one
    ],
)
def test_participants_of_earlier_trainings_are_found_in_any_spelling(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, sources: tuple[str, ...], people: set[str]
) -> None:
    step = TrainingStep(tuple(Source(name, "x", None) for name in sources), frozenset(people), labels=True)
    monkeypatch.setattr(leakage, "training_provenance", lambda store, weights: [step])
    assert seen_participants(cast(Store, None), "weights", small, small.participants) == ["1", "2", "7"]


def test_a_name_with_a_number_may_be_that_of_another_data_set() -> None:
    here, there = Source("site", "x", "a"), Source("site-2", "y", "b")
    step = TrainingStep((here, there), frozenset({"site:1", "site-2:2"}), labels=True)
    assert (step.known(here), step.known(there)) == (frozenset("1"), frozenset("2"))


def test_common_ancestors_are_followed_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "MAX_STEPS", 10)
    experiment = store.experiment("s")

    def logged(people: str, weights: str = "none", members: str = "") -> str:
        with store.start_run(experiment, people, "train", members=members) as run:
            run.params({"train_participants": people, "validation_participants": "v", "weights": weights})
        return run.id

    first = logged("first")
    average = logged("average", members=" ".join(logged(f"member{i}", f"runs:/{first}") for i in range(2)))
    members = [logged("other"), *(logged(f"last{i}", f"runs:/{average}") for i in range(4))]
    steps = training_provenance(store, f"runs:/{logged('whole', members=' '.join(members))}")
    names = "whole other average first member0 member1 last0 last1 last2 last3 v"
    assert frozenset[str]().union(*(step.people or () for step in steps)) == set(names.split())


def test_a_model_that_mlflow_itself_registered_has_the_participants_of_its_run(store: Store, small: Dataset) -> None:
    with store.start_run(store.experiment("s"), "a run", "train") as run:
        run.params({"train_participants": "1 2", "validation_participants": "5"})
        run.dataset(small, {"train": 1})
    store.client.create_registered_model("wrist")
    store.client.create_model_version("wrist", run.store.client.get_run(run.id).info.artifact_uri, run.id)
    for tag in ("", "checked"):
        if tag:
            store.client.set_model_version_tag("wrist", "1", tag, "yes")
        assert seen_participants(store, "models:/wrist/1", small, small.participants) == ["1", "2", "5"]
    assert seen_participants(store, "models:/wrist/2", small, small.participants) == []


def test_a_store_that_does_not_answer_is_not_taken_for_one_without_the_run(
    store: Store, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise MlflowException("API request failed with error code 500")

    for name, weights in {"get_run": "runs:/a", "get_model_version": "models:/a/1"}.items():
        monkeypatch.setattr(store.client, name, failing)
        with pytest.raises(MlflowException, match="500"):
            seen_participants(store, weights, small, small.participants)
