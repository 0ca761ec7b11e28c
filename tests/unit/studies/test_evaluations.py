"""Evaluations as rows of a list, their best methods, and the settings of their reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sslwear.config import Settings, parse
from sslwear.evaluation.comparison import summaries
from sslwear.studies.evaluations.evaluated import Evaluated
from sslwear.studies.evaluations.listing import all_evaluations
from sslwear.studies.evaluations.results import CONFUSION, PARTICIPANTS, PLAN, SUMMARY, confusions, results
from sslwear.studies.results.report_inputs import gather_report_inputs
from sslwear.studies.trial.judgement import confusion_table
from sslwear.tracking import Store
from tests.unit.evaluation.test_comparison import results as frame


@pytest.fixture
def kept(store: Store) -> Store:
    """A store with an evaluation of two methods, without jobs."""
    experiment = store.experiment("compared")
    run = store.create_run(experiment, "evaluation of compared", "cross_validation", None, "", study="compared")
    run.text("method,seed,fold,key\n", PLAN)
    run.text("method,kappa\nall,0.5\nforest,0.75\n(none),\n", SUMMARY)
    run.end("FINISHED", "finished")
    return store


def test_the_best_method_of_an_evaluation_is_named(kept: Store) -> None:
    (found,) = all_evaluations(kept)
    assert (found.name, found.best, found.score, found.done, found.total) == ("compared", "forest", 0.75, 0, 0)


def test_an_evaluation_without_its_summary_has_no_best_method(store: Store) -> None:
    run = store.create_run(store.experiment("cut"), "evaluation of cut", "cross_validation", None, "", study="cut")
    run.text("method,seed,fold,key\n", PLAN)
    (found,) = all_evaluations(store)
    assert (found.name, found.best, found.score) == ("cut", None, None)


def test_methods_are_ranked_over_the_participants_whose_score_is_defined_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = frame({"lower": {1: [0.7] * 6 + [float("nan")]}, "best": {1: [0.8] * 6 + [0.0]}})
    monkeypatch.setattr(Evaluated, "objective", "f1")
    found = Evaluated(None, None, {}, summaries(table))  # type: ignore[arg-type]
    assert [one.method for one in found.ranked] == ["best", "lower"]
    assert found.alike == ["best"]


def test_a_report_has_the_settings_of_the_newest_evaluation_although_earlier_ones_did_its_jobs(store: Store) -> None:
    one, other = {"tuning": "head"}, {"tuning": "layer5"}
    experiment = store.experiment("tiny")
    tags = {"study": "tiny", "dataset": "adl", "protocol": "k_fold", "transductive": "false"}

    def evaluated(methods: dict[str, Any]) -> str:
        run = store.create_run(experiment, "evaluation of tiny", "cross_validation", None, "", **tags)
        run.text(_settings(methods).to_yaml(), "settings.yaml")
        run.text("".join(["method,seed,fold,key\n", *(f"{name},42,1,key of {name}\n" for name in methods)]), PLAN)
        run.end("FINISHED", "finished")
        return run.id

    first = evaluated({"one": one, "other": other, "removed": {}})
    for name in ("one", "other", "removed"):
        job = store.create_run(
            experiment, name, "cross_validation_job", first, "", evaluation_key=f"key of {name}", **tags
        )
        job.table(frame({name: {42: [0.5]}}).drop(columns=["dataset", "protocol", "transductive"]), PARTICIPANTS)
        job.end("FINISHED", "finished")
    evaluated({"other": other, "one": one})
    found = gather_report_inputs("tiny", store, results("tiny", store)).settings.evaluation
    assert found is not None
    assert list(found.methods) == ["other", "one"]


def _settings(methods: dict[str, Any]) -> Settings:
    return parse({"study": "tiny", "data": "smartwatch", "evaluation": {"methods": methods, "baselines": "none"}}, "")


def test_confusions_are_those_of_methods_whose_runs_all_have_them(store: Store) -> None:
    names, ids = ("=walk", "1"), {"new": [], "old": []}
    for method, kept in (("new", True), ("new", True), ("old", True), ("old", False)):
        run = store.create_run(store.experiment("tiny"), method, "cross_validation_job", None, "")
        if kept:
            run.table(confusion_table(np.array([0, 0, 1]), np.array([0, 1, 1]), names), CONFUSION)
        ids[method].append(run.id)
    table = pd.DataFrame(
        [(method, one) for method, found in ids.items() for one in found], columns=["method", "run_id"]
    )
    found = confusions(table, store)
    assert list(found) == ["new"]
    assert list(found["new"].index) == list(found["new"].columns) == list(names)
    assert found["new"].to_numpy().tolist() == [[2, 2], [0, 2]]
