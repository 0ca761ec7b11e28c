"""Comparison of real studies, in Python and on the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.database.trials import SELECT, winner
from sslwear.studies.results.baseline import SCORES
from sslwear.studies.results.compare import Side, different_settings, find_run, groups, incomparable
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import HOME_VARIABLE, Store, participant_params
from tests.conftest import store_at
from tests.unit.studies.test_verdict import study


@pytest.fixture(scope="module")
def two(make: Callable[..., Settings], empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with two finished studies, for tests that leave it as it is."""
    home = tmp_path_factory.mktemp("two") / "mlruns"
    shutil.copytree(empty_home, home)
    store = store_at(home)
    short = {"tuning": "head", "learning_rate": 1e-3, "batch_size": 32, "max_epochs": 1}
    masks = {"tuning": ["head", "layer5"], "learning_rate": {"low": 1e-3, "high": 1e-2}}
    run_study(make(training=short, search=masks), store, ProgressCallback())
    other = make(study="other", trials=2, objective="f1", training=short, search=masks, split={"validation_seed": 3})
    run_study(other, store, ProgressCallback())
    return store


@pytest.fixture
def call(two: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv(HOME_VARIABLE, str(two.home))
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def sides(store: Store) -> tuple[Side, Side]:
    return Side(find_study("tiny", store), store), Side(find_study("other", store), store)


def test_studies_are_listed_with_their_numbers_of_trials(call: Callable[..., Any], two: Store) -> None:
    result = call("study", "list")
    assert result.exit_code == 0, result.output
    best = winner(find_study("tiny", two))
    assert best is not None
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert "3 of 3" in rows["tiny"]
    assert f"{best.value:.3f}" in rows["tiny"]
    assert "2 of 2" in rows["other"]
    assert " f1 " in rows["other"]


def test_a_store_without_studies_says_how_to_start(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    result = CliRunner().invoke(app, ["study", "list"])
    assert result.exit_code == 0
    assert "There is no study" in result.stdout


def test_what_differs_between_two_studies_and_why_their_scores_cannot_be_compared(two: Store) -> None:
    left, right = sides(two)
    differing = {row.name: (row.left, row.right) for row in different_settings(left, right)}
    assert differing["objective"] == ("kappa", "f1")
    assert differing["trials"] == (3, 2)
    assert differing["split.validation_seed"] == (41, 3)
    assert "study" not in differing
    reasons = incomparable(left, right)
    mine, theirs = (set(side.params["validation_participants"].split()) for side in (left, right))
    assert mine != theirs
    only = {"tiny": mine - theirs, "other": theirs - mine}
    expected = " and ".join(f"only {name} has {' '.join(sorted(who))}" for name, who in only.items() if who)
    assert f"the validation participants differ: {expected}" in reasons
    assert "the objectives differ: kappa and f1" in reasons
    assert not any("fingerprint" in reason for reason in reasons)


def test_settings_that_a_later_command_changed_are_those_of_now(two: Store) -> None:
    made = study(trials=2, select="best")
    made.set_user_attr(SELECT, "simplest")
    made.set_user_attr(SCORES, {"name": "random_forest", "scores": {}, "test": {}})
    now = Side(made, two).settings
    assert (now.trials, now.select, now.baseline) == (3, "simplest", "random_forest")


def test_people_in_another_order_are_the_same_people_and_repeats_are_told(two: Store) -> None:
    class Judged(Side):
        who = "4 6 10"

        @property
        def params(self) -> Mapping[str, str]:
            return {**super().params, "validation_participants": self.who}

    class Reversed(Judged):
        who = "10 6 4"

    study = sides(two)[0].study
    left, same = Judged(study, two), Reversed(study, two)
    assert incomparable(left, same) == []
    for side, repeats in ((left, 1), (same, 2)):
        split = side.settings.split.model_copy(update={"folds": 3, "repeats": repeats})
        side.__dict__["settings"] = side.settings.model_copy(update={"split": split})
    assert incomparable(left, same) == ["the folds differ: split.folds is 3 (split.repeats 1) and 3 (split.repeats 2)"]
    cut = "the folds are cut differently: split.validation_seed is 41 and 3"
    for folds, reasons in ((3, [cut]), ("participants", [])):  # one fold a participant needs no draw
        for side, seed in ((left, 41), (same, 3)):
            split = side.settings.split.model_copy(update={"folds": folds, "repeats": 1, "validation_seed": seed})
            side.__dict__["settings"] = side.settings.model_copy(update={"split": split})
        assert incomparable(left, same) == reasons


def test_long_lists_of_participants_are_not_taken_for_a_deleted_run(two: Store) -> None:
    class Many(Side):
        @property
        def params(self) -> Mapping[str, str]:
            return {**super().params, **participant_params(validation=range(10_000))}

    left, right = sides(two)
    (reason,) = (one for one in incomparable(Many(left.study, two), right) if "validation" in one)
    assert "only tiny has participants by split seeds" in reason
    assert "(the list in its run is cut off)" in reason
    assert "deleted" not in reason


def test_studies_of_different_data_are_not_comparable(two: Store) -> None:
    left, _ = sides(two)
    copied = optuna.create_study(study_name="moved")
    for key, value in {**left.study.user_attrs, "fingerprint": "0123456789abcdef"}.items():
        copied.set_user_attr(key, value)
    (reason,) = incomparable(left, Side(copied, two))
    assert reason.startswith("the data differ: fingerprint ")
    assert reason.endswith(" and 0123456789ab")


def test_scores_are_grouped_by_tuning_strategy_and_pretext_task(two: Store) -> None:
    left, right = sides(two)
    found = {row.name: (row.left, row.right) for row in groups(left, right, "kappa", "tuning")}
    values: dict[str, list[float]] = {}
    for trial in left.study.trials:
        values.setdefault(trial.params["tuning"], []).append(trial.value or 0.0)
    assert {name: pair[0] for name, pair in found.items() if pair[0]} == {
        name: (max(mine), median(mine), len(mine)) for name, mine in values.items()
    }
    f1 = {row.name: row.right for row in groups(left, right, "f1", "pretext")}
    assert f1["none"][0] == winner(right.study).value  # type: ignore[union-attr]
    assert f1["none"][2] == 2


def test_the_command_says_why_scores_are_not_comparable_and_shows_the_best_trials(
    call: Callable[..., Any], two: Store
) -> None:
    result = call("study", "compare", "tiny", "other")
    assert result.exit_code == 0, result.output
    assert "The scores of tiny and other are not comparable: the validation participants differ" in result.stdout
    tests = [find_study(name, two).user_attrs["tested"] for name in ("tiny", "other")]
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("test kappa, mean over participants ")]
    assert row.split()[5:] == [f"{next(iter(scores.values()))['kappa']:.3f}" for scores in tests]
    same = call("study", "compare", "tiny", "tiny")
    assert "The scores of tiny and tiny are comparable" in same.stdout
    assert "The settings are the same." in same.stdout


@pytest.mark.parametrize(
    ("prefix", "words"),
    [("f" * 32, "there is no run 'ffff"), ("f" * 31, "there is no run 'ffff"), ("xyz", "'xyz' is not the id of a run")],
)
def test_a_run_that_does_not_exist_is_one_sentence(
    call: Callable[..., Any], two: Store, prefix: str, words: str
) -> None:
    result = call("rerun", prefix)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_beginning_that_several_runs_share_lists_them(two: Store) -> None:
    by_letter: dict[str, int] = {}
    for run in two.client.search_runs([two.experiment("tiny"), two.experiment("other")]):
        by_letter[run.info.run_id[0]] = by_letter.get(run.info.run_id[0], 0) + 1
    shared = [letter for letter, count in by_letter.items() if count > 1]
    if not shared:
        pytest.skip("by chance all run ids of this store start with different letters")
    with pytest.raises(
        StudyError, match=f"{by_letter[shared[0]]} runs have ids that start with '{shared[0]}': .* Give more letters"
    ):
        find_run(shared[0], two)


def test_showing_a_study_says_what_is_running_and_why_a_trial_failed(
    call: Callable[..., Any], two: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "mlruns"
    shutil.copytree(two.home, home)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    study = find_study("tiny", store_at(home))
    for error in ("RuntimeError: out of memory", None):
        trial = study.ask()
        trial.set_user_attr("settings", study.trials[0].user_attrs["settings"])
        trial.set_user_attr("host", "lab-3")
        trial.report(0.1, 1)
        if error is not None:
            trial.set_user_attr("error", error)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    shown = call("study", "show", "tiny").stdout
    assert "Failed: trial 3 (head): RuntimeError: out of memory." in shown
    assert "Running: trial 4 (head) on lab-3, 1 epoch so far." in shown
