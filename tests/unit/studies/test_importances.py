"""Importances are given where they mean something, with their intervals."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from sslwear.evaluation.intervals import Interval
from sslwear.studies.results import importances as module
from sslwear.studies.results.importances import importances

CHOICES: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "pretext": CategoricalDistribution(["none", "reverse", "permutation"]),
}
LENGTH = {"pretraining.epochs": FloatDistribution(1, 9)}


def study(trials: int, effect: float, seed: int = 0, directions: int = 1) -> optuna.Study:
    """A study in memory in which one pretext task is better by an effect; the noise has a standard deviation of 1."""
    rng = np.random.default_rng(seed)
    made = optuna.create_study(directions=["maximize", "minimize"][:directions])
    for _ in range(trials):
        pretext = str(rng.choice(["none", "reverse", "permutation"]))
        params = {"learning_rate": float(10 ** rng.uniform(-5, -1)), "pretext": pretext}
        given = CHOICES
        if pretext != "none":  # a setting that only some trials have
            params["pretraining.epochs"], given = float(rng.uniform(1, 9)), {**CHOICES, **LENGTH}
        values = [float(rng.normal() + effect * (pretext == "permutation")), 1.0][:directions]
        made.add_trial(optuna.trial.create_trial(values=values, params=params, distributions=given))
    return made


def test_shares_add_up_to_one_and_the_largest_is_first() -> None:
    found = importances(study(30, effect=4))
    assert list(found) == ["pretext", "learning_rate"]  # not the setting that only some trials have
    assert sum(one.mean for one in found.values()) == pytest.approx(1)
    for one in found.values():
        assert 0 <= one.low <= one.mean <= one.high <= 1
        assert one.low < one.high
        assert one.participants == 30
    assert found["pretext"].low > found["learning_rate"].high


def test_the_same_study_has_the_same_importances_and_the_second_objective_none() -> None:
    found = importances(study(24, effect=4))
    assert found
    assert importances(study(24, effect=4)) == found
    assert importances(study(24, effect=4, directions=2)) == found


def test_more_trials_make_intervals_narrower() -> None:
    few, many = (importances(study(trials, effect=3))["pretext"] for trials in (20, 80))
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(("trials", "known"), [(0, False), (1, False), (19, False), (20, True)])
def test_few_trials_have_none(trials: int, known: bool) -> None:
    assert bool(importances(study(trials, effect=5))) == known


def test_each_setting_needs_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(24, effect=5)
    assert importances(made)
    monkeypatch.setattr(module, "FOR_EACH", 13)
    assert importances(made) == {}


def test_random_or_equal_scores_have_none() -> None:
    found = [bool(importances(study(60, effect=0, seed=seed))) for seed in range(6)]
    assert sum(found) <= 1
    equal = optuna.create_study(direction="maximize")
    for trial in study(24, effect=5).trials:
        given = {"params": trial.params, "distributions": trial.distributions}
        equal.add_trial(optuna.trial.create_trial(value=0.5, **given))
    assert importances(equal) == {}


def test_trials_that_repeat_others_make_no_scores_predictable() -> None:
    made, rng = optuna.create_study(direction="maximize"), np.random.default_rng(0)
    given = {"learning_rate": CategoricalDistribution([1e-4, 1e-3, 1e-2]), "pretext": CHOICES["pretext"]}
    known: dict[tuple[float, str], float] = {}
    for _ in range(60):
        rate, task = float(rng.choice([1e-4, 1e-3, 1e-2])), str(rng.choice(["none", "reverse"]))
        attributes = {"duplicate_of": 0} if (rate, task) in known else {}
        value = known.setdefault((rate, task), float(rng.normal()))
        params = {"learning_rate": rate, "pretext": task}
        made.add_trial(
            optuna.trial.create_trial(value=value, params=params, distributions=given, user_attrs=attributes)
        )
    assert importances(made) == {}


def test_a_setting_with_one_value_is_left_out() -> None:
    made = optuna.create_study(direction="maximize")
    for trial in study(24, effect=5).trials:
        params = {**trial.params, "learning_rate": 1e-3}
        made.add_trial(optuna.trial.create_trial(value=trial.value, params=params, distributions=trial.distributions))
    found = importances(made)
    assert list(found) == ["pretext"]
    assert found["pretext"] == Interval(1.0, 0.0, 1.0, 1.0, 24)


def test_of_many_trials_some_at_even_distances_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = study(41, effect=4), []
    monkeypatch.setattr(module, "MOST", 5)
    monkeypatch.setattr(module, "predictable", lambda trials, names: seen.append([one.number for one in trials]))
    assert importances(made) == {}
    assert seen == [[0, 10, 20, 30, 40]]


def test_pruned_and_failed_trials_do_not_count() -> None:
    made = study(19, effect=5)
    for state in (optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL):
        made.add_trial(optuna.trial.create_trial(state=state, params={}, distributions={}))
    assert importances(made) == {}


@pytest.mark.parametrize("seed", range(4))
def test_scores_that_are_nearly_all_equal_end_no_study(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = optuna.create_study(direction="maximize")
    rates = np.sort(10 ** rng.uniform(-5, -1, 20))
    for place, rate in enumerate(rates):  # all but two networks predict a single class
        params = {"learning_rate": float(rate), "pretext": str(rng.choice(["none", "reverse"]))}
        value = 0.56 if place < 2 else 0.0
        made.add_trial(optuna.trial.create_trial(value=value, params=params, distributions=CHOICES))
    for share in importances(made).values():
        assert 0 <= share.low <= share.mean <= share.high <= 1
