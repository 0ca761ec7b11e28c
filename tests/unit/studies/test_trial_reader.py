"""All trials of a study at once: what Optuna itself reads."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from sslwear.studies.database.optuna_storage import open_storage
from sslwear.studies.database.trial_reader import ReadingStorage
from sslwear.tracking import Store

SPACE = {
    "rate": FloatDistribution(1e-4, 1e-2, log=True),
    "batch": IntDistribution(8, 64, step=8),
    "tuning": CategoricalDistribution(["head", None, True, 3]),
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with a study that has trials of all kinds, between those of another study."""
    found = f"sqlite:///{tmp_path}/optuna.db"
    study, other = (
        optuna.create_study(study_name=name, storage=found, directions=["maximize", "minimize"])
        for name in ("one", "other")
    )
    for choice in SPACE["tuning"].choices:  # type: ignore[attr-defined]
        params = {"rate": 0.00123456789, "batch": 16, "tuning": choice}
        for each in (study, other):
            each.add_trial(
                create_trial(
                    values=[math.inf, 0.1],
                    params=params,
                    distributions=SPACE,
                    user_attrs={"people": {"a": 0.5, "b": None}, "text": "1"},
                    system_attrs={"fixed_params": params},
                    intermediate_values={3: -math.inf, 1: math.nan, 2: 0.25},
                )
            )
    study.enqueue_trial({"rate": 0.001})
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trial(
        create_trial(state=TrialState.PRUNED, params={"rate": 0.001}, distributions={"rate": SPACE["rate"]})
    )
    study.ask(SPACE)
    return found


def test_trials_are_those_that_optuna_reads(url: str) -> None:
    plain, quick = (
        optuna.load_study(study_name="one", storage=storage).get_trials()
        for storage in (RDBStorage(url), ReadingStorage(url))
    )
    assert len(plain) == 7
    assert [repr(trial) for trial in quick] == [repr(trial) for trial in plain]  # NaN is not equal to itself
    assert [list(trial.params) for trial in quick] == [list(trial.params) for trial in plain]


def test_trials_that_are_made_or_end_later_are_read_too(url: str) -> None:
    here = optuna.load_study(study_name="one", storage=ReadingStorage(url))
    there = optuna.load_study(study_name="one", storage=RDBStorage(url))
    assert len(here.get_trials()) == 7
    there.tell(next(trial.number for trial in there.get_trials() if trial.state == TrialState.RUNNING), [0.5, 0.5])
    there.ask(SPACE)
    assert [repr(trial) for trial in here.get_trials()] == [repr(trial) for trial in there.get_trials()]


def test_stores_are_read_in_this_way(store: Store) -> None:
    storage = open_storage(store)
    assert isinstance(storage, ReadingStorage)
    storage.engine.dispose()
