"""A study's budget: cheap trials first, nothing computed twice, losing trials ended early."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import torch
from optuna.trial import TrialState

from sslwear.config import Settings
from sslwear.encoders.cnn import Cnn5
from sslwear.studies.database.failures import interrupted_trials
from sslwear.studies.search.first_trials import first_trials
from sslwear.studies.search.optimise import run_study
from sslwear.studies.search.sampling import pruner
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial import judging, pretraining
from sslwear.studies.trial.single_run import pretrain_once
from sslwear.tracking import Store
from sslwear.tracking.checkpoints import load_weights
from sslwear.training import threads
from tests.commands import CONTEXT
from tests.integration.conftest import Interrupting, statuses

QUIET = ProgressCallback()
MASKS = {"tuning": ["all", "head", "layer5", "layer1", "layer3-4"]}


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str = "fit") -> list[Any]:
    """Calls of a module's function from here on."""
    calls: list[Any] = []
    real = getattr(module, name)

    def count(*args: Any, **named: Any) -> Any:
        calls.append(args)
        return real(*args, **named)

    monkeypatch.setattr(module, name, count)
    return calls


def test_the_first_trials_are_the_files_own_and_then_the_cheapest_first(
    make: Callable[..., Settings], store: Store
) -> None:
    settings = make(search={**MASKS, "pretext": ["none", "reverse"]}, sampler={"startup_trials": 12})
    proposed = first_trials(StudyContext.open(settings, store))
    assert 8 <= len(proposed) == len({tuple(params.values()) for params in proposed})
    assert proposed[0] == {"tuning": "head", "pretext": "none"}
    cost = {"head": 0, "layer5": 1, "layer3-4": 3, "layer1": 5, "all": 5}
    costs = [(cost[params["tuning"]], params["pretext"] != "none") for params in proposed[1:]]
    assert costs == sorted(costs)
    assert len(set(costs)) > 3
    assert proposed == first_trials(StudyContext.open(settings, store))


def test_a_study_runs_its_first_trials_in_that_order_also_when_it_is_interrupted(
    make: Callable[..., Settings], store: Store
) -> None:
    training = {"tuning": "head", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 1}
    settings = make(search=MASKS, training=training, sampler={"startup_trials": 3})
    expected = first_trials(StudyContext.open(settings, store))
    with pytest.raises(KeyboardInterrupt):
        run_study(settings, store, Interrupting(2))
    study = run_study(settings, store, QUIET)
    interrupted = interrupted_trials(study)
    assert len(interrupted) == 1
    assert [t.params for t in study.trials if t.number not in interrupted] == expected


def test_without_first_trials_the_sampler_proposes_all(make: Callable[..., Settings], store: Store) -> None:
    training = {"tuning": "layer2", "max_epochs": 1}  # not in the search space
    study = run_study(make(training=training, sampler={"startup_trials": 0}, trials=2), store, QUIET)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 2


def test_a_trial_that_was_there_before_is_answered_from_its_first_result(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, judging, "fit_folds")
    study = run_study(make(search={"tuning": ["head", "layer5"]}, trials=5), store, QUIET)
    assert len(calls) == 2
    assert len(study.trials) == 5
    runs = {run.info.run_id: run for run in store.find_runs(store.experiment("tiny"), kind="trial")}
    first: dict[str, optuna.trial.FrozenTrial] = {}
    for frozen in study.trials:
        earlier = first.setdefault(frozen.params["tuning"], frozen)
        run = runs[frozen.user_attrs["run_id"]]
        assert run.info.status == "FINISHED"
        assert frozen.value == earlier.value == run.data.metrics["kappa"]
        assert frozen.intermediate_values == earlier.intermediate_values
        if frozen is not earlier:
            assert frozen.user_attrs["duplicate_of"] == earlier.number
            assert run.data.tags["sslwear.duplicate_of"] == earlier.user_attrs["run_id"]
            assert run.data.params == runs[earlier.user_attrs["run_id"]].data.params
    assert set(study.user_attrs["tested"]) <= {str(frozen.number) for frozen in first.values()}


def test_a_repeated_trial_that_was_pruned_is_pruned_again_without_a_run_of_it(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, judging, "fit_folds")
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda self: self.params["tuning"] == "layer5")
    study = run_study(make(search={"tuning": ["head", "layer5"]}, trials=6), store, QUIET)
    assert len(calls) == 2
    states = {t.params["tuning"]: set() for t in study.trials}
    for frozen in study.trials:
        states[frozen.params["tuning"]].add(frozen.state)
    assert states == {"head": {TrialState.COMPLETE}, "layer5": {TrialState.PRUNED}}
    assert set(statuses(store)["trial"]) == {"FINISHED", "KILLED"}


def test_pre_training_is_shared_by_studies_that_ask_for_the_same(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, pretraining)
    training = {"tuning": "head", "max_epochs": 1, "pretext": "reverse"}
    first, _ = pretrain_once(make(study="one", training=training), store, QUIET)
    again, _ = pretrain_once(make(study="two", training={**training, "learning_rate": 1e-2}), store, QUIET)
    assert first == again
    assert len(calls) == 1
    other, _ = pretrain_once(make(study="two", training=training, pretraining={"max_epochs": 2}), store, QUIET)
    assert other != first
    assert len(calls) == 2


def test_pre_training_on_other_windows_is_another(make: Callable[..., Settings], store: Store) -> None:
    training = {"tuning": "head", "pretext": "reverse"}
    keys = {
        pretraining.setting_key(StudyContext.open(make(training=training, **changes), store), pretext)
        for changes in ({}, {"include_nonwear": True}, {"seed": 1})
        for pretext in ("reverse", "permutation")
    }
    assert len(keys) == 6


def test_pre_training_whose_checkpoint_is_gone_is_done_again(make: Callable[..., Settings], store: Store) -> None:
    settings = make(training={"tuning": "head", "max_epochs": 1, "pretext": "reverse"})
    first, _ = pretrain_once(settings, store, QUIET)
    shutil.rmtree(store.home / "artifacts" / "tiny")
    again, _ = pretrain_once(settings, store, QUIET)
    assert first != again
    assert load_weights(store, f"runs:/{again}")


def _pretrain(settings: Settings, store: Store) -> str:
    return pretrain_once(settings, store, QUIET)[0]


def test_of_processes_that_want_the_same_pre_training_one_does_it(make: Callable[..., Settings], store: Store) -> None:
    training = {"tuning": "head", "max_epochs": 1, "pretext": "reverse"}
    asked = [(make(study=name, training=training, threads=1), store) for name in ("one", "two")]
    with CONTEXT.Pool(2) as pool:
        first, second = pool.starmap(_pretrain, asked)
    assert first == second


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("median", optuna.pruners.MedianPruner),
        ("halving", optuna.pruners.SuccessiveHalvingPruner),
        ("hyperband", optuna.pruners.HyperbandPruner),
        ("none", optuna.pruners.NopPruner),
    ],
)
def test_the_pruner_is_the_one_that_is_asked_for(make: Callable[..., Settings], name: str, kind: type) -> None:
    assert isinstance(pruner(make(pruner={"name": name, "warmup_epochs": 0})), kind)


@pytest.mark.parametrize("name", ["halving", "hyperband"])
def test_halving_ends_most_trials_early_and_leaves_warm_up_epochs_alone(
    make: Callable[..., Settings], store: Store, name: str
) -> None:
    training = {"tuning": "layer5", "learning_rate": 3e-3, "batch_size": 32, "max_epochs": 4, "patience": 4}
    search = {"learning_rate": {"low": 1e-9, "high": 3e-3}}
    chosen = {"name": name, "warmup_epochs": 1, "reduction_factor": 2}
    study = run_study(make(training=training, search=search, pruner=chosen, trials=6), store, QUIET)
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED]
    assert pruned
    assert any(t.state == TrialState.COMPLETE for t in study.trials)
    for t in pruned:
        assert len(t.intermediate_values) >= 2


def test_cores_that_this_process_may_not_use_are_refused(make: Callable[..., Settings], store: Store) -> None:
    from sslwear.errors import SettingsError

    with pytest.raises(SettingsError, match=r"threads: 100000 is more than the \d+ cores"):
        StudyContext.open(make(threads=100000), store)


def test_runs_say_on_how_many_cores_they_were_computed(make: Callable[..., Settings], store: Store) -> None:
    run_study(make(trials=1, threads=1), store, QUIET)
    (run,) = store.find_runs(store.experiment("tiny"), kind="trial")
    assert run.data.params["threads"] == "1"
    assert run.data.params["learning_parameters/layer1"] == "0"
    assert not [name for name in run.data.metrics if name.startswith("learning_parameters/")]
    assert run.data.metrics["learning_rate/head"] == pytest.approx(1e-3)


def test_what_learnt_is_logged_again_when_it_changes(make: Callable[..., Settings], store: Store) -> None:
    training = {"tuning": "gradual(2)", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 5}
    run_study(make(trials=1, training=training, search={}), store, QUIET)
    (run,) = store.find_runs(store.experiment("tiny"), kind="trial")
    history = store.client.get_metric_history(run.info.run_id, "learning_parameters/layer5")
    assert run.data.params["learning_parameters/layer5"] == "0"
    assert [(metric.step, metric.value > 0) for metric in history] == [(3, True), (5, True)]
    rates = store.client.get_metric_history(run.info.run_id, "learning_rate/head")
    assert {metric.value for metric in rates} == {1e-3}


def test_the_rates_of_single_tensors_are_kept(make: Callable[..., Settings], store: Store) -> None:
    training = {"tuning": "auto_rgn", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 2}
    run_study(make(trials=1, training=training, search={}), store, QUIET)
    (run,) = store.find_runs(store.experiment("tiny"), kind="trial")
    table = pd.read_csv(store.client.download_artifacts(run.info.run_id, "learning_rates.csv"))
    assert set(table.epoch) == {1, 2}
    assert set(table.part) == {*Cnn5.block_names(), "head"}
    assert table.learning_rate.max() == pytest.approx(1e-3)
    assert len(table) == 2 * 22  # tensors of the network


def test_the_store_keeps_what_frozen_blocks_gave(make: Callable[..., Settings], store: Store) -> None:
    run_study(make(trials=1), store, QUIET)
    kept: list[Path] = list((store.home / "cache" / "features").glob("*.npy"))
    assert len(kept) == 1  # of all windows, for training, validation, the winner and the test


def test_the_number_of_threads_follows_the_idle_cores_at_each_run(
    make: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    try:
        monkeypatch.setattr(threads, "idle_cores", lambda: 2)
        context, fixed = StudyContext.open(make(), store), StudyContext.open(make(threads=1), store)
        assert context.for_run() is context
        assert context.threads == 2
        monkeypatch.setattr(threads, "idle_cores", lambda: 3)
        later = context.for_run()
        assert later.runtime_params()["threads"] == later.fit_settings(later.settings.training).threads == 3
        assert torch.get_num_threads() == 3
        assert fixed.for_run() is fixed
    finally:
        torch.set_num_threads(before)
