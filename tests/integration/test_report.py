"""The command that writes a study's report, on a real study and real runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.reports.report import write_report
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.evaluations.listing import Evaluation
from sslwear.studies.results.report_inputs import gather_report_inputs
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.single_run import train_once
from sslwear.tracking import HOME_VARIABLE, Store
from tests.conftest import store_at
from tests.unit.evaluation.test_comparison import results


@pytest.fixture(scope="module")
def done(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a finished study."""
    home = tmp_path_factory.mktemp("report") / "mlruns"
    shutil.copytree(empty_home, home)
    masks = {"tuning": ["head", "layer5"], "learning_rate": {"low": 1e-3, "high": 1e-2}}
    first = {"tuning": "layer5", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 2}
    run_study(make(training=first, search=masks), store_at(home), ProgressCallback())
    return store_at(home)


@pytest.fixture
def frame(done: Store) -> pd.DataFrame:
    """Results as an evaluation gives them, each method from a real run; the last one from a run that is gone."""
    trials = {run.data.params["tuning"]: run.info.run_id for run in done.find_runs(None, kind="trial")}
    found = results({name: {1: [0.5, 0.6, 0.7 + 0.1 * i]} for i, name in enumerate(("head", "layer5", "gone"))})
    return found.assign(run_id=found["method"].map({**trials, "gone": "0" * 32}))


@pytest.fixture
def evaluated(done: Store, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study has an evaluation."""
    monkeypatch.setenv(HOME_VARIABLE, str(done.home))

    def found(name: str, store: Store) -> pd.DataFrame:
        if name != "tiny":
            raise StudyError(f"the study {name!r} was not evaluated yet")
        return frame

    monkeypatch.setattr("sslwear.studies.evaluations.results.results", found)
    monkeypatch.setattr("sslwear.studies.evaluations.results.is_evaluated", lambda name, store: name == "tiny")


@pytest.mark.usefixtures("evaluated", "drawn")
def test_a_report_is_written_of_what_the_stores_know(done: Store, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["study", "report", "tiny", "--out", str(tmp_path), "--reference", "layer5"])
    assert result.exit_code == 0, result.output
    names = ["study.html", "REPORT.md", "REPORT.json", "masks.png", "participants.png", "learning_curves.png"]
    assert result.stdout.split() == [str(tmp_path / name) for name in names]
    text = (tmp_path / "REPORT.md").read_text()
    assert "the reference `layer5`" in text.splitlines()[2]
    assert "The search had 3 trials: 3 finished." in text
    (study,) = done.find_runs(None, kind="study")
    assert f"`{study.data.tags['mlflow.source.git.commit']}" in text
    assert study.data.tags["mlflow.source.name"] in text
    best = study.data.tags["sslwear.best_trial"]
    assert f"Learning curves of trial {best}, which the search selected:" in text
    assert "encoder: cnn5" in text
    rows = json.loads((tmp_path / "REPORT.json").read_text())
    assert [row["method"] for row in rows] == ["gone", "layer5", "head"]


@pytest.mark.usefixtures("evaluated", "drawn")
@pytest.mark.parametrize("done_jobs", [2, 9])
def test_a_report_of_an_unfinished_evaluation_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done_jobs: int
) -> None:
    one = Evaluation("tiny", "small", "cnn5", "kappa", "hold-out", 3, done_jobs, 9, None, None)
    monkeypatch.setattr("sslwear.studies.evaluations.listing.find_evaluation", lambda name, store: one)
    result = CliRunner().invoke(app, ["study", "report", "tiny", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    told = "2 of 9 jobs of the evaluation of tiny are done"
    assert (
        (told in result.stderr)
        == (f"**Unfinished:** {told}." in (tmp_path / "REPORT.md").read_text())
        == (done_jobs < 9)
    )


@pytest.mark.usefixtures("evaluated")
def test_a_study_without_an_evaluation_is_answered_in_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["study", "report", "other", "--out", str(tmp_path / "report")])
    assert result.exit_code == 1
    assert result.stderr == "sslwear: the study 'other' was not evaluated yet\n"
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("options", [[], ["--reference", "head"]])
def test_a_reference_needs_an_evaluation(
    done: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(done.home))
    result = CliRunner().invoke(app, ["study", "report", "tiny", "--out", str(tmp_path / "report"), *options])
    assert result.exit_code == (1 if options else 0), result.output
    assert (tmp_path / "report").exists() == (not options)
    why = "the study 'tiny' has no evaluation, so there are no methods to compare. Leave --reference out"
    assert result.stderr == (f"sslwear: {why}\n" if options else "")


def test_report_inputs_have_the_kinds_and_the_winners_epochs(done: Store, frame: pd.DataFrame) -> None:
    inputs = gather_report_inputs("tiny", done, frame)
    assert inputs.kinds == {"head": ("head", "none"), "layer5": ("layer5", "none")}
    assert [record.epoch for record in inputs.curves] == [1, 2]
    (study,) = done.find_runs(None, kind="study")
    (best,) = done.find_runs(None, kind="trial", trial=study.data.tags["sslwear.best_trial"])
    history = done.client.get_metric_history(best.info.run_id, "val_kappa")
    assert [record.scores["kappa"] for record in inputs.curves] == [metric.value for metric in history]
    assert inputs.best_epoch == best.data.metrics["best_epoch"]
    assert {point.number for point in inputs.points} == {0, 1, 2}
    assert inputs.judged.startswith("Trials are judged by the mean kappa over ")


def test_an_evaluation_without_a_search_has_report_inputs_too(done: Store, frame: pd.DataFrame, tmp_path: Path) -> None:
    elsewhere = Store(done.home, done.tracking_uri, f"sqlite:///{tmp_path / 'optuna.db'}")  # which knows of no study
    inputs = gather_report_inputs("tiny", elsewhere, frame)
    assert inputs.settings.encoder == "cnn5"
    assert inputs.outcomes == {}
    assert inputs.judged == ""
    assert inputs.curves_of.startswith("one run of `")
    assert len(inputs.curves) == 2


def test_a_winner_that_was_chosen_has_the_epochs_of_what_it_chose(make: Callable[..., Settings], done: Store) -> None:
    methods = {"head": {}, "layer5": {"tuning": "layer5"}, "best": {"select_on_validation": ["head", "layer5"]}}
    training = {"tuning": "head", "batch_size": 32, "max_epochs": 2}
    evaluation = {"protocol": "hold_out", "seeds": [1], "methods": methods, "baselines": "none"}
    table = evaluate_study(make(study="chosen", training=training, evaluation=evaluation), done)
    (run,) = (done.client.get_run(one) for one in table.loc[table["method"] == "best", "run_id"].unique())
    chosen = done.client.get_metric_history(run.data.tags["sslwear.chosen_run"], "val_kappa")
    inputs = gather_report_inputs("chosen", done, table[table["method"] == "best"])
    assert inputs.curves_of == "one run of `best`"
    assert [record.scores["kappa"] for record in inputs.curves] == [metric.value for metric in chosen]
    assert [record.epoch for record in inputs.curves] == [1, 2]


@pytest.mark.usefixtures("drawn")
def test_the_report_shows_scores_on_the_pretext_tasks(
    make: Callable[..., Settings], done: Store, frame: pd.DataFrame, tmp_path: Path
) -> None:
    one_epoch = {"tuning": "head", "max_epochs": 1}
    runs = [
        train_once(make(training={**one_epoch, "pretext": pretext}, pretraining={"max_epochs": 1}), done)[0].id
        for pretext in ("reverse", "contrastive")
    ]
    table = frame.assign(run_id=frame["method"].map({"head": runs[0], "layer5": runs[1], "gone": "0" * 32}))
    inputs = gather_report_inputs("tiny", done, table)
    assert [one.pretext for one in inputs.pretrained] == ["reverse", "contrastive"]
    for one, run, scores in zip(inputs.pretrained, runs, ({"accuracy", "chance"},) * 2, strict=True):
        assert one.runs == (done.client.get_run(run).data.tags["sslwear.pretraining_run"],)
        logged = done.client.get_run(one.runs[0]).data.metrics
        assert dict(one.scores) == {name: logged[name] for name in scores}
    write_report(table, inputs, tmp_path)
    reverse = inputs.pretrained[0].scores
    row = f"| `reverse` | 1 | {reverse['chance']:.3f} | accuracy {reverse['accuracy']:.3f} |"
    assert row in (tmp_path / "REPORT.md").read_text().splitlines()


def test_an_evaluation_without_finished_jobs_is_refused(done: Store, frame: pd.DataFrame) -> None:
    with pytest.raises(StudyError, match="no job of the evaluation of 'tiny' has finished"):
        gather_report_inputs("tiny", done, frame[:0])
