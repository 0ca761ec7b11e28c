"""The public interface: a fast import without side effects, examples of docstrings, results and errors."""

from __future__ import annotations

import doctest
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from rich.console import Console

import sslwear
from sslwear.api import evaluation_result, loading, notebook, running, study_result, training_results
from sslwear.api.training_results import PretrainingResult, TrainingResult
from sslwear.config import to_yaml
from sslwear.studies.setup.progress import ConsoleProgress
from sslwear.training import EpochRecord

CONTENT: dict[str, Any] = {
    "study": "my-study",
    "data": "my-data",
    "encoder": "cnn5",
    "trials": 1,
    "split": {"test": 0.2, "validation": 0.25},
    "training": {"tuning": "head", "max_epochs": 1},
    "search": {"learning_rate": {"low": 1e-4, "high": 1e-2}},
    "pruner": {"name": "none"},
}
FIXED = {key: CONTENT[key] for key in ("data", "encoder", "training")}
"""The study's settings without a search."""
EVALUATION = {
    "protocol": "k_fold",
    "folds": 2,
    "baselines": "none",
    "methods": {"head only": {"tuning": "head"}, "random forest": {"baseline": "random_forest"}},
}
IMPORT = """
import json, os, sys, time
before = dict(os.environ)
start = time.perf_counter()
import sslwear
seconds = time.perf_counter() - start
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "mlflow", "optuna", "pandas", "numpy"})
print(json.dumps({"seconds": seconds, "heavy": heavy, "environment": dict(os.environ) == before}))
"""
USE = """
import json, os, sys
before = dict(os.environ)
import sslwear
sslwear.load_encoder("cnn5")
first = sorted({"mlflow", "optuna"} & set(sys.modules))
import optuna
level = optuna.logging.get_verbosity()
import sslwear.studies.search.optimise, sslwear.deployment.registry
import mlflow.telemetry.client as client
print(json.dumps({
    "first": first,
    "quiet": optuna.logging.get_verbosity() != level,
    "mlflow": [name for name in os.environ if name.startswith("MLFLOW") and name not in before],
    "telemetry": client._MLFLOW_TELEMETRY_CLIENT is not None,
}))
"""


def python(code: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_import_is_fast_and_changes_nothing() -> None:
    found = python(IMPORT)
    assert found["seconds"] < 0.3
    assert found["heavy"] == []
    assert found["environment"]


def test_an_encoder_needs_no_store_and_importing_studies_changes_no_settings() -> None:
    found = python(USE)
    assert found == {"first": [], "quiet": False, "mlflow": [], "telemetry": False}


def test_every_public_name_is_there_and_documented() -> None:
    assert set(sslwear.__all__) <= set(dir(sslwear))
    for name in sslwear.__all__:
        assert getattr(sslwear, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'run_studies'"):
        sslwear.run_studies  # noqa: B018


@pytest.fixture(scope="module")
def place(small_folder: Path, empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a data set, a study file, an evaluation and a store, in which the study was run."""
    folder = tmp_path_factory.mktemp("public")
    shutil.copytree(small_folder, folder / "my-data")
    shutil.copytree(empty_home, folder / "mlruns")
    (folder / "my-study.yaml").write_text(to_yaml(CONTENT))
    (folder / "question.yaml").write_text(to_yaml({**FIXED, "study": "question", "evaluation": EVALUATION}))
    (folder / "my_encoder.py").write_text(
        'from sslwear.encoders.cnn import Cnn5\n\n\nclass Mine(Cnn5):\n    name = "mine"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sslwear.run_study("my-study.yaml", trials=2)
    return folder


@pytest.fixture(autouse=True)
def _there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "place" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("place"))


EXAMPLES = {
    test.name.rsplit(".", 1)[-1]: test
    for module in (loading, running, study_result, evaluation_result, training_results)
    for test in doctest.DocTestFinder().find(module, extraglobs={"sslwear": sslwear, "torch": torch})
    if test.examples
}


def test_every_function_has_an_example() -> None:
    functions = {name for name in sslwear.__all__ if callable(getattr(sslwear, name)) and name[0].islower()}
    assert set(EXAMPLES) == functions


@pytest.mark.parametrize("name", sorted(EXAMPLES, key=lambda name: name == "load_model"))
def test_an_example_runs(name: str, place: Path) -> None:
    if name == "load_model" and not (place / "promoted").exists():
        (place / "promoted").write_text(str(sslwear.promote("my-study").version))
    said: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(EXAMPLES[name], out=said.append, clear_globs=False)
    assert (failed, tried > 0) == (0, True), "".join(said)


def test_a_study_is_a_data_frame_a_best_trial_and_a_picture(place: Path) -> None:
    study = sslwear.run_study(CONTENT, trials=2)
    assert isinstance(study.trials, pd.DataFrame)
    assert list(study.trials["trial"]) == [0, 1]
    best = study.trials.loc[study.trials["kappa"].idxmax()]
    assert study.best.settings.training.learning_rate == best["learning_rate"]
    assert set(study.test_scores) >= {"kappa", "f1"}
    assert study.importances == {}
    assert repr(study).startswith("StudyResult('my-study', 2 trials, best: trial ")
    html = study._repr_html_()
    assert html.count("<tr") == 3
    assert f"trial {study.best.number} with" in html
    figure = study.plot()
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_an_evaluation_is_data_frames_a_picture_and_markdown(place: Path) -> None:
    report = sslwear.evaluate("question.yaml", progress=False)
    assert report.scores["participant"].nunique() == 6
    means = report.scores.groupby(["method", "participant"])["kappa"].mean().groupby("method").mean()
    assert report.summary.set_index("method")["kappa"].to_dict() == pytest.approx(means.to_dict())
    (row,) = report.comparisons.to_dict("records")
    assert row["difference"] == pytest.approx(means["random forest"] - means["head only"])
    assert row["low"] <= row["difference"] <= row["high"]
    assert report.plot()._repr_png_().startswith(b"\x89PNG")
    assert "| `random forest` |" in report._repr_markdown_()
    assert repr(report) == "EvaluationResult('question', 2 methods, 6 test participants)"


def test_an_evaluation_of_one_method_has_nothing_to_compare(place: Path) -> None:
    alone = {**EVALUATION, "methods": {"random forest": {"baseline": "random_forest"}}}
    with pytest.raises(sslwear.SslwearError, match="training would do nothing, because no method trains a network"):
        sslwear.evaluate({**FIXED, "study": "alone", "evaluation": alone})
    places = {"data": Path(FIXED["data"]), "encoder": "cnn5"}
    report = sslwear.evaluate({**places, "study": "alone", "evaluation": alone})
    assert report.comparisons.empty
    assert "random forest" in report._repr_markdown_()
    with pytest.raises(sslwear.SslwearError, match="one method only"):
        report.plot()


def test_changes_replace_single_keys_of_a_section_and_are_checked() -> None:
    settings = sslwear.load_settings(CONTENT, training={"learning_rate": 0.01})
    assert settings.training.learning_rate == 0.01
    assert settings.training.tuning == "head"
    assert sslwear.load_settings(settings) is settings
    assert sslwear.load_settings(settings, trials=7).trials == 7
    with pytest.raises(sslwear.SslwearError, match="trials"):
        sslwear.load_settings(settings, trials=0)


def test_a_set_of_choices_has_the_same_order_in_every_process() -> None:
    content = {"study": "s", "data": "d", "search": {"tuning": {"layer5", "all", "head"}, "batch_size": {32}}}
    search = sslwear.load_settings(content).search
    assert search.tuning == ("all", "head", "layer5")
    assert search.batch_size == (32,)


def test_a_mapping_may_have_a_base_and_values_of_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(to_yaml(CONTENT))
    changes = {"trials": np.int64(4), "search": {"batch_size": (16, np.int32(32)), "augment": np.array([True, False])}}
    settings = sslwear.load_settings(
        {"base": Path("base.yaml"), **changes}, training={"learning_rate": np.float32(0.5)}
    )
    assert (settings.study, settings.trials, settings.training.learning_rate) == ("my-study", 4, 0.5)
    assert (settings.search.batch_size, settings.search.augment) == ((16, 32), (True, False))
    with pytest.raises(
        sslwear.SslwearError, match=r"there is no study file no\.yaml\. Give a path relative to the working"
    ):
        sslwear.load_settings({"base": "no.yaml"})
    with pytest.raises(sslwear.SslwearError, match="base cannot be changed for one call"):
        sslwear.load_settings(CONTENT, base="base.yaml")


def test_a_study_file_may_be_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my-study.yaml").write_text(to_yaml(CONTENT))
    assert sslwear.load_settings("~/my-study.yaml") == sslwear.load_settings(Path("~/my-study.yaml"))
    with pytest.raises(sslwear.SslwearError, match=rf"there is no study file {tmp_path}/no\.yaml"):
        sslwear.load_settings("~/no.yaml")


def test_settings_that_are_not_valid_are_refused_in_one_sentence() -> None:
    with pytest.raises(
        sslwear.SslwearError, match=r"^the settings: trials: input should be a valid integer, but got 'x'"
    ):
        sslwear.Settings(study="a", data="b", trials="x")


@pytest.mark.parametrize("function", [sslwear.run_study, sslwear.train, sslwear.pretrain])
def test_settings_with_a_key_that_does_nothing_are_refused(function: Callable[[sslwear.Settings], Any]) -> None:
    settings = sslwear.Settings(study="a", data="b", training={"augment_degrees": 20})
    with pytest.raises(sslwear.SslwearError, match=r"training\.augment_degrees would do nothing"):
        function(settings)


def test_an_encoder_reads_the_weights_of_a_trial_and_of_a_file(place: Path, tmp_path: Path) -> None:
    study = sslwear.run_study("my-study.yaml", trials=2)
    trained = sslwear.load_encoder("cnn5", weights=study.best.weights)
    torch.save(trained.state_dict(), tmp_path / "encoder.pt")
    again = sslwear.load_encoder("cnn5", weights=tmp_path / "encoder.pt")
    windows = torch.randn(3, 3, 150)
    assert not trained.training
    assert torch.equal(trained(windows), again(windows))
    assert not torch.equal(trained(windows), sslwear.load_encoder("cnn5")(windows))
    model = sslwear.load_model(study.best.weights)
    assert len(model.predict((windows * 0.1 + 0.6).numpy())) == 3


def test_the_summary_of_a_data_set_is_a_table_in_a_notebook(place: Path) -> None:
    summary = sslwear.load_dataset("my-data").describe()
    html = summary._repr_html_()
    assert html.count("<tr>") == len(summary.rows)
    assert "6, 30 windows each: 1 2 5 6 7 8" in html


def test_the_package_is_a_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sslwear", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == sslwear.__version__


@pytest.mark.parametrize(
    ("jupyter", "terminal", "wanted", "shown"),
    [(False, False, True, False), (True, False, True, True), (False, True, True, True), (True, True, False, False)],
)
def test_progress_is_shown_in_a_notebook_and_on_a_terminal_only(
    jupyter: bool, terminal: bool, wanted: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO(), force_jupyter=jupyter, force_terminal=terminal)
    monkeypatch.setattr("rich.console.Console", lambda: console)
    for method in ("start", "stop"):  # outside of a notebook nothing could display the bars
        monkeypatch.setattr(f"rich.live.Live.{method}", lambda *_, **__: None)
    with notebook.progress_shown(wanted, epochs=False) as progress:
        assert isinstance(progress, ConsoleProgress) == shown


def test_results_of_trainings_are_shown_in_a_notebook() -> None:
    history = [EpochRecord(number, 1.5 / number, 1.25, {"kappa": 0.5}, {}, 2.0) for number in (1, 2)]
    fit: Any = SimpleNamespace(history=history)
    trained = TrainingResult("runs:/<id>", {"kappa": 0.5}, fit)._repr_html_()
    assert trained.startswith("<p><b>Training</b>: kappa 0.500. Weights: <code>runs:/&lt;id&gt;</code></p><table")
    assert "<td>0.75</td>" in trained
    pretrained = PretrainingResult("runs:/1", {"accuracy": 0.75, "chance": 0.5})._repr_html_()
    assert pretrained == "<p><b>Pre-training</b>: accuracy 0.750, chance 0.500. Weights: <code>runs:/1</code></p>"
