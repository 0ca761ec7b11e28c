"""Failures of a store, as a user reads them."""

from __future__ import annotations

import sys

import pytest

from sslwear.errors import StudyError
from sslwear.studies.database.optuna_storage import store_errors
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Store


def test_a_package_that_mlflow_needs_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("boto3", "botocore"):  # as if they were not installed
        monkeypatch.setitem(sys.modules, package, None)
    with store.start_run(store.experiment("mine"), "one", "train") as run:
        pass
    found = store.client.get_run(run.id)
    found.info._artifact_uri = "s3://bucket/1"
    with pytest.raises(StudyError, match=r"needs a package .*pip install boto"), store_errors(store):
        store.read_text(found, "settings.yaml")


def test_other_missing_packages_are_left_to_their_callers(store: Store) -> None:
    with pytest.raises(ModuleNotFoundError), store_errors(store):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def test_a_run_of_a_deleted_experiment_is_not_repeated(store: Store) -> None:
    experiment = store.experiment("mine")
    with store.start_run(experiment, "one", "train") as run:
        pass
    store.client.delete_experiment(experiment)
    with pytest.raises(StudyError, match="the MLflow experiment 'mine' was deleted"):
        rerun(store.client.get_run(run.id), store, ProgressCallback())
