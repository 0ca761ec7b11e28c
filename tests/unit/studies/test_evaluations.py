"""Evaluations as rows of a list."""

from __future__ import annotations

import pytest

from sslwear.studies.evaluations.listing import all_evaluations
from sslwear.studies.evaluations.results import PLAN, SUMMARY
from sslwear.tracking import Store


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
