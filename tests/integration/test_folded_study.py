"""A study that judges its trials in folds, and a search inside of an evaluation's folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings
from sslwear.data.arrays import write_dataset
from sslwear.data.dataset import Dataset
from sslwear.studies.database.optuna_storage import all_studies
from sslwear.studies.database.trials import PEOPLE, winner
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.evaluations.plan import CrossValidationPlan
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.results.verdict import estimate, report
from sslwear.studies.search import search_trial
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.judgement import is_worse
from sslwear.tracking import HOME_VARIABLE, Store
from tests.integration.conftest import Interrupting

QUIET = ProgressCallback()
SHORT = {"tuning": "head", "learning_rate": 1e-2, "batch_size": 32, "max_epochs": 2}
WATCH = {"data": "smartwatch", "encoder": "cnn10"}
"""Ten participants, enough for intervals and for ending a trial after a fold."""
SEARCH = {"tuning": ["head", "layer5"]}
CHANCE = 0.1
"""Bound on the kappa of shuffled labels: five standard deviations (0.02) over nine ways to shuffle them."""


@pytest.fixture
def folded(make: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings of a small study in folds."""
    content: Mapping[str, Any] = {"encoder": "cnn5", "split": {"folds": 3}, "training": SHORT, "search": SEARCH}
    content = {**content, "sampler": {"name": "grid"}}
    return lambda **changes: make(**{**content, "trials": 2, **changes})


@pytest.mark.usefixtures("drawn")
def test_each_participant_judges_every_trial_and_repeats_to_the_bit(
    folded: Callable[..., Settings], store: Store, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    study = run_study(folded(), store, QUIET)
    tested = set(map(str, StudyContext.open(folded(), store).split.test))
    judged = set(map(str, small.participants)) - tested
    for trial in study.trials:
        assert set(trial.user_attrs[PEOPLE]) <= judged
        assert trial.value == pytest.approx(np.mean(list(trial.user_attrs[PEOPLE].values())))
    found = report(study)
    assert "in 3 folds" in found.judged
    out = store.home.parent / "report"
    assert CliRunner().invoke(app, ["study", "report", "tiny", "--out", str(out)]).exit_code == 0
    assert f"Trial {found.winner}" in (out / "study.html").read_text()
    marks = {run.data.tags["sslwear.like_best"] for run in store.find_runs(store.experiment("tiny"), kind="trial")}
    assert marks == {"selected", "yes"}  # the participants are too few to tell trials apart
    for kind in ("trial", "winner"):
        for run in store.find_runs(store.experiment("tiny"), kind=kind, outcome="finished"):
            assert rerun(run, store, QUIET).differing is None


def test_selecting_an_earlier_winner_again_updates_the_studys_run(
    folded: Callable[..., Settings], store: Store
) -> None:
    """Both trials are tested by then, so that nothing is left to do but to tell of the other one."""
    told, training = [], {**SHORT, "learning_rate": 3e-2, "max_epochs": 3}
    for select in ("best", "simplest", "best"):
        study = run_study(folded(select=select, training=training), store, QUIET)
        (run,) = store.find_runs(store.experiment("tiny"), kind="study")
        best = winner(study)
        assert best is not None
        assert run.data.tags["sslwear.best_trial"] == str(best.number)
        assert f"Trial {best.number} is selected" in run.data.tags["mlflow.note.content"]
        assert run.data.metrics["test_f1"] == study.user_attrs["tested"][str(best.number)]["f1"]
        told.append(best.number)
    assert told[0] != told[1]


def test_another_way_to_select_is_told_where_it_selects_the_same_trial(
    folded: Callable[..., Settings], store: Store
) -> None:
    notes = []
    for select in ("best", "simplest"):
        run_study(folded(select=select, trials=1), store, QUIET)
        (run,) = store.find_runs(store.experiment("tiny"), kind="study")
        notes.append(run.data.tags["mlflow.note.content"])
    assert "because it has the best mean" in notes[0]
    assert "because no other one has finished" in notes[1]


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


def test_a_search_on_shuffled_labels_has_an_estimate_around_zero(
    folded: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, around = Store.open_dataset, []
    training = {**SHORT, "tuning": "all", "max_epochs": 3}
    for seed in (0, 1):  # 1 in 20 intervals does not hold 0, and rounding on another machine is another draw

        def shuffled(self: Store, place: str, seed: int = seed) -> Dataset:
            data, rng = real(self, place), np.random.default_rng(seed)
            labels = np.array(data.labels)
            for participant in np.unique(data.pid):
                mine = np.flatnonzero(data.pid == participant)
                labels[mine] = labels[rng.permutation(mine)]
            return replace(data, labels=labels)

        monkeypatch.setattr(Store, "open_dataset", shuffled)
        given = {"study": f"shuffled{seed}", "search": {"learning_rate": [1e-2, 3e-3]}, "split": {"folds": 4}}
        found = estimate(run_study(folded(**WATCH, training=training, **given), store, QUIET))
        assert found is not None
        assert found.known
        assert abs(found.mean) < CHANCE
        around.append(found.low <= 0 <= found.high)
    assert any(around)


def test_a_pruned_trial_has_no_score_that_could_be_taken_for_one_of_all_folds(
    folded: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_trial, "is_worse", lambda scores, best, p_value: len(scores) < len(best))
    changes = {"pruner": {"name": "folds"}, "split": {"folds": "participants"}, "training": {**SHORT, "max_epochs": 1}}
    study = run_study(folded(**WATCH, **changes), store, QUIET)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]
    assert len(study.trials[1].user_attrs[PEOPLE]) == 5
    finished, pruned = reversed(store.find_runs(store.experiment("tiny"), kind="trial"))
    assert "kappa" in finished.data.metrics
    assert "kappa" not in pruned.data.metrics
    assert pruned.data.metrics["folds_done"] == 5
    assert "after 5 folds it was worse than trial 0" in pruned.data.tags["mlflow.note.content"]
    assert rerun(pruned, store, QUIET).differing is None


def test_a_method_that_searches_has_a_study_in_each_fold(folded: Callable[..., Settings], store: Store) -> None:
    methods = {"defaults": {}, "search": {"search": SEARCH, "trials": 2}}
    settings = folded(evaluation={"folds": 2, "methods": methods, "baselines": "none"}, split={"folds": 2}, search={})
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


@pytest.fixture
def elsewhere(small: Dataset, tmp_path: Path) -> str:
    """Folder of a data set of another source, to pre-train on."""
    description = small.description.model_copy(update={"name": "other", "source": "other", "fingerprint": None})
    names = np.array(small.class_names)[small.labels]
    write_dataset(tmp_path / "other", np.array(small.windows), names, small.pid, small.start, description)
    return str(tmp_path / "other")


@pytest.fixture
def searching(folded: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings of an evaluation with a method that searches."""

    def settings(search: Mapping[str, Any] = SEARCH, **changes: Any) -> Settings:
        methods = {"search": {"search": search, "trials": 2}}
        evaluation = {"folds": 2, "methods": methods, "baselines": "none"}
        return folded(**{"evaluation": evaluation, "split": {"folds": 2}, "search": {}, **changes})

    return settings


def test_an_interrupted_search_of_a_method_goes_on(searching: Callable[..., Settings], store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate_study(searching(), store, Interrupting(3))  # in the second trial of the first fold
    first = {run.info.run_id for run in store.find_runs(store.experiment("tiny"), kind="trial", outcome="finished")}
    assert len(first) == 1
    found = evaluate_study(searching(), store, QUIET)
    ended = [run.info.run_id for run in store.find_runs(store.experiment("tiny"), kind="trial", outcome="finished")]
    assert len(ended) == 4
    assert first < set(ended)
    whole = evaluate_study(searching(study="whole"), store, QUIET)
    assert found.drop(columns="run_id").equals(whole.drop(columns="run_id"))


def test_labels_of_outer_test_participants_change_no_estimate_of_a_search(
    searching: Callable[..., Settings], store: Store, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimates(name: str) -> dict[str, float]:
        evaluate_study(searching(study=name, evaluation=evaluation), store, QUIET)
        (job,) = store.find_runs(store.experiment(name), kind="cross_validation_job")
        return {key: job.data.metrics[key] for key in ("estimate", "best_kappa", "test_kappa")}

    methods = {"search": {"search": {"tuning": ["all", "head"]}, "trials": 2, "max_epochs": 6}}
    evaluation = {"protocol": "hold_out", "methods": methods, "baselines": "none"}
    before, real = estimates("before"), Store.open_dataset
    tested = StudyContext.open(searching(), store).split.test

    def swapped(self: Store, place: str) -> Dataset:
        data = real(self, place)
        labels = np.array(data.labels)
        mine = np.isin(data.pid, tested)
        labels[mine] = (labels[mine] + 1) % len(data.class_names)
        return replace(data, labels=labels)

    monkeypatch.setattr(Store, "open_dataset", swapped)
    after = estimates("after")
    assert (after["estimate"], after["best_kappa"]) == (before["estimate"], before["best_kappa"])
    assert after["test_kappa"] != before["test_kappa"]


@pytest.mark.parametrize("changes", [{"max_epochs": 3}, {"learning_rate": 0.1}])
def test_what_a_searched_pretext_task_depends_on_is_in_the_key_of_the_method(
    searching: Callable[..., Settings], store: Store, elsewhere: str, changes: dict[str, float]
) -> None:
    def keys(pretexts: list[str], **pretraining: float) -> list[str]:
        given = {"data": elsewhere, "max_epochs": 1, **pretraining}
        settings = searching({**SEARCH, "pretext": pretexts}, pretraining=given)
        return [job.key for job in CrossValidationPlan.build(settings, store).jobs]

    assert keys(["none", "reverse"]) != keys(["none", "reverse"], **changes)
    assert keys(["none"]) == keys(["none"], **changes)


def test_a_method_that_may_search_for_a_supervised_pre_training_is_marked(
    searching: Callable[..., Settings], store: Store, elsewhere: str
) -> None:
    for pretexts, marks in ((["none", "activities"], ("other",)), (["none", "reverse"], ())):
        settings = searching({**SEARCH, "pretext": pretexts}, pretraining={"data": elsewhere})
        assert {job.method.supervised for job in CrossValidationPlan.build(settings, store).jobs} == {marks}


def test_a_comparison_of_searched_and_other_methods_without_refit_is_warned_about(
    folded: Callable[..., Settings], store: Store
) -> None:
    methods = {"defaults": {}, "search": {"search": SEARCH, "trials": 2}}
    for refit in (False, True):
        evaluation = {"folds": 2, "methods": methods, "baselines": "none", "refit": refit}
        warnings = CrossValidationPlan.build(folded(evaluation=evaluation, search={}), store).warnings()
        assert any("Set evaluation.refit: true" in warning for warning in warnings) is not refit


def test_one_pre_training_on_data_of_another_source_serves_all_folds(
    folded: Callable[..., Settings], store: Store, elsewhere: str
) -> None:
    pretraining = {"data": elsewhere, "windows_per_participant": 4, "max_epochs": 1, "patience": 1}
    run_study(folded(search={"tuning": ["head"], "pretext": ["reverse"]}, pretraining=pretraining), store, QUIET)
    assert len(store.find_runs(store.experiment("tiny"), kind="pretraining")) == 1


def test_the_run_of_a_trial_names_the_pre_training_of_its_first_fold(
    folded: Callable[..., Settings], store: Store
) -> None:
    """Idle cores make further folds ahead, and so more of them in a trial that is pruned."""
    settings = folded(search={"tuning": ["head"], "pretext": ["reverse"]}, pretraining={"max_epochs": 1, "patience": 1})
    run_study(settings, store, QUIET)
    (trial,) = store.find_runs(store.experiment("tiny"), kind="trial")
    params = store.client.get_run(trial.data.tags["sslwear.pretraining_run"]).data.params
    learnt_from = [*params["train_participants"].split(), *params["held_out_participants"].split()]
    assert sorted(learnt_from) == sorted(map(str, StudyContext.open(settings, store).folds[0].train))


def test_participants_with_equal_scores_do_not_make_a_trial_worse() -> None:
    scores = {str(i): 0.5 - 0.1 * (i < 4) * (i + 1) for i in range(14)}
    assert not is_worse(scores, dict.fromkeys(scores, 0.5), 0.05)  # the exact p-value of four pairs is 1/16
    assert is_worse(scores, dict.fromkeys(scores, 0.5), 0.07)


def test_a_trial_is_worse_if_most_participants_say_so() -> None:
    best = {str(i): 0.8 for i in range(6)}
    assert is_worse({str(i): 0.6 + i / 100 for i in range(6)}, best, 0.1)
    assert not is_worse({str(i): 0.6 + i / 100 for i in range(6)}, best, 0)
    assert not is_worse({str(i): 0.9 for i in range(6)}, best, 0.1)
    assert not is_worse({"0": 0.1, "1": 0.1}, best, 0.1)  # two participants are too few
    assert not is_worse(dict(best), best, 0.1)
    tied = {"0": 0.7, "1": 0.6, "2": 0.9, "3": 0.5, "4": 0.8, "5": 0.4}  # each lower by 0.1, but 5 higher by 0.1
    above = {"0": 0.8, "1": 0.7, "2": 1.0, "3": 0.6, "4": 0.9, "5": 0.3}
    assert is_worse(tied, above, 7 / 64 + 0.001)
    assert not is_worse(tied, above, 7 / 64 - 0.001)  # all ranks are equal: 7 of 64 signs have one plus or none
