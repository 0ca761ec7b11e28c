"""A store that version 0.1 wrote still shows, resumes and predicts."""

from __future__ import annotations

import sqlite3
import sys
import tarfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings, parse
from sslwear.deployment import registry
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.database.trials import kept_settings, rows, winner
from sslwear.studies.evaluations.cross_validation import results
from sslwear.studies.results.report_inputs import gather_report_inputs
from sslwear.studies.search.optimise import run_study
from sslwear.tracking import HOME_VARIABLE, Store
from tests.conftest import store_at

ARCHIVE = Path(__file__).resolve().parents[1] / "data" / "store-0.1.tar.xz"
WRITTEN_AT = "/tmp/old"
COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Where MLflow keeps absolute paths of artifacts."""


@pytest.fixture
def old(tmp_path: Path) -> Store:
    """The old store, moved to a folder of the test."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    home = tmp_path / "mlruns"
    with sqlite3.connect(home / "mlflow.db") as database:
        for table, columns in COLUMNS.items():
            for column in columns:
                database.execute(f"update {table} set {column} = replace({column}, ?, ?)", (WRITTEN_AT, str(tmp_path)))
    database.close()
    return store_at(home)


def windows(old: Store) -> Any:
    return np.load(old.home.parent / "data" / "X.npy")[:6]


def recorded(old: Store) -> pd.DataFrame:
    return pd.read_csv(old.home.parent / "predictions.csv")


def test_the_champion_loads_and_predicts_as_before(old: Store) -> None:
    model = registry.load_model(old, "old@champion")
    found = model.predict(windows(old))
    assert_frame_equal(found, recorded(old), check_dtype=False, atol=2e-3, rtol=0)
    assert model.card.tuning == "all"
    assert set(model.card.reference_ranges or {}) == {"mean x", "mean y", "mean z", "length", "motion"}


def test_the_champion_loads_with_mlflow_while_sslwear_is_installed(old: Store) -> None:
    assert "sslwear" in sys.modules
    (description,) = old.home.rglob("MLmodel")
    model = mlflow.pyfunc.load_model(str(description.parent))
    assert_frame_equal(model.predict(windows(old)), recorded(old), check_dtype=False, atol=2e-3, rtol=0)


def test_the_study_and_the_evaluation_still_show(old: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = find_study("old", old)
    assert [row.outcome for row in rows(study)] == ["finished"] * 3
    assert {row.settings.tuning for row in rows(study) if row.settings} <= {"all", "layer4-5", "head"}
    table = results("old", old)
    assert sorted(table["method"].unique()) == ["all", "best", "head"]
    inputs = gather_report_inputs("old", old, table)
    assert inputs.kinds == {"all": ("all", "none"), "head": ("head", "none")}
    monkeypatch.setenv(HOME_VARIABLE, str(old.home))
    for command, shows in (
        (["study", "show", "old"], "tuning"),
        (["study", "list"], "cnn5"),
        (["models", "list"], "old@champion"),
        (["models", "show", "old"], "walk"),
    ):
        shown = CliRunner().invoke(app, command)
        assert shown.exit_code == 0, shown.output
        assert shows in shown.output


def resumed(old: Store, trials: int) -> Settings:
    settings = kept_settings(find_study("old", old))
    return parse({**settings.model_dump(), "trials": trials}, "the test")


def test_the_study_resumes_with_the_names_it_began_with(old: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old.home.parent)
    study = run_study(resumed(old, 4), old)
    assert len(study.trials) == 4
    assert all("tuned" in trial.params and "tuning" not in trial.params for trial in study.trials)
    assert winner(study) is not None
