"""A study that judges its trials in folds, and a search inside of an evaluation's folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from sslwear.config import Settings
from sslwear.data.dataset import Dataset
from sslwear.studies.context import StudyContext
from sslwear.studies.cross_validation import evaluate_study
from sslwear.studies.judging import is_worse
from sslwear.studies.optimise import run_study
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.rerun import rerun
from sslwear.studies.storage import all_studies
from sslwear.studies.trials import PEOPLE, winner
from sslwear.studies.verdict import report
from sslwear.tracking import Store

QUIET = ProgressCallback()
SHORT = {"tuning": "head", "learning_rate": 1e-2, "batch_size": 32, "max_epochs": 2}
SEARCH = {"tuning": ["head", "layer5"]}


@pytest.fixture
def folded(make: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings of a small study in folds."""
    content: Mapping[str, Any] = {"encoder": "cnn5", "split": {"folds": 3}, "training": SHORT, "search": SEARCH}
    content = {**content, "sampler": {"name": "grid"}}
    return lambda **changes: make(**{**content, "trials": 2, **changes})


def test_each_participant_judges_every_trial_and_repeats_to_the_bit(
    folded: Callable[..., Settings], store: Store, small: Dataset
) -> None:
    study = run_study(folded(), store, QUIET)
    tested = set(map(str, StudyContext.open(folded(), store).split.test))
    judged = set(map(str, small.participants)) - tested
    for trial in study.trials:
        assert set(trial.user_attrs[PEOPLE]) <= judged
        assert trial.value == pytest.approx(np.mean(list(trial.user_attrs[PEOPLE].values())))
    found = report(study)
    assert "in 3 folds" in found.judged
    for kind in ("trial", "winner"):
        for run in store.find_runs(store.experiment("tiny"), kind=kind, outcome="finished"):
            assert rerun(run, store, QUIET).differing is None


def test_labels_of_test_participants_change_no_estimate(
    folded: Callable[..., Settings], store: Store, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**SHORT, "tuning": "all", "max_epochs": 6}
    learning = {"training": training, "search": {"learning_rate": [1e-2, 3e-3]}}
    first = run_study(folded(**learning), store, QUIET)
    tested = StudyContext.open(folded(), store).split.test
    real = store.open_dataset

    def changed(place: str) -> Dataset:
        data = real(place)
        mine = np.isin(data.pid, tested)
        data.labels[mine] = (data.labels[mine] + 1) % len(data.class_names)
        return data

    monkeypatch.setattr(Store, "open_dataset", lambda _, place: changed(place))
    second = run_study(folded(study="other", **learning), store, QUIET)
    assert [trial.value for trial in first.trials] == [trial.value for trial in second.trials]
    best = winner(second)
    assert best is not None
    assert first.user_attrs["tested"] != second.user_attrs["tested"]


def test_a_method_that_searches_has_a_study_in_each_fold(folded: Callable[..., Settings], store: Store) -> None:
    methods = {"defaults": {}, "search": {"search": SEARCH, "trials": 2}}
    settings = folded(evaluation={"folds": 2, "methods": methods}, split={"folds": 2}, search={})
    table = evaluate_study(settings, store, QUIET)
    assert set(table["method"]) == {"defaults", "search"}
    assert table.groupby("method")["participant"].nunique().nunique() == 1
    jobs = {run.info.run_id: run for run in store.find_runs(store.experiment("tiny"), kind="cross_validation_job")}
    trials = store.find_runs(store.experiment("tiny"), kind="trial")
    assert len(trials) == 4
    for run in trials:
        job = jobs[run.data.tags["mlflow.parentRunId"]]
        assert set(run.data.params["validation_participants"].split()).isdisjoint(
            job.data.params["test_participants"].split()
        )
    assert all_studies(store) == []
    again = evaluate_study(settings, store, QUIET)
    assert again.equals(table)


def test_a_trial_is_worse_if_most_participants_say_so() -> None:
    best = {str(i): 0.8 for i in range(6)}
    assert is_worse({str(i): 0.6 + i / 100 for i in range(6)}, best, 0.1)
    assert not is_worse({str(i): 0.6 + i / 100 for i in range(6)}, best, 0)
    assert not is_worse({str(i): 0.9 for i in range(6)}, best, 0.1)
    assert not is_worse({"0": 0.1, "1": 0.1}, best, 0.1)  # two participants are too few
    assert not is_worse(dict(best), best, 0.1)
