"""Evaluations as rows of a list."""

from __future__ import annotations

import sqlite3

import pytest

from sslwear.studies.evaluations.listing import all_evaluations
from sslwear.studies.evaluations.results import PLAN
from sslwear.tracking import Store


@pytest.fixture
def kept(store: Store) -> Store:
    """A store with an evaluation of two methods, without jobs."""
    experiment = store.experiment("compared")
    run = store.create_run(experiment, "evaluation of compared", "cross_validation", None, "", study="compared")
    run.text("method,seed,fold,key\n", PLAN)
    run.metrics({"kappa/forest": 0.75, "kappa/all": 0.5})
    run.end("FINISHED", "finished")
    return store


def test_the_best_method_of_an_evaluation_is_named(kept: Store) -> None:
    (found,) = all_evaluations(kept)
    assert (found.name, found.best, found.score, found.done, found.total) == ("compared", "forest", 0.75, 0, 0)


def test_text_in_place_of_a_score_hides_that_score_only(kept: Store) -> None:
    with sqlite3.connect(kept.home / "mlflow.db") as database:
        database.execute("UPDATE latest_metrics SET value = 'high' WHERE key = 'kappa/forest'")
    (found,) = all_evaluations(kept)
    assert (found.best, found.score) == ("all", 0.5)
