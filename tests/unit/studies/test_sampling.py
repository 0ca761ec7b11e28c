"""What a study tries next."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna import samplers

from sslwear.studies.sampling import _Sampler


def proposals(remembering: bool, trials: int = 30) -> list[dict[str, Any]]:
    """What a study proposes with a sampler for each trial, each seeded by its number."""
    study = optuna.create_study(direction="maximize")
    found = []
    for number in range(trials):
        seed = int(np.random.SeedSequence([42, number]).generate_state(1)[0])
        fresh = samplers.TPESampler(seed=seed, n_startup_trials=5)
        study.sampler = _Sampler(seed, 5, study.sampler) if remembering else fresh
        trial = study.ask()
        tuning = trial.suggest_categorical("tuning", ["all", "head", "layer5"])
        rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        trial.suggest_categorical("augment", [True])
        found.append(trial.params)
        study.tell(trial, (tuning == "head") - abs(np.log10(rate) + 3))
    return found


def test_what_is_remembered_changes_no_proposal() -> None:
    assert proposals(remembering=True) == proposals(remembering=False)
