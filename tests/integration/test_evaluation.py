"""Methods compared in folds of participants, from the study file to the table."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings, to_yaml
from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import Dataset
from sslwear.data.prepare import WindowPlan as Preparation
from sslwear.data.prepare import prepare
from sslwear.data.shards import open_shards
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.errors import DataError, LeakageError, SettingsError, StudyError
from sslwear.evaluation.baselines import extra_trees, minirocket, random_forest
from sslwear.evaluation.baselines.base import missing
from sslwear.evaluation.baselines.minirocket import MiniRocket
from sslwear.evaluation.baselines.random_forest import RandomForest
from sslwear.evaluation.comparison import summaries
from sslwear.reports.report import grouped
from sslwear.reports.report_text import incomplete
from sslwear.studies.evaluations import job as job_module
from sslwear.studies.evaluations import job_keys
from sslwear.studies.evaluations.cross_validation import evaluate_study, results
from sslwear.studies.evaluations.listing import find_evaluation
from sslwear.studies.evaluations.plan import CrossValidationPlan
from sslwear.studies.evaluations.results import COLUMNS, VALIDATION, confusions, validation_means
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial import all_participants
from sslwear.studies.trial.single_run import pretrain_once, train_once
from sslwear.tracking import Store, reading
from sslwear.tracking.checkpoints import logged_checkpoints
from sslwear.training import Windows, refit
from tests.conftest import SMALL_CLASSES, SMALL_PARTICIPANTS
from tests.integration.conftest import Hearing, Interrupting, statuses

METHODS: dict[str, Any] = {"head": {}, "faster head": {"learning_rate": 1e-2}}
FIRST = """\
import numpy as np

from sslwear.evaluation.baselines.base import Baseline


class First(Baseline):
    name = "first"

    def predict(self, train, validation, test, classes, seed):
        return np.zeros(len(test), np.int64)
"""
NOTE = "mlflow.note.content"
SCORES = ["kappa", "f1", "precision", "recall", "f1_all_classes", "accuracy"]


@pytest.fixture(scope="module")
def evaluation(make: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings of a small evaluation, with some replaced."""

    def settings(top: dict[str, Any] | None = None, **changes: Any) -> Settings:
        content = {"protocol": "k_fold", "folds": 3, "seeds": [1, 2], "methods": METHODS, "baselines": "none"} | changes
        if content["protocol"] != "k_fold":
            del content["folds"]
        training = {"tuning": "head", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 1}
        return make(**{"training": training, "evaluation": content, **(top or {})})

    return settings


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows of all ten participants, without labels."""
    folder = tmp_path_factory.mktemp("unlabelled") / "shards"
    prepare(Smartwatch(), folder, Preparation(window_s=5, step_s=5, unlabelled=True))
    return folder


def scores_only(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="run_id")


class Stub:
    """Stands for the random forest: it knows the labels, or predicts what a test wants."""

    def __init__(self, answer: Callable[[Windows], NDArray[np.int64]] = lambda test: test.labels) -> None:
        self.answer, self.asked = answer, list[tuple[Any, ...]]()

    def probabilities(
        self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int
    ) -> NDArray[np.float64]:
        self.asked.append((train.participants(), validation.participants(), test.participants(), classes, seed))
        return np.eye(classes)[self.answer(test)]

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(RandomForest, "probabilities", lambda _, *arguments: self.probabilities(*arguments))


@pytest.mark.slow
def test_everybody_is_tested_once_by_each_method_with_each_seed(
    evaluation: Callable[..., Settings], store: Store, small: Dataset
) -> None:
    table = evaluate_study(evaluation(), store)
    assert tuple(table.columns) == COLUMNS
    assert list(dict.fromkeys(table["method"])) == ["head", "faster head"]
    assert len(table) == 2 * 2 * len(SMALL_PARTICIPANTS)
    for _, rows in table.groupby(["method", "seed"]):
        assert sorted(rows["participant"]) == [str(pid) for pid in SMALL_PARTICIPANTS]
        assert sorted(rows["fold"]) == [1, 1, 2, 2, 3, 3]
    windows = dict(zip(table["participant"], table["windows"], strict=True))
    assert windows == {str(pid): int((small.pid == pid).sum()) for pid in SMALL_PARTICIPANTS}
    assert set(table["dataset"]) == {"small"}
    assert set(table["protocol"]) == {"k_fold"}
    assert not table["transductive"].any()
    assert table[SCORES].notna().all(axis=None)
    assert statuses(store) == {"cross_validation": ["FINISHED"], "cross_validation_job": ["FINISHED"] * 12}
    first = table.iloc[0]
    run = store.client.get_run(first["run_id"])
    (parent,) = store.find_runs(None, kind="cross_validation")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert [run.data.tags[f"sslwear.{key}"] for key in ("method", "fold", "seed")] == ["head", "1", "1"]
    assert run.data.params["seed"] == "1"
    assert first["participant"] in run.data.params["test_participants"].split()
    assert logged_checkpoints(store, run) == []
    assert {item.path for item in store.client.list_artifacts(run.info.run_id)} == {
        "participants.csv",
        "test_confusion.csv",
        "test_participants.csv",
        "test_probabilities.csv",
    }
    counted = confusions(table, store)
    assert list(counted) == ["head", "faster head"]
    assert counted["head"].to_numpy().sum() == 2 * len(small)  # two seeds
    assert np.diag(counted["head"]).sum() == round(
        (table["accuracy"] * table["windows"])[table["method"] == "head"].sum()
    )
    assert_frame_equal(results("tiny", store), table)


@pytest.mark.slow
def test_folds_and_the_first_weights_are_the_same_for_all_methods_and_seeds_make_a_difference(
    evaluation: Callable[..., Settings], store: Store
) -> None:
    table = evaluate_study(evaluation(methods={"a": {}, "b": {"max_epochs": 1}}), store)
    a, b = (table[table["method"] == name].drop(columns=["method", "run_id"]) for name in "ab")
    assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True))
    one, two = (a[a["seed"] == seed] for seed in (1, 2))
    assert one["participant"].tolist() == two["participant"].tolist()
    assert one["kappa"].tolist() != two["kappa"].tolist()


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_and_gives_the_same_table(
    evaluation: Callable[..., Settings], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = evaluation()
    with pytest.raises(KeyboardInterrupt):
        evaluate_study(settings, store, Interrupting(5))
    assert statuses(store) == {"cross_validation": ["KILLED"], "cross_validation_job": ["FINISHED"] * 4 + ["KILLED"]}
    kept = results("tiny", store)
    assert len(kept) == 8  # two participants in each of the four jobs
    table = evaluate_study(settings, store)
    assert statuses(store) == {
        "cross_validation": ["FINISHED"],
        "cross_validation_job": ["FINISHED"] * 4 + ["KILLED"] + ["FINISHED"] * 8,
    }
    assert set(kept["run_id"]) < set(table["run_id"])
    again = evaluate_study(settings, store)
    assert_frame_equal(again, table)
    assert len(store.find_runs(None, kind="cross_validation_job")) == 13
    monkeypatch.chdir(tmp_path)  # where MLflow keeps the artifacts of a database that is not embedded
    other = Store(tmp_path / "other", f"sqlite:///{tmp_path / 'other.db'}", store.storage_url)
    assert_frame_equal(scores_only(evaluate_study(settings, other)), scores_only(table))


def test_ctrl_c_while_a_run_is_opened_leaves_nothing_running(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Store.create_run

    def start(self: Store, context: str, name: str, kind: str, *args: Any, **tags: str) -> Any:
        run = real(self, context, name, kind, *args, **tags)
        if kind == "cross_validation":
            os.kill(os.getpid(), signal.SIGINT)
        return run

    monkeypatch.setattr(Store, "create_run", start)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background
    with pytest.raises(KeyboardInterrupt):
        evaluate_study(evaluation(), store)
    assert statuses(store) == {"cross_validation": ["KILLED"]}


def test_what_a_dead_process_left_open_is_closed(evaluation: Callable[..., Settings], store: Store) -> None:
    settings = evaluation(seeds=[1])
    with pytest.raises(KeyboardInterrupt):
        evaluate_study(settings, store, Interrupting(2))
    for run in store.find_runs(None, outcome="interrupted"):  # as if it had been killed
        store.client.update_run(run.info.run_id, status="RUNNING")
    evaluate_study(evaluation(seeds=[1], methods={"head": {}}), store)
    assert statuses(store) == {
        "cross_validation": ["KILLED", "FINISHED"],
        "cross_validation_job": ["FINISHED", "KILLED", "FINISHED", "FINISHED"],
    }


def test_methods_and_seeds_can_be_added_and_are_all_that_is_run(
    evaluation: Callable[..., Settings], store: Store
) -> None:
    before = evaluate_study(evaluation(seeds=[1], methods={"head": {}}), store)
    after = evaluate_study(evaluation(seeds=[1, 2], methods={"other": {"batch_size": 16}, "head": {}}), store)
    assert len(store.find_runs(None, kind="cross_validation_job")) == 12
    assert list(dict.fromkeys(after["method"])) == ["other", "head"]
    same = after[(after["method"] == "head") & (after["seed"] == 1)].reset_index(drop=True)
    assert_frame_equal(same, before)


def test_a_method_that_combines_others_can_become_the_reference(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stub().stand_in(monkeypatch)
    monkeypatch.setattr(extra_trees, "TREES", 2)
    members: dict[str, Any] = {"forest": {"baseline": "random_forest"}, "trees": {"baseline": "extra_trees"}}
    average = {"average": {"ensemble": ["forest", "trees"]}}
    for methods in ({**members, **average}, {**average, **members}):
        table = evaluate_study(evaluation(seeds=[1], methods=methods), store)
        assert list(dict.fromkeys(table["method"])) == list(methods)
    assert len(store.find_runs(None, kind="cross_validation_job")) == 9


def test_methods_that_are_pre_trained_run_again_when_the_arithmetic_of_pre_training_changes(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods: dict[str, Any] = {
        "head": {},
        "pre-trained": {"pretext": "reverse"},
        "probed": {"probe": "logistic", "pretext": "reverse"},
        "searched": {"search": {"pretext": ["none", "reverse"]}, "trials": 2},
    }
    settings = evaluation(methods=methods, seeds=[1])
    before = CrossValidationPlan.build(settings, store).jobs
    monkeypatch.setattr(job_keys, "PRETRAINING_VERSION", job_keys.PRETRAINING_VERSION + 1)
    after = CrossValidationPlan.build(settings, store).jobs
    again = {one.method.name for one, other in zip(before, after, strict=True) if one.key != other.key}
    assert again == {"pre-trained", "probed", "searched"}


@pytest.mark.parametrize(("smoothing", "step_again"), [("none", False), ("hmm", True)])
def test_jobs_are_run_again_when_what_they_take_from_the_description_is_corrected(
    evaluation: Callable[..., Settings],
    store: Store,
    small: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    smoothing: str,
    step_again: bool,
) -> None:
    def keys(**changes: Any) -> set[str]:
        data = replace(small, **changes)
        monkeypatch.setattr(Store, "open_dataset", lambda *_: data)
        return {job.key for job in CrossValidationPlan.build(evaluation(smoothing=smoothing), store).jobs}

    monkeypatch.setattr("sslwear.studies.evaluations.plan.check_consecutive", lambda _: None)
    before = keys()
    assert keys() == before
    assert keys(class_names=small.class_names[::-1]).isdisjoint(before)
    assert keys(description=small.description.model_copy(update={"step_s": 2.5})).isdisjoint(before) is step_again


def test_methods_can_be_added_after_the_data_set_was_renamed(
    evaluation: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Path
) -> None:
    description = small.description.model_dump_json(exclude={"name"})
    tables = []
    for name, methods in (("first", {"head": {}}), ("second", {"head": {}, "other": {"batch_size": 16}})):
        shutil.copytree(small.folder, tmp_path / name)
        (tmp_path / name / "dataset.json").write_text(json.dumps({"name": name, **json.loads(description)}))
        top = {"data": str(tmp_path / name)}
        tables.append(evaluate_study(evaluation(top, seeds=[1], methods=methods), store))
    assert len(store.find_runs(None, kind="cross_validation_job")) == 6
    before, after = (table.drop(columns="dataset") for table in tables)
    assert_frame_equal(after[after["method"] == "head"], before)
    assert [set(table["dataset"]) for table in tables] == [{"first"}, {"second"}]


def test_the_choice_is_made_on_validation_participants_and_not_on_those_tested(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is made better in validation, and the second in the test."""
    real_train, real_score = job_module.train, job_module.score_trained

    def train(context: StudyContext, training: Any, run: Any, *args: Any, **named: Any) -> Any:
        result = real_train(context, training, run, *args, **named)
        validated = dict.fromkeys(SCORES, 0.9 if training.batch_size == 32 else 0.1)
        run.table(pd.DataFrame({"participant": ["1"], "windows": 9, **validated}), VALIDATION)
        train.batch = training.batch_size  # type: ignore[attr-defined]
        return result

    def score(context: StudyContext, *args: Any) -> Any:
        tested = real_score(context, *args)
        right = job_module.score_predictions(context, tested.truth)
        wrong = job_module.score_predictions(context, (tested.truth + 1) % len(SMALL_CLASSES))
        return wrong if train.batch == 32 else right  # type: ignore[attr-defined]

    monkeypatch.setattr(job_module, "train", train)
    monkeypatch.setattr(job_module, "score_trained", score)
    methods = {
        "best": {"select_on_validation": ["small", "large"]},
        "large": {"batch_size": 32},
        "small": {"batch_size": 16},
    }
    table = evaluate_study(evaluation(seeds=[1], methods=methods), store)
    by_method = table.groupby("method", sort=False)["accuracy"].mean()
    assert by_method.to_dict() == {"best": 0.0, "large": 0.0, "small": 1.0}
    large, best = (table[table["method"] == name].reset_index(drop=True) for name in ("large", "best"))
    assert_frame_equal(best[SCORES], large[SCORES])
    for run_id, origin in zip(best["run_id"], large["run_id"], strict=True):
        tags = store.client.get_run(run_id).data.tags
        assert (tags["sslwear.chosen"], tags["sslwear.chosen_run"]) == ("large", origin)
    counted = confusions(table, store)
    assert_frame_equal(counted["best"], counted["large"])
    assert counted["small"].to_numpy().tolist() == np.diag(counted["small"].sum(axis=1)).tolist()


def test_selection_compares_members_over_participants_whose_score_is_defined_for_all(
    store: Store,
) -> None:
    """Kappa of a participant with one class is undefined if all windows are right, and 0 after an error."""
    experiment, members = store.experiment("members"), {}
    for name, kappas in {"worse": [0.5, 0.0], "better": [0.4, np.nan], "best": [0.6, np.nan]}.items():
        run = store.create_run(experiment, name, "cross_validation_job")
        table = pd.DataFrame({"participant": ["1", "2"], "windows": 9, **dict.fromkeys(SCORES, kappas)})
        run.table(table, VALIDATION)
        run.end("FINISHED", "finished")
        members[name] = store.client.get_run(run.id)
    means = validation_means(store, members, "kappa")
    assert means == {"worse": 0.5, "better": 0.4, "best": 0.6}


def test_each_fold_of_an_evaluation_that_selects_must_tell_methods_apart(
    evaluation: Callable[..., Settings], small: Dataset, store: Store, tmp_path: Path
) -> None:
    jobs = CrossValidationPlan.build(evaluation(protocol="leave_one_out"), store).jobs
    other = list(dict.fromkeys(job.split.validation for job in jobs))[1]  # not those of the first fold
    names = np.array(small.class_names)[small.labels].astype("U20")
    names[np.isin(small.pid, other)] = names[0]
    description = small.description.model_copy(update={"fingerprint": None})
    write_dataset(tmp_path / "data", np.array(small.windows), names, small.pid, small.start, description)
    methods = {"best": {"select_on_validation": ["small", "large"]}, "small": {}, "large": {"batch_size": 16}}
    settings = evaluation({"data": str(tmp_path / "data")}, protocol="leave_one_out", methods=methods, seeds=[1])
    with pytest.raises(DataError, match=f"the validation participants {other[0]}.* have only the class"):
        CrossValidationPlan.build(settings, store)


def test_kappa_is_refused_where_each_test_participant_has_one_class(
    evaluation: Callable[..., Settings], small: Dataset, store: Store, tmp_path: Path
) -> None:
    names = np.array(["patient", "control"])[np.unique(small.pid, return_inverse=True)[1] % 2]
    description = small.description.model_copy(update={"fingerprint": None, "class_names": ("control", "patient")})
    write_dataset(tmp_path / "data", np.array(small.windows), names, small.pid, small.start, description)
    top = {"data": str(tmp_path / "data")}
    with pytest.raises(DataError, match="test participants has one class only, on which kappa is undefined"):
        CrossValidationPlan.build(evaluation(top, seeds=[1]), store)
    assert CrossValidationPlan.build(evaluation({**top, "objective": "f1"}, seeds=[1]), store).jobs


def test_a_baseline_is_given_the_folds_participants_and_scored_like_a_network(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = Stub()
    baseline.stand_in(monkeypatch)
    settings = evaluation(protocol="leave_one_out", methods={"forest": {"baseline": "random_forest"}})
    table = evaluate_study(settings, store)
    assert (table["accuracy"] == 1).all()
    assert len(table) == len(baseline.asked) == 12
    assert [asked[4] for asked in baseline.asked] == [1, 2] * 6
    for train, validation, test, classes, _ in baseline.asked:
        assert sorted([*train, *validation, *test]) == list(SMALL_PARTICIPANTS)
        assert (len(test), classes) == (1, 3)


def test_a_baseline_that_does_not_exist_is_refused_before_anything_starts(
    evaluation: Callable[..., Settings], store: Store
) -> None:
    methods = {"head": {}, "forest": {"baseline": "random_florist"}}
    with pytest.raises(SettingsError, match=r"evaluation.methods.forest.baseline: there is no 'random_florist'"):
        evaluate_study(evaluation(methods=methods), store)
    assert store.find_runs(None, kind="cross_validation") == []


def test_what_fails_is_said_at_the_end_and_tried_again(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = {"forest": {"baseline": "random_forest"}, "head": {}}
    settings = evaluation(seeds=[1], methods=methods)
    Stub(lambda test: 1 / 0).stand_in(monkeypatch)  # type: ignore[arg-type, return-value]
    with pytest.raises(StudyError, match=r"3 of 6 jobs failed, the first one forest, fold 1, seed 1\. Their"):
        evaluate_study(settings, store)
    assert sorted(statuses(store)["cross_validation_job"]) == ["FAILED"] * 3 + ["FINISHED"] * 3
    assert statuses(store)["cross_validation"] == ["FAILED"]
    Stub().stand_in(monkeypatch)
    assert len(evaluate_study(settings, store)) == 12
    assert len(store.find_runs(None, kind="cross_validation_job")) == 9


def test_hold_out_tests_those_whom_a_study_locks_away(evaluation: Callable[..., Settings], store: Store) -> None:
    settings = evaluation(protocol="hold_out", seeds=[1])
    table = evaluate_study(settings, store)
    locked = StudyContext.open(settings, store).split.test
    assert sorted(table["participant"].unique()) == sorted(map(str, locked))


def test_networks_are_fitted_anew_on_all_but_those_who_are_tested_for_as_many_epochs_as_were_best(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(encoder: Any, task: Any, windows: Windows, tuning: Any, settings: Any, epochs: int, *rest: Any) -> Any:
        asked.append((windows.participants(), epochs))
        return refit(encoder, task, windows, tuning, settings, epochs, *rest)

    monkeypatch.setattr(all_participants, "refit", note)
    training = {"tuning": "layer5", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 3}
    top = {"training": training, "pretraining": {"max_epochs": 1}}
    methods = {"a": {"pretext": "reverse"}}
    without = evaluate_study(evaluation(top, seeds=[1], methods=methods), store)
    assert asked == []
    table = evaluate_study(evaluation(top, seeds=[1], methods=methods, refit=True), store)
    runs = [store.client.get_run(run_id) for run_id in dict.fromkeys(table[table["method"] == "a"]["run_id"])]
    sides = [run.data.params for run in runs]
    learnt = [sorted(map(int, f"{p['train_participants']} {p['validation_participants']}".split())) for p in sides]
    assert asked == [(people, int(run.data.metrics["best_epoch"])) for people, run in zip(learnt, runs, strict=True)]
    assert all("Refitted for" in run.data.tags[NOTE] for run in runs)
    assert len(store.find_runs(None, kind="pretraining")) == 3  # the same as before, without validation participants
    scores = [frame[frame["method"] == "a"][SCORES].to_numpy() for frame in (without, table)]
    assert not np.array_equal(*scores)


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities(
    evaluation: Callable[..., Settings], store: Store, small: Dataset
) -> None:
    methods = {**METHODS, "both": {"ensemble": ["head", "faster head"]}}
    table = evaluate_study(evaluation(seeds=[1], methods=methods), store)
    columns = [f"p_{name}" for name in SMALL_CLASSES]
    for run in store.find_runs(None, kind="cross_validation_job", method="both"):
        fold = run.data.tags["sslwear.fold"]
        told = []
        for name in METHODS:
            (member,) = store.find_runs(None, kind="cross_validation_job", method=name, fold=fold)
            assert member.info.run_id in run.data.tags["sslwear.members"].split()
            told.append(pd.read_csv(StringIO(store.read_text(member, "test_probabilities.csv"))))
            assert np.allclose(told[-1][columns].sum(axis=1), 1, atol=1e-5)
            rows = told[-1]["row"].to_numpy()
            assert np.array_equal(told[-1]["participant"], small.pid[rows])
        mean = (told[0][columns].to_numpy() + told[1][columns].to_numpy()) / 2
        right = pd.Series(mean.argmax(axis=1) == small.labels[rows]).groupby(small.pid[rows]).mean()
        mine = table[(table["method"] == "both") & (table["fold"] == int(fold))].set_index("participant")["accuracy"]
        assert {str(pid): value for pid, value in right.items()} == pytest.approx(mine.to_dict())
    with pytest.raises(StudyError, match=r"the run .* trained nothing: it averages .*\. Repeat one of these"):
        rerun(store.find_runs(None, kind="cross_validation_job", method="both")[0], store, ProgressCallback())


def test_an_ensemble_may_average_over_seeds(evaluation: Callable[..., Settings], store: Store, small: Dataset) -> None:
    methods = {"head": {}, "all seeds": {"ensemble": ["head"], "over_seeds": True}}
    first = evaluate_study(evaluation(seeds=[1, 2], methods={"head": {}}), store)
    table = evaluate_study(evaluation(seeds=[1, 2], methods=methods), store)
    mine = table[table["method"] == "all seeds"]
    assert mine["participant"].is_unique
    assert set(mine["averaged_seeds"]) == {"1 2"}
    assert_frame_equal(table[table["method"] == "head"].reset_index(drop=True), first)
    columns = [f"p_{name}" for name in SMALL_CLASSES]
    for run in store.find_runs(None, kind="cross_validation_job", method="all seeds"):
        fold = run.data.tags["sslwear.fold"]
        members = store.find_runs(None, kind="cross_validation_job", method="head", fold=fold)
        assert {member.info.run_id for member in members} == set(run.data.tags["sslwear.members"].split())
        told = [pd.read_csv(StringIO(store.read_text(member, "test_probabilities.csv"))) for member in members]
        rows = told[0]["row"].to_numpy()
        mean = np.mean([one[columns].to_numpy() for one in told], axis=0)
        right = pd.Series(mean.argmax(axis=1) == small.labels[rows]).groupby(small.pid[rows]).mean()
        found = accuracies(table, "all seeds", int(fold))
        assert found == pytest.approx({str(pid): value for pid, value in right.items()})
    summary = {one.method: one for one in summaries(table)}
    assert summary["all seeds"].seeds == summary["head"].seeds == (1, 2)
    assert np.isnan(summary["all seeds"].seed_sd["kappa"])
    (group,) = grouped(table, "kappa")
    assert incomplete(group) is None


def accuracies(table: pd.DataFrame, method: str, fold: int) -> dict[str, float]:
    mine = table[(table["method"] == method) & (table["fold"] == fold)]
    return dict(zip(mine["participant"], mine["accuracy"], strict=True))


def test_an_ensemble_may_have_baselines_also_those_of_other_people(
    evaluation: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random_forest, "TREES", 10)
    (tmp_path / "first.py").write_text(FIRST)
    both = ["head", "forest", "own"]
    methods = {
        "head": {},
        "all": {"ensemble": both},
        "forest": {"baseline": "random_forest"},
        "own": {"baseline": "first"},
    }
    top = {"plugins": [str(tmp_path / "first.py")]}
    table = evaluate_study(evaluation(top, seeds=[1], methods=methods), store)
    columns = [f"p_{name}" for name in SMALL_CLASSES]
    for run in store.find_runs(None, kind="cross_validation_job", method="all"):
        fold, told = int(run.data.tags["sslwear.fold"]), []
        for name in both:
            (member,) = store.find_runs(None, kind="cross_validation_job", method=name, fold=str(fold))
            told.append(pd.read_csv(StringIO(store.read_text(member, "test_probabilities.csv"))))
            assert np.allclose(told[-1][columns].sum(axis=1), 1, atol=1e-5)
        assert (told[2][columns].to_numpy() == [1, 0, 0]).all()
        assert not told[1][columns].isin([0, 1]).all(axis=None)
        rows = told[0]["row"].to_numpy()
        mean = np.mean([one[columns].to_numpy() for one in told], axis=0)
        right = pd.Series(mean.argmax(axis=1) == small.labels[rows]).groupby(small.pid[rows]).mean()
        assert accuracies(table, "all", fold) == pytest.approx({str(pid): value for pid, value in right.items()})


def test_a_baseline_without_probabilities_gets_them_when_an_ensemble_wants_them(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As stores have it in which the baseline finished before its probabilities were kept."""
    monkeypatch.setattr(random_forest, "TREES", 10)
    methods: dict[str, Any] = {"head": {}, "forest": {"baseline": "random_forest"}}
    evaluate_study(evaluation(seeds=[1], methods=methods), store)
    kept = {}
    for run in store.find_runs(None, kind="cross_validation_job", method="forest"):
        file = Path(run.info.artifact_uri.removeprefix("file://")) / "test_probabilities.csv"
        kept[file] = file.read_text()
        file.unlink()
    methods["both"] = {"ensemble": ["head", "forest"]}
    table = evaluate_study(evaluation(seeds=[1], methods=methods), store)
    assert table.groupby("method")["participant"].nunique().to_dict() == {"both": 6, "forest": 6, "head": 6}
    assert len(store.find_runs(None, kind="cross_validation_job")) == 9
    assert len(kept) == 3
    assert {file: file.read_text() for file in kept} == kept


def test_the_packages_baselines_are_added_and_are_all_that_is_run(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (random_forest, extra_trees):
        monkeypatch.setattr(module, "TREES", 5)
    monkeypatch.setattr(minirocket, "KERNELS", 84)
    methods = {"head": {}, "forest": {"baseline": "random_forest"}}
    before = evaluate_study(evaluation(seeds=[1], methods=methods), store)
    added = ["extra_trees"] if missing(MiniRocket) else ["extra_trees", "minirocket"]
    table = evaluate_study(evaluation(seeds=[1], methods=methods, baselines="all"), store)
    assert list(dict.fromkeys(table["method"])) == ["head", "forest", *added]
    assert len(store.find_runs(None, kind="cross_validation_job")) == 6 + 3 * len(added)
    same = table[table["method"].isin(["head", "forest"])].reset_index(drop=True)
    assert_frame_equal(same, before)
    newest, _ = store.find_runs(None, kind="cross_validation")
    logged = reading.settings(store, newest.info.run_id)
    assert logged is not None
    assert logged.evaluation is not None
    assert list(logged.evaluation.methods) == ["head", "forest", *added]
    assert_frame_equal(evaluate_study(logged, store), table)
    assert len(store.find_runs(None, kind="cross_validation")) == 2
    (job, *_) = store.find_runs(None, kind="cross_validation_job", method="extra_trees")
    assert rerun(job, store, ProgressCallback()).differing is None


def test_a_baseline_that_is_not_installed_is_left_out_with_a_note_and_refused_by_name(
    evaluation: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Noting(ProgressCallback):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    monkeypatch.setitem(sys.modules, "aeon", None)
    monkeypatch.setattr(extra_trees, "TREES", 5)
    Stub().stand_in(monkeypatch)
    methods, listener = {"forest": {"baseline": "random_forest"}}, Noting()
    table = evaluate_study(evaluation(seeds=[1], methods=methods, baselines="all"), store, listener)
    assert set(table["method"]) == {"forest", "extra_trees"}
    needs = "the package aeon, which pip install 'sslwear[baselines]' installs"
    assert listener.notes == [f"the baseline minirocket is left out: it needs {needs}"]
    named = {"a": {"baseline": "minirocket"}}
    for changes in ({"baselines": ["minirocket"]}, {"methods": named}):
        with pytest.raises(SettingsError, match=rf"evaluation\.\S+: the baseline minirocket needs {re.escape(needs)}"):
            evaluate_study(evaluation(**changes), store)


def test_pre_training_is_done_in_each_fold_without_those_who_are_tested_and_shared_by_methods(
    evaluation: Callable[..., Settings], store: Store
) -> None:
    methods = {"a": {"pretext": "reverse"}, "b": {"pretext": "reverse", "learning_rate": 1e-2}}
    evaluate_study(evaluation(seeds=[1], methods=methods), store)
    assert len(store.find_runs(None, kind="pretraining")) == 3
    for run in store.find_runs(None, kind="cross_validation_job"):
        origin = store.client.get_run(run.data.tags["sslwear.pretraining_run"])
        seen = {pid for side in ("train", "held_out") for pid in origin.data.params[f"{side}_participants"].split()}
        assert seen == set(run.data.params["train_participants"].split())


def test_pre_training_on_other_data_leaves_out_those_who_are_tested_in_each_fold(
    evaluation: Callable[..., Settings], store: Store, shards: Path
) -> None:
    top = {"pretraining": {"max_epochs": 1, "data": str(shards), "windows_per_participant": 12}}
    listener = Hearing()
    evaluate_study(evaluation(top, methods={"pre-trained": {"pretext": "reverse"}}, seeds=[1]), store, listener)
    assert [text for text in listener.warnings if "windows of 6 test participants (1, 2, 5, ...)" in text]
    for run in store.find_runs(None, kind="cross_validation_job"):
        origin = store.client.get_run(run.data.tags["sslwear.pretraining_run"])
        seen = {pid for side in ("train", "held_out") for pid in origin.data.params[f"{side}_participants"].split()}
        judged = {p for side in ("test", "validation") for p in run.data.params[f"{side}_participants"].split()}
        assert seen == {str(pid) for pid in open_shards(shards).participants} - judged
        assert origin.data.tags["sslwear.transductive"] == "false"


def test_the_page_of_an_evaluation_says_what_it_is_and_shows_what_came_of_it(
    evaluation: Callable[..., Settings], store: Store
) -> None:
    methods = {"head (slow)": {"learning_rate": 1e-4}, "head": {}, "head, slow": {"learning_rate": 2e-4}}
    methods["head slow: 2"] = {"learning_rate": 3e-4}
    table = evaluate_study(evaluation(methods=methods, seeds=[1]), store)
    (parent,) = store.find_runs(None, kind="cross_validation")
    kappa = table.groupby("method")["kappa"].mean()
    more = ("head slow: 2", "head slow: 2: 2")
    assert set(parent.data.metrics) == {
        f"{score}/{name}" for score in ("kappa", "f1") for name in ("head slow", "head", *more)
    }
    assert parent.data.metrics["kappa/head"] == pytest.approx(kappa["head"])
    assert parent.data.metrics["kappa/head slow"] == pytest.approx(kappa["head (slow)"])
    assert parent.data.metrics["kappa/head slow: 2"] == pytest.approx(kappa["head, slow"])
    assert parent.data.metrics["kappa/head slow: 2: 2"] == pytest.approx(kappa["head slow: 2"])
    note = parent.data.tags[NOTE]
    assert note.startswith("Compares 4 methods by k-fold cross-validation (3 folds), with 1 seed each.")
    assert f"| head (slow) | {kappa['head (slow)']:.3f} [" in note
    assert "participants.png" in {found.path for found in store.client.list_artifacts(parent.info.run_id)}
    page = store.client.get_experiment(parent.info.experiment_id).tags[NOTE]
    assert page.startswith("Comparison of methods with ")
    assert f"The run `{parent.info.run_name}` has the table" in page


def test_pre_training_on_those_who_are_tested_is_marked(
    evaluation: Callable[..., Settings], store: Store, shards: Path
) -> None:
    top = {"pretraining": {"max_epochs": 1, "data": str(shards), "windows_per_participant": 12}}
    methods = {"pre-trained": {"pretext": "reverse"}}
    table = evaluate_study(evaluation(top, methods=methods, seeds=[1], transductive=True), store)
    assert table["transductive"].all()
    (parent,) = store.find_runs(None, kind="cross_validation")
    for name in ("results.csv", "summary.csv"):
        assert pd.read_csv(StringIO(store.read_text(parent, name)))["transductive"].all()
    assert set(parent.data.metrics) == {"kappa/pre-trained transductive", "f1/pre-trained transductive"}
    for kind in ("cross_validation", "cross_validation_job"):
        for run in store.find_runs(None, kind=kind):
            assert run.data.tags["sslwear.transductive"] == "true"
            assert "transductive: pre-training used" in run.data.tags["mlflow.note.content"]
    (origin,) = store.find_runs(None, kind="pretraining")  # the same for all folds
    assert origin.data.tags["sslwear.transductive"] == "true"
    assert "(transductive)" in origin.data.tags["mlflow.note.content"]
    seen = {pid for side in ("train", "held_out") for pid in origin.data.params[f"{side}_participants"].split()}
    assert seen == {str(pid) for pid in open_shards(shards).participants}


def test_transductive_is_refused_where_nothing_is(
    evaluation: Callable[..., Settings], store: Store, shards: Path
) -> None:
    top = {"pretraining": {"max_epochs": 1, "data": str(shards)}}
    with pytest.raises(SettingsError, match="no method is pre-trained on windows of test participants"):
        evaluate_study(evaluation(top, transductive=True), store)


def test_weights_that_have_seen_those_who_are_tested_are_refused_or_marked(
    evaluation: Callable[..., Settings], make: Callable[..., Settings], store: Store
) -> None:
    run, _ = train_once(evaluation(), store)
    pretrained, _ = pretrain_once(make(training={"pretext": "reverse"}), store)
    after, _ = pretrain_once(make(weights=f"runs:/{run.id}", training={"pretext": "reverse"}), store)
    for origin, way_out in ((run.id, False), (pretrained, True), (after, False)):
        methods = {"head": {}, "own": {"weights": f"runs:/{origin}"}}
        with pytest.raises(
            LeakageError, match=f"weights: runs:/{origin} were trained on participant .* a test participant"
        ) as told:
            evaluate_study(evaluation(methods=methods), store)
        assert ("or set evaluation.transductive to true" in str(told.value)) == way_out
        if not way_out:
            with pytest.raises(LeakageError, match=f"weights: runs:/{origin} were trained on"):
                evaluate_study(evaluation(methods=methods, transductive=True), store)
    methods = {"head": {}, "own": {"weights": f"runs:/{pretrained}"}}
    assert evaluate_study(evaluation(methods=methods, seeds=[1], transductive=True), store)["transductive"].all()
    held_out = evaluate_study(evaluation(methods=methods, seeds=[1], protocol="hold_out"), store)
    used = store.client.get_run(held_out[held_out["method"] == "own"]["run_id"].iloc[0])
    assert used.data.params["weights"] == f"runs:/{pretrained}"


@pytest.fixture(scope="module")
def elsewhere(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same recordings under another source's name, so that they count as other people's."""
    folder = tmp_path_factory.mktemp("elsewhere") / "data"
    description = replace_source(small, "elsewhere")
    arrays = (np.array(small.windows), np.array(small.class_names)[small.labels], small.pid, small.start)
    write_dataset(folder, *arrays, description)
    return folder


def replace_source(dataset: Dataset, source: str) -> Description:
    return dataset.description.model_copy(update={"name": source, "source": source, "fingerprint": None})


def test_labels_that_were_learnt_elsewhere_are_marked_everywhere(
    evaluation: Callable[..., Settings], make: Callable[..., Settings], store: Store, elsewhere: Path
) -> None:
    run, _ = train_once(make(study="other", data=str(elsewhere), training={"tuning": "head", "max_epochs": 1}), store)
    without, _ = pretrain_once(make(study="other", data=str(elsewhere), training={"pretext": "reverse"}), store)
    methods = {
        "plain": {},
        "unsupervised": {"weights": f"runs:/{without}"},
        "weights": {"weights": f"runs:/{run.id}"},
        "task": {"pretext": "activities"},
        "best": {"select_on_validation": ["plain", "task"]},
    }
    top = {"pretraining": {"max_epochs": 1, "data": str(elsewhere), "windows_per_participant": 12}}
    table = evaluate_study(evaluation(top, methods=methods, seeds=[1]), store)
    marks = dict(zip(table["method"], table["supervised"], strict=True))
    assert marks == {"plain": "", "unsupervised": "", **dict.fromkeys(("weights", "task", "best"), "elsewhere")}
    for found in store.find_runs(None, kind="cross_validation_job"):
        method = found.data.tags["sslwear.method"]
        said = "supervised pre-training: the encoder was trained on the labels of elsewhere" in found.data.tags[NOTE]
        assert said == bool(marks[method])
    labels = {one.method: one.label for one in summaries(table)}
    assert labels["task"] == "task (supervised on elsewhere)"
    assert labels["plain"] == "plain"
    (parent,) = store.find_runs(None, kind="cross_validation")
    read = pd.read_csv(StringIO(store.read_text(parent, "results.csv")), keep_default_na=False)
    assert dict(zip(read["method"], read["supervised"], strict=True)) == marks


def test_windows_without_an_order_in_time_are_not_smoothed(evaluation: Callable[..., Settings], store: Store) -> None:
    with pytest.raises(DataError, match=r"The recordings were cut by their labels|too few for smoothing"):
        evaluate_study(evaluation(smoothing="hmm"), store)


def test_a_class_that_one_person_shows_is_missed_and_told_when_that_person_is_tested(
    evaluation: Callable[..., Settings], small: Dataset, store: Store, tmp_path: Path
) -> None:
    names = np.array(small.class_names)[small.labels].astype("U20")
    names[small.pid == SMALL_PARTICIPANTS[2]] = "sawing"
    description = small.description.model_copy(update={"fingerprint": None, "class_names": None})
    write_dataset(tmp_path / "data", np.array(small.windows), names, small.pid, small.start, description)

    listener = Hearing()
    top = {"data": str(tmp_path / "data")}
    settings = evaluation(top, protocol="leave_one_out", methods={"head": {}}, seeds=[1])
    table = evaluate_study(settings, store, listener)
    expected = "fold 3: no training participant has the class 'sawing', so it cannot be learnt"
    assert [text for text in listener.warnings if "the class" in text] == [
        f"{expected} and all its windows count as wrong"
    ]
    assert len(table) == len(SMALL_PARTICIPANTS)
    assert table[table["participant"] == "5"]["recall"].tolist() == [0]


def test_predictions_are_smoothed_with_what_others_than_those_tested_teach(
    evaluation: Callable[..., Settings],
    small: Dataset,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Windows as of one long recording a person; a baseline and a network err in every sixth of them."""
    start = np.concatenate([5.0 * np.arange((small.pid == pid).sum()) for pid in np.unique(small.pid)])
    names = np.array(small.class_names)[small.labels]
    description = small.description.model_copy(update={"fingerprint": None})
    order = np.argsort(small.pid, kind="stable")
    windows, pid = np.array(small.windows)[order], small.pid[order]
    write_dataset(tmp_path / "data", windows, names[order], pid, start, description)

    def erring(truth: NDArray[np.int64]) -> NDArray[np.int64]:
        predicted = truth.copy()
        predicted[2::6] = (predicted[2::6] + 1) % len(SMALL_CLASSES)
        return predicted

    def train(*args: Any, **named: Any) -> Any:
        result = real_train(*args, **named)
        predicted = erring(result.validation.truth)
        return replace(result, validation=replace(result.validation, predicted=predicted))

    def score(context: StudyContext, *_: Any) -> Any:
        return job_module.score_predictions(context, erring(context.windows(context.split.test).labels))

    real_train = job_module.train
    monkeypatch.setattr(job_module, "train", train)
    monkeypatch.setattr(job_module, "score_trained", score)
    Stub(lambda test: erring(test.labels)).stand_in(monkeypatch)
    accuracy = {}
    for smoothing in ("none", "hmm"):
        top = {"data": str(tmp_path / "data")}
        methods = {"forest": {"baseline": "random_forest"}, "head": {}}
        table = evaluate_study(evaluation(top, smoothing=smoothing, methods=methods, seeds=[1]), store)
        accuracy[smoothing] = table.groupby("method")["accuracy"].mean().to_dict()
    for method in methods:
        assert accuracy["none"][method] == pytest.approx(5 / 6, abs=0.02)
        assert accuracy["hmm"][method] > 0.97


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"a": {"tuning": "layer9"}}, "evaluation.methods.a.tuning"),
        ({"a": {"pretext": "nothing"}}, "evaluation.methods.a.pretext"),
        ({"a": {"weights": "nowhere.mdl"}}, "nowhere.mdl"),
    ],
)
def test_names_that_do_not_exist_are_refused_before_anything_starts(
    evaluation: Callable[..., Settings], store: Store, methods: dict[str, Any], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        evaluate_study(evaluation(methods={"head": {}, **methods}), store)
    assert store.find_runs(None, kind="cross_validation") == []


def test_a_study_that_was_not_evaluated_has_no_results(store: Store) -> None:
    with pytest.raises(
        StudyError, match=r"there is no study or evaluation 'tiny' in sqlite:.*mlflow\.db\. Check its name"
    ):
        results("tiny", store)
    store.experiment("tiny")
    with pytest.raises(StudyError, match=r"'tiny' was not evaluated yet\. Run sslwear evaluate with its file"):
        results("tiny", store)


def test_the_command_prints_a_row_a_method(
    content: dict[str, Any], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(store.home))
    file = tmp_path / "tiny.yaml"
    file.write_text(to_yaml(content))
    without = CliRunner().invoke(app, ["evaluate", str(file)])
    assert without.exit_code == 1
    assert "the study file of 'tiny' has no section evaluation. Add one" in without.stderr
    section = {"protocol": "k_fold", "folds": 2, "seeds": [1], "methods": METHODS, "baselines": "none"}
    file.write_text(to_yaml({**content, "evaluation": section}))
    done = CliRunner().invoke(app, ["evaluate", str(file), "--set", "training.max_epochs=1"])
    assert done.exit_code == 0, done.output
    assert "small, k-fold cross-validation: 6 test participants in 2 folds." in done.stdout
    assert "Scores are means over test participants. In brackets: 95 % bootstrap intervals." in done.stdout
    table, jobs = results("tiny", store), 2 * len(METHODS)
    mean = table[table["method"] == "head"]["kappa"].mean()
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("head ")]
    assert f" {mean:.3f} [" in row
    assert "Differences are in kappa from 'head' on the same participants" in done.stdout
    shown = CliRunner().invoke(app, ["study", "show", "tiny"])
    assert shown.exit_code == 0, shown.output
    assert "Evaluation of tiny: " in shown.stdout
    assert row in shown.stdout.splitlines()
    listed = CliRunner().invoke(app, ["study", "list"])
    means = table.groupby(["method", "participant"])["kappa"].mean().groupby("method").mean()
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("tiny ")]
    assert f"{jobs} of {jobs}" in line
    assert f" {means.max():.3f} " in line
    for job in store.find_runs(None, kind="cross_validation_job"):  # what the page of the evaluation sorts by
        mine = table[table["run_id"] == job.info.run_id]
        assert job.data.metrics["test_kappa"] == pytest.approx(mine["kappa"].mean())
        assert "pooled_test_kappa" in job.data.metrics
    found = find_evaluation("tiny", store)
    assert found is not None
    assert found.score == pytest.approx(means.max())
    assert means[found.best] == pytest.approx(means.max())
    store.client.delete_run(store.find_runs(None, kind="cross_validation_job")[0].info.run_id)
    found = find_evaluation("tiny", store)
    assert found is not None
    assert (found.methods, found.done, found.total, found.best) == (len(METHODS), jobs - 1, jobs, None)


def test_listeners_hear_of_every_part(evaluation: Callable[..., Settings], store: Store) -> None:
    class Heard(ProgressCallback):
        said: list[tuple[Any, ...]] = []  # noqa: RUF012

        def study(self, name: str, done: int, total: int) -> None:
            self.said.append((name, done, total))

        def ended(self, name: str, outcome: str, value: float | None) -> None:
            self.said.append((name, outcome))

    evaluate_study(evaluation(seeds=[1], methods={"head": {}}), store, Heard())
    jobs = [(f"head, fold {fold}, seed 1", "finished") for fold in (1, 2, 3)]
    assert Heard.said == [("tiny", 0, 3), *jobs]
