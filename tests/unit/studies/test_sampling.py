"""Proposals of a study's sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from sslwear.config import SamplerSettings, Settings, parse
from sslwear.encoders.cnn import Cnn5
from sslwear.studies.database.failures import interrupt
from sslwear.studies.database.trials import effective
from sslwear.studies.search.sampling import chosen, distributions, pruner, reference_params, sampler

SPACE = {
    "tuning": CategoricalDistribution(["all", "head", "layer5"]),
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
}

EXPECTED_TUNING = ["layer5", "layer5", "head", "head", "all", "head", "head", "head"]
EXPECTED_RATES = [
    1.247646e-05,
    3.23694e-05,
    0.02201338,
    0.06660513,
    0.007967199,
    0.0002633263,
    0.0002413864,
    0.0006454159,
]
"""Proposals of Optuna 5.0 for the study below."""


def with_sampler(**sampler: Any) -> Settings:
    """Settings of a study with a sampler."""
    return Settings(study="a", data="b", sampler=SamplerSettings(**sampler))


def proposals(startup_trials: int, trials: int) -> list[tuple[str, float]]:
    """Proposals of a study with a sampler for each trial, seeded by the trial's number."""
    study = optuna.create_study(direction="maximize")
    found = []
    for number in range(trials):
        seed = int(np.random.SeedSequence([42, number]).generate_state(1)[0])
        study.sampler = sampler(with_sampler(startup_trials=startup_trials), seed)
        trial = study.ask()
        tuning = trial.suggest_categorical("tuning", ["all", "head", "layer5"])
        rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        trial.suggest_categorical("augment", [True])
        found.append((tuning, rate))
        study.tell(trial, (tuning == "head") - abs(np.log10(rate) + 3))
    return found


@pytest.mark.skipif(not optuna.__version__.startswith("5.0."), reason="another version of Optuna may propose others")
def test_the_proposals_of_the_pinned_version_are_the_recorded_ones() -> None:
    found = proposals(startup_trials=3, trials=8)
    assert [tuning for tuning, _ in found] == EXPECTED_TUNING
    assert [rate for _, rate in found] == pytest.approx(EXPECTED_RATES, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tpe", optuna.samplers.TPESampler),
        ("gp", optuna.samplers.GPSampler),
        ("random", optuna.samplers.RandomSampler),
    ],
)
def test_the_sampler_is_the_one_that_is_asked_for_and_proposes_the_same_again(name: str, kind: type) -> None:
    settings = with_sampler(name=name, startup_trials=2)
    assert type(sampler(settings, 3)) is kind
    proposed = []
    for _ in range(2):
        study = optuna.create_study(direction="maximize")
        for i in range(4):
            params = {"tuning": "head", "learning_rate": 1e-4 * (i + 1)}
            study.add_trial(optuna.create_trial(value=i / 4, params=params, distributions=SPACE))
        study.sampler = sampler(settings, 3)
        proposed.append(study.ask(SPACE).params)
    assert proposed[0] == proposed[1]
    assert SPACE.keys() == proposed[0].keys()


def settings_with(search: dict[str, Any], **changes: Any) -> Settings:
    return parse({"study": "a", "data": "b", "search": search, **changes}, "the test")


def test_parameters_and_settings_of_a_trial_are_the_same_thing() -> None:
    settings = settings_with(
        {
            "tuning": ["head", "layer5"],
            "pretext": ["none", "reverse"],
            "training.max_epochs": {"low": 2, "high": 6, "step": 2},
            "pretraining.sampling": ["motion", "uniform"],
            "pretraining.learning_rate": {"low": 1e-4, "high": 1e-2},
        },
        training={"tuning": "layer5", "max_epochs": 4, "pretext": "reverse"},
    )
    own = reference_params(settings, Cnn5)
    assert own == {
        "tuning": "layer5",
        "pretext": "reverse",
        "training.max_epochs": 4,
        "pretraining.sampling": "motion",
        "pretraining.learning_rate": 1e-3,
    }
    assert chosen(settings, Cnn5, own) == settings
    assert own.keys() == distributions(settings.search, Cnn5).keys()
    other = {**own, "training.max_epochs": 2, "pretraining.sampling": "uniform"}
    found = chosen(settings, Cnn5, other)
    assert (found.training.max_epochs, found.pretraining.sampling) == (2, "uniform")
    assert reference_params(found, Cnn5) == other
    assert chosen(settings, Cnn5, {**other, "pretext": "none"}).pretraining == settings.pretraining


@pytest.mark.parametrize(
    "training",
    [{"tuning": "all"}, {"max_epochs": 5}, {"max_epochs": 8}, {"learning_rate": 1e-6}, {"schedule": "cosine"}],
)
def test_settings_outside_of_the_search_space_are_no_trial(training: dict[str, Any]) -> None:
    search = {
        "tuning": ["head"],
        "learning_rate": {"low": 1e-4, "high": 1e-2},
        "training.max_epochs": {"low": 2, "high": 6, "step": 2},
        "training.schedule": ["constant"],
    }
    inside = {"tuning": "head", "max_epochs": 4}
    assert reference_params(settings_with(search, training=inside), Cnn5) is not None
    assert reference_params(settings_with(search, training={**inside, **training}), Cnn5) is None


def test_studies_of_version_0_1_have_another_parameter_for_the_tuning_strategy() -> None:
    settings = settings_with({"tuning": ["all", "head"]})
    assert list(distributions(settings.search, Cnn5, "tuned")) == ["tuned"]
    assert reference_params(settings, Cnn5, "tuned") == {"tuned": "all"}
    assert chosen(settings, Cnn5, {"tuned": "head"}).training.tuning == "head"


def test_each_set_of_blocks_can_be_searched() -> None:
    settings = settings_with({"tuning": "any"}, training={"tuning": "layer4-5"})
    own = reference_params(settings, Cnn5)
    assert own == {f"tune_layer{i}": i > 3 for i in range(1, 6)}
    assert chosen(settings, Cnn5, own).training.tuning == "layer4-5"
    assert chosen(settings, Cnn5, dict.fromkeys(own, False)).training.tuning == "head"
    assert reference_params(settings_with({"tuning": "any"}, training={"tuning": "gradual"}), Cnn5) is None


def test_integers_are_searched_as_integers() -> None:
    search = {"batch_size": {"low": 8, "high": 64, "log": True}, "training.patience": {"low": 1, "high": 9, "step": 4}}
    found = distributions(settings_with(search).search, Cnn5)
    assert found == {
        "batch_size": IntDistribution(8, 64, log=True),
        "training.patience": IntDistribution(1, 9, step=4),
    }


def test_lists_of_augmentations_are_searched_as_texts() -> None:
    settings = settings_with({"augment": [False, True, "rotate(20)", ["rotate(20.0)", "scale"]]})
    texts = (False, True, "rotate(20)", "rotate(20)+scale")
    assert distributions(settings.search, Cnn5) == {"augment": CategoricalDistribution(texts)}
    study = optuna.create_study()
    for text in texts:
        study.enqueue_trial({"augment": text})
        params = study.ask(distributions(settings.search, Cnn5)).params
        assert chosen(settings, Cnn5, params).training.augment == text
    own = settings_with({"augment": [False, ["rotate(20)", "scale"]]}, training={"augment": "rotate(20)+scale"})
    assert reference_params(own, Cnn5) == {"augment": "rotate(20)+scale"}
    assert reference_params(settings_with({"augment": [["scale", "jitter"]]}), Cnn5) is None


def test_what_has_no_effect_does_not_make_another_trial() -> None:
    base = {"augment": [False], "pretext": ["none"]}
    plain = settings_with(base)
    assert effective(plain) == effective(settings_with(base, pretraining={"max_epochs": 3}))
    assert effective(plain) == effective(settings_with(base, training={"augment_degrees": 20}))
    assert effective(plain) != effective(settings_with(base, training={"patience": 3}))
    wanted = {"training": {"pretext": "reverse"}}
    longer = settings_with({}, **wanted, pretraining={"max_epochs": 3})
    assert effective(settings_with({}, **wanted)) != effective(longer)


def pruned_epochs(interrupted: bool) -> list[int]:
    """Epochs after which halving ends seven trials with falling scores; the first one may be interrupted in between."""
    settings = parse(
        {
            "study": "a",
            "data": "b",
            "training": {"max_epochs": 10},
            "pruner": {"name": "halving", "warmup_epochs": 0, "reduction_factor": 3},
        },
        "the test",
    )
    study = optuna.create_study(direction="maximize", pruner=pruner(settings))
    found, scores = [], [0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.85]
    if interrupted:
        first = study.ask()
        for epoch in (1, 2):
            first.report(scores[0], epoch)
            first.should_prune()
        first.set_user_attr("settings", {})
        interrupt(study, [study.trials[0]])
    for score in scores:
        trial = study.ask()
        for epoch in range(1, 5):
            trial.report(score, epoch)
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, score)
        found.append(epoch)
    return found


def test_an_interrupted_trial_does_not_change_which_trials_halving_ends() -> None:
    assert pruned_epochs(interrupted=True) == pruned_epochs(interrupted=False)
