"""What can be searched, as short and full keys, lists and ranges."""

from __future__ import annotations

from typing import Any

import pytest

from sslwear.config import Range, Settings, from_python, from_yaml, parse
from sslwear.config.search import BLOCKS
from sslwear.config.sections import PretrainingSettings, TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.errors import SettingsError

PRETEXT = {"pretext": ["none", "reverse"]}
STEPS = {"low": 5, "high": 15, "step": 5}


def read(**content: Any) -> Settings:
    return from_python({"study": "a", "data": "smartwatch", **content}, {})


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (section, key)
        for section, kind in (("training", TrainingSettings), ("pretraining", PretrainingSettings))
        for key in kind.model_fields
        if key != "data"
    ],
)
def test_any_scalar_can_be_searched_by_its_full_name(section: str, key: str) -> None:
    kind = TrainingSettings if section == "training" else PretrainingSettings
    default = kind.model_fields[key].default
    search = {"augment": [False, True], **PRETEXT, f"{section}.{key}": [default]}
    if f"{section}.{key}" == "training.augmented_views":
        search["tuning"] = ["all", "head"]
    if key == "weight_decay":
        search[f"{section}.optimizer"] = ["adamw"]
    if key == "windows_per_participant":
        settings = read(search={"pretext": ["reverse"], f"{section}.{key}": [default]}, pretraining={"data": "wisdm"})
    else:
        for name in ("augment", "pretext"):
            if key == name:
                del search[name]
        settings = read(search=search)
    assert (default,) in settings.search.space.values()
    assert parse(from_yaml(settings.to_yaml()), "a store") == settings


def test_short_and_full_keys_are_the_same_key() -> None:
    values = {"low": 1e-4, "high": 1e-2}
    short = read(search={"learning_rate": values, "tuning": ["all", "head"]})
    full = read(search={"training.learning_rate": {**values, "log": True}, "training.tuning": ["all", "head"]})
    assert short == full
    assert list(short.search.space) == ["tuning", "learning_rate"]
    with pytest.raises(SettingsError, match=r"training\.tuning is another spelling of tuning, and both are given"):
        read(search={"training.tuning": ["all"], "tuning": ["head"]})


def test_full_keys_are_for_the_search_only() -> None:
    with pytest.raises(SettingsError, match=r"unknown key 'training\.training\.tuning'"):
        read(training={"training.tuning": "head"})


def test_a_change_replaces_the_other_spelling() -> None:
    settings = from_python(read(search={"batch_size": [16]}), {"search": {"training.batch_size": [32, 64]}})
    assert settings.search.space == {"batch_size": (32, 64)}


@pytest.mark.parametrize("key", ["pretraining.data", "split.test", "max_epochs", "training"])
def test_another_key_is_refused_with_those_that_can_be_searched(key: str) -> None:
    wanted = rf"search\.{key} cannot be searched; keys that can be are tuning, .*training\.max_epochs, .*pretraining\."
    with pytest.raises(SettingsError, match=wanted):
        read(search={key: [1]})


@pytest.mark.parametrize(
    ("search", "words"),
    [
        (
            {"training.schedule": ["cosine", "x"]},
            r"search\.training\.schedule\.1: input should be 'constant', 'cosine'",
        ),
        (
            {"training.max_epochs": {"low": 0, "high": 3}},
            r"max_epochs\.low: input should be greater than or equal to 1",
        ),
        ({"training.max_epochs": {"low": 1, "high": 2.5}}, r"max_epochs\.high: input should be a valid integer"),
        ({"training.max_epochs": 5}, "input should be a list of values, or a range such as"),
        ({"training.schedule": {"low": 1, "high": 2}}, "input should be a list, but got"),
        ({"learning_rate": {"low": 0.1, "high": 0.5, "step": 0.1}}, "step is for a linear scale; add log: false"),
        ({"batch_size": {"low": 8, "high": 20, "step": 8}}, "high must be low and a number of steps"),
        ({"training.dropout": {"low": 0, "high": 0.5, "step": 0}}, "step must be above 0, but is 0"),
        ({"training.dropout": {"low": 0, "high": 0.5, "step": 1e-320}}, "has more than 1,000,000 steps"),
        (
            {"training.weight_decay": {"low": 0, "high": 0.1, "log": True}},
            "low must be above 0 on a logarithmic scale, but is 0; raise it, or add log: false",
        ),
        (
            {"training.warmup_epochs": {"low": 0, "high": 4, "log": True}},
            "low must be above 0 on a logarithmic scale",
        ),
        ({"training.augment_degrees": [20.0]}, "would do nothing, because windows are not augmented"),
        ({"pretraining.max_epochs": [5]}, "would do nothing, because there is no pretext task"),
        ({**PRETEXT, "pretraining.windows_per_participant": [5]}, "would do nothing, because each epoch takes all"),
    ],
)
def test_wrong_values_are_refused_by_the_rules_of_the_key(search: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read(search=search)


def test_a_key_that_matters_for_one_choice_only_is_searched() -> None:
    search = {**PRETEXT, "pretraining.sampling": ["uniform", "motion"], "pretraining.participants_at_a_time": [2, 4]}
    assert read(search=search, pretraining={"participants_at_a_time": 2}).search.pretraining_keys == (
        "sampling",
        "participants_at_a_time",
    )


@pytest.mark.parametrize(
    ("given", "values"), [((5, 15, 5), (5, 10, 15)), ((0.1, 0.4, 0.1), (0.1, 0.2, 0.3, 0.4)), ((1, 3, 2), (1, 3))]
)
def test_a_range_with_a_step_has_its_values(given: tuple[float, ...], values: tuple[float, ...]) -> None:
    found = Range(low=given[0], high=given[1], step=given[2])
    assert found.values == pytest.approx(values)
    assert [found.find(value) for value in values] == list(found.values)
    assert [found.find(value) for value in (None, given[0] - 1, given[0] + given[2] / 3)] == [None] * 3


def test_a_range_without_a_step_has_all_numbers_between() -> None:
    assert [Range(low=0.1, high=1.0).find(value) for value in (0.1, 0.123, 1.1)] == [0.1, 0.123, None]


def test_a_grid_has_all_combinations_by_default_and_no_more() -> None:
    grid = {"search": {"tuning": "any", "training.max_epochs": STEPS}, "sampler": {"name": "grid"}}
    assert len(Encoder.block_names()) == BLOCKS
    assert read(**grid).trials == 2**BLOCKS * 3
    assert read(**grid, trials=1000).trials == 2**BLOCKS * 3
    assert read(**grid, trials=7).trials == 7
    assert parse(from_yaml(read(**grid).to_yaml()), "a store") == read(**grid)
    assert read(search=grid["search"]).trials == 20


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"training.max_epochs": {"low": 5, "high": 15}}, "training.max_epochs is a range without a step"),
        ({"learning_rate": {"low": 1e-4, "high": 1e-2}}, "learning_rate is a range without a step"),
        ({"tuning": "any", "training.max_epochs": list(range(1, 400))}, "12,768 combinations, more than 10,000"),
    ],
)
def test_a_grid_without_an_end_is_refused(search: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read(search=search, sampler={"name": "grid"})


def test_a_grid_needs_no_first_trials() -> None:
    with pytest.raises(SettingsError, match=r"sampler\.startup_trials would do nothing, because the sampler is grid"):
        read(search={"tuning": ["all"]}, sampler={"name": "grid", "startup_trials": 3})


def test_halving_needs_more_epochs_than_its_warm_up_in_some_trial() -> None:
    halving = {"training": {"max_epochs": 2}, "pruner": {"name": "halving", "warmup_epochs": 4}}
    assert read(**halving, search={"training.max_epochs": [2, 8]}).most_epochs == 8
    unused = {"training": {"max_epochs": 50}, "search": {"training.max_epochs": [2, 8]}}
    assert read(**unused).most_epochs == 8  # no trial has the file's own number
    with pytest.raises(SettingsError, match=r"pruner\.warmup_epochs is 4 and training\.max_epochs 3"):
        read(**halving, search={"training.max_epochs": {"low": 1, "high": 3}})


@pytest.mark.parametrize("key", ["hours", "target_score"])
def test_limits_of_a_study_are_for_searches(key: str) -> None:
    assert getattr(read(search={"tuning": ["all"]}, **{key: 0.5}), key) == 0.5
    with pytest.raises(SettingsError, match=f"{key} would do nothing"):
        read(evaluation={"methods": {"a": {}}}, **{key: 1})


@pytest.mark.parametrize("score", [1.1, -2, True, "high"])
def test_a_target_score_is_a_score(score: object) -> None:
    with pytest.raises(SettingsError, match="target_score"):
        read(search={"tuning": ["all"]}, target_score=score)


def searching(trials: int = 6, **content: Any) -> Settings:
    """Settings of an evaluation with a method that searches, and has two epochs."""
    search = {"learning_rate": [1e-3, 1e-2]}
    method = {"search": {**search, **content.pop("more", {})}, "trials": trials, "max_epochs": 2}
    return read(evaluation={"methods": {"own": method}}, **content)


def test_a_grid_inside_of_an_evaluation_has_no_more_trials_than_combinations() -> None:
    settings = searching(sampler={"name": "grid"})
    assert settings.evaluation is not None
    assert settings.evaluation.methods["own"].trials == 2
    with pytest.raises(SettingsError, match=r"search\.training\.dropout is a range without a step"):
        searching(sampler={"name": "grid"}, more={"training.dropout": {"low": 0, "high": 0.5}})


def test_a_search_inside_of_an_evaluation_leaves_room_to_prune() -> None:
    pruner = {"name": "halving", "warmup_epochs": 3}
    with pytest.raises(SettingsError, match=r"warmup_epochs is 3 and max_epochs of the method 'own' 2, which leaves"):
        searching(pruner=pruner, training={"max_epochs": 12})
    searching(pruner=pruner, training={"max_epochs": 12}, more={"training.max_epochs": [2, 9]})
