"""Proposals of a study's sampler."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from sslwear.config import SamplerSettings
from sslwear.studies.sampling import sampler

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


def proposals(startup_trials: int, trials: int) -> list[tuple[str, float]]:
    """Proposals of a study with a sampler for each trial, seeded by the trial's number."""
    study = optuna.create_study(direction="maximize")
    found = []
    for number in range(trials):
        seed = int(np.random.SeedSequence([42, number]).generate_state(1)[0])
        study.sampler = sampler(SamplerSettings(startup_trials=startup_trials), seed)
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
