"""What of a trial Optuna is told while it is trained."""

from __future__ import annotations

import math

import optuna

from sslwear.config import parse
from sslwear.studies.search.sampling import pruner
from sslwear.studies.search.search_trial import _Watch
from sslwear.training import EpochRecord


def test_a_trial_whose_score_is_undefined_so_far_is_not_ended() -> None:
    settings = parse({"study": "a", "data": "b", "pruner": {"warmup_epochs": 0, "startup_trials": 1}}, "the test")
    study = optuna.create_study(direction="maximize", pruner=pruner(settings))
    for score in (0.5, math.nan):  # such as kappa of participants of one class each, all of whose windows are right
        trial = study.ask()
        _Watch(study, trial, settings).epoch(EpochRecord(1, 0.1, 0.1, {"kappa": score}, {}, 1.0))
        study.tell(trial, 0.5)
    assert [trial.intermediate_values for trial in study.trials] == [{1: 0.5}, {}]
