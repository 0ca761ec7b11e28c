"""Smoothing that was learnt with a model is promoted with it, and predictions use it unless told otherwise."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import parse
from sslwear.data.arrays import Description, write_dataset
from sslwear.deployment import registry
from sslwear.deployment.card_smoothing import model_of
from sslwear.deployment.prediction.batch_prediction import about_labels
from sslwear.deployment.prediction.files import Options
from sslwear.deployment.promotion.promotion import promote
from sslwear.encoders.card import Card
from sslwear.errors import WeightsError
from sslwear.evaluation.smoothing import HiddenMarkovModel, smooth
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import HOME_VARIABLE, Store
from tests.conftest import store_at
from tests.integration.conftest import tiny_content

CLASSES = ("move", "rest")
BOUT = 12
"""Windows of a bout in the training data."""


def continuous(folder: Path) -> Path:
    """Recordings of six people who rest and move in turn, in windows of 5 s side by side."""
    generator = np.random.default_rng(0)
    labels = np.tile(np.repeat([0, 1], BOUT), 4)
    scale = np.where(labels == 0, 0.4, 0.05)[:, None, None]
    count = len(labels)
    windows = [[0, 0, 1] + scale * generator.normal(0, 1, (count, 150, 3)) for _ in range(6)]
    pid = np.repeat(np.arange(6), count)
    start = np.tile(np.datetime64("2024-05-01", "ms") + np.arange(count) * np.timedelta64(5000, "ms"), 6)
    description = Description(name="bouts", source="made up", rate_hz=30, window_s=5, step_s=5, class_names=CLASSES)
    names = np.array(CLASSES)[np.tile(labels, 6)]
    write_dataset(folder, np.concatenate(windows).astype(np.float32), names, pid, start, description)
    return folder


@pytest.fixture(scope="module")
def champion(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a promoted model of continuous recordings."""
    place = tmp_path_factory.mktemp("learnt")
    shutil.copytree(empty_home, place / "mlruns")
    content = {**tiny_content(continuous(place / "data")), "trials": 1, "search": {"learning_rate": [1e-3]}}
    content["split"] = {"test": 0.2, "folds": 2}
    content["encoder"] = "harnet5"  # which learns something in two epochs
    store = store_at(place / "mlruns")
    run_study(parse(content, "the test"), store, ProgressCallback())
    promote("tiny", store)
    return store


def test_transitions_and_emissions_are_in_the_card(champion: Store) -> None:
    model = registry.load_model(champion, "tiny@champion")
    found = model_of(model.card)
    assert found is not None
    # bouts of 12 windows end once in 12 windows; the last bout of a recording has no next window
    np.testing.assert_allclose(np.diag(found.transition), 1 - 1 / BOUT, atol=0.02)
    np.testing.assert_allclose(found.initial, 0.5, atol=0.02)
    assert found.emission is not None
    assert found.emission.trace() > 1  # better than by chance on people whom the networks did not see
    assert "hidden Markov model that was learnt with it" in (
        registry.find_version(champion, "tiny/1").description or ""
    )


@pytest.fixture
def command(champion: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording, for the command in the store of the champion."""
    monkeypatch.setenv(HOME_VARIABLE, str(champion.home))
    generator = np.random.default_rng(1)
    count = 30 * 60 * 5
    scale = np.where(np.arange(count) // 900 % 2 == 0, 0.4, 0.05)[:, None]
    table = pd.DataFrame([0, 0, 1] + scale * generator.normal(0, 1, (count, 3)), columns=["x", "y", "z"])
    table.insert(0, "time", pd.date_range("2024-05-01 12:00", periods=count, freq=pd.Timedelta(1 / 30, "s")))
    table.to_parquet(tmp_path / "anna.parquet")
    return tmp_path


def predict(folder: Path, *arguments: str) -> Result:
    options = ["--model", "tiny@champion", "--out", str(folder / "out"), "--jobs", "1", "--precision", "float32"]
    result = CliRunner().invoke(app, ["predict", str(folder / "anna.parquet"), *options, "--overwrite", *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_a_prediction_uses_it_unless_told_otherwise(champion: Store, command: Path) -> None:
    card = registry.load_model(champion, "tiny@champion").card
    learnt, chain = model_of(card), HiddenMarkovModel.from_bouts(2, 5, 60)
    for arguments, model, said in (
        ((), learnt, "smoothed by the hidden Markov model that was learnt with the model"),
        (("--smooth",), chain, "smoothed for bouts of 1 minutes"),
        (("--no-smooth",), None, "Labels are not smoothed."),
    ):
        assert said in predict(command, *arguments).stdout.replace("\n", " ")
        table = pd.read_csv(command / "out" / "anna.csv")
        p = table[["p_move", "p_rest"]].to_numpy()
        assert ("unsmoothed_label" in table) == (model is not None)
        codes = p.argmax(axis=1) if model is None else smooth(p, model, np.zeros(len(p), bool))
        assert table["label"].tolist() == [CLASSES[code] for code in codes]
        people = pd.read_csv(command / "out" / "people.csv")
        assert people["smoothing"].fillna("none").tolist() == [
            "none" if model is None else "learnt" if model is learnt else "bouts of 1 minutes"
        ]
        assert people[["model", "model_version"]].astype(str).to_numpy().tolist() == [["tiny", "1"]]


def test_a_model_without_one_says_why(promoted: Store) -> None:
    card = registry.load_model(promoted, "tiny@champion").card
    assert card.smoothing is None
    assert model_of(card) is None
    assert about_labels(card, Options(Path("out"))) == (
        "Labels are not smoothed: the model has no learnt smoothing, because the windows of its training data do not "
        "follow each other as in a recording."
    )
    assert "It has no learnt smoothing" in (registry.find_version(promoted, "tiny@champion").description or "")


def test_cards_of_earlier_versions_have_none_and_damaged_ones_are_refused(champion: Store, tmp_path: Path) -> None:
    card = registry.load_model(champion, "tiny@champion").card
    content = json.loads(card.to_json())
    old = {key: value for key, value in content.items() if key not in ("smoothing", "no_smoothing")}
    (tmp_path / "model.json").write_text(json.dumps(old))
    read = Card.read(tmp_path / "model.json")
    assert read.smoothing is None
    assert about_labels(read, Options(tmp_path)) == "Labels are not smoothed: the model has no learnt smoothing."
    for wrong in (
        {},
        {"initial": [1], "transition": [[1]], "emission": [[1]]},
        {**content["smoothing"], "initial": "x"},
    ):
        with pytest.raises(WeightsError, match="the smoothing in the model's card cannot be used"):
            model_of(replace(card, smoothing=wrong))
