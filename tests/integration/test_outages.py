"""Outages and changed data while a study, an evaluation or a training runs."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from mlflow.exceptions import MlflowException
from optuna.trial import TrialState

from sslwear.config import Settings
from sslwear.data.arrays import write_dataset
from sslwear.data.dataset import Dataset
from sslwear.errors import DataChangedError, DataError, StudyError, WeightsError
from sslwear.studies.database.failures import check_failures, counted
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.search import trials_loop
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial import judging, pretraining
from sslwear.studies.trial import training_run as trial_module
from sslwear.studies.trial.single_run import train_once
from sslwear.tracking import Store
from sslwear.training import EpochRecord
from tests.integration.conftest import Hearing, statuses

QUIET = ProgressCallback()
METHODS = {"head": {"tuning": "head"}, "layer5": {"tuning": "layer5"}}
ONE = {"methods": METHODS, "baselines": "none", "protocol": "hold_out", "seeds": [1, 2]}


@pytest.fixture
def quick(make: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings whose trials take an epoch."""
    training = {"tuning": "head", "learning_rate": 1e-3, "batch_size": 64, "max_epochs": 1}
    search = {"learning_rate": {"low": 1e-3, "high": 1e-2}}
    return lambda **changes: make(**{"training": training, "search": search, **changes})


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, calls: range) -> None:
    """Let some trainings, counted from 0, raise an error."""
    seen: list[Any] = []

    def patch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def fit(*arguments: Any, **named: Any) -> Any:
            seen.append(arguments)
            if len(seen) - 1 in calls:
                raise error
            return real(*arguments, **named)

        monkeypatch.setattr(module, name, fit)

    patch(trial_module, "fit")
    patch(judging, "fit_folds")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "a disk is full"),
        (MemoryError(), "out of memory"),
        (MlflowException("the server restarts"), r"MLflow store .* became unavailable \(the server restarts\)"),
    ],
    ids=["disk", "memory", "store"],
)
def test_a_passing_outage_interrupts_a_study_and_costs_no_trial(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    with monkeypatch.context() as patched:
        failing(patched, error, range(1, 9))
        with pytest.raises(StudyError, match=words):
            run_study(quick(), store, QUIET)
    assert statuses(store) == {"study": ["KILLED"], "trial": ["FINISHED", "KILLED"]}
    study = run_study(quick(), store, QUIET)
    assert [trial.state for trial in counted(study)] == [TrialState.COMPLETE] * 3
    assert study.trials[1].params == study.trials[2].params
    assert statuses(store)["study"] == ["FINISHED"]


def test_trials_that_fail_alike_stop_a_study_and_run_again(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        failing(patched, ValueError("a bad combination"), range(9))
        with pytest.raises(StudyError, match=r"the last 3 trials failed in the same way \(ValueError: a bad comb"):
            run_study(quick(trials=5), store, QUIET)
    assert statuses(store) == {"study": ["FAILED"], "trial": ["FAILED"] * 3}
    study = run_study(quick(trials=5), store, QUIET)
    assert [trial.state for trial in counted(study)] == [TrialState.COMPLETE] * 5
    assert [trial.params for trial in study.trials[:3]] == [trial.params for trial in study.trials[3:6]]


def test_a_worker_that_sees_the_last_trial_fail_first_does_not_finalise(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def slow(study: optuna.Study, total: int) -> None:
        """What one worker sees if another one stands still before it looks at its failed trials."""
        looks.append(total)
        if len(looks) > 3:
            check_failures(study, total)

    failing(monkeypatch, ValueError("a bad combination"), range(9))
    monkeypatch.setattr(trials_loop, "check_failures", slow)
    with pytest.raises(StudyError, match="the last 3 trials failed in the same way"):
        run_study(quick(), store, QUIET)
    assert statuses(store) == {"study": ["FAILED"], "trial": ["FAILED"] * 3}


def test_a_study_with_failed_trials_says_so(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, ValueError("a bad combination"), range(1, 2))
    hearing = Hearing()
    run_study(quick(), store, hearing)
    assert hearing.warnings[-1] == "1 of 3 trials failed. sslwear study show tiny says why"


def test_an_outage_interrupts_a_training(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, OSError(errno.EIO, os.strerror(errno.EIO)), range(9))
    with pytest.raises(StudyError, match="a file could not be read or written"):
        train_once(quick(search={}), store, QUIET)
    assert statuses(store) == {"train": ["KILLED"]}


def test_an_outage_interrupts_an_evaluation(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), range(1, 9))
    with pytest.raises(StudyError, match="a disk is full"):
        evaluate_study(quick(evaluation=ONE), store, QUIET)
    assert statuses(store) == {"cross_validation": ["KILLED"], "cross_validation_job": ["FINISHED", "KILLED"]}


def test_jobs_that_fail_alike_stop_an_evaluation(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, ValueError("a bad combination"), range(9))
    with pytest.raises(StudyError, match=r"3 jobs in a row failed in the same way \(ValueError: a bad combination\)"):
        evaluate_study(quick(evaluation=ONE), store, QUIET)
    assert statuses(store)["cross_validation_job"] == ["FAILED"] * 3


class Overwriting(ProgressCallback):
    """Somebody who writes other windows to a file after a number of epochs."""

    def __init__(self, path: Path, epochs: int) -> None:
        self.path, self.left = path, epochs

    def epoch(self, record: EpochRecord, headline: str) -> None:
        """Count down."""
        self.left -= 1
        if self.left == 0:
            np.save(self.path, np.load(self.path)[::-1])


@pytest.fixture
def own(small_folder: Path, tmp_path: Path) -> Path:
    """A copy of the recordings."""
    return Path(shutil.copytree(small_folder, tmp_path / "own"))


@pytest.mark.parametrize("epochs", [1, 3], ids=["first trial", "last trial"])
def test_nothing_is_kept_of_a_trial_whose_data_changed(
    quick: Callable[..., Settings], store: Store, own: Path, small_folder: Path, epochs: int
) -> None:
    settings = quick(data=str(own))
    with pytest.raises(DataChangedError, match="was changed while it was in use"):
        run_study(settings, store, Overwriting(own / "X.npy", epochs))
    assert statuses(store)["trial"] == [*["FINISHED"] * (epochs - 1), "KILLED"]
    with pytest.raises(DataError):
        run_study(settings, store, QUIET)
    shutil.copy(small_folder / "X.npy", own)
    assert [trial.state for trial in counted(run_study(settings, store, QUIET))] == [TrialState.COMPLETE] * 3


def test_an_outage_does_not_pre_train_again(
    quick: Callable[..., Settings], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick(training={"tuning": "head", "max_epochs": 1, "pretext": "reverse"}, search={})
    train_once(settings, store, QUIET)

    def load(*_: Any) -> None:
        raise WeightsError("no checkpoint") from MlflowException("the server restarts")

    monkeypatch.setattr(pretraining, "load_weights", load)
    with pytest.raises(WeightsError):
        train_once(settings, store, QUIET)
    assert statuses(store) == {"train": ["FINISHED", "KILLED"], "pretraining": ["FINISHED"]}


def test_changed_data_of_a_pre_training_are_noticed(quick: Callable[..., Settings], store: Store, own: Path) -> None:
    pretraining = {"max_epochs": 1, "data": str(own), "windows_per_participant": 20}
    training = {"tuning": "head", "max_epochs": 1, "pretext": "reverse"}
    with pytest.raises(DataChangedError, match=str(own)):
        train_once(quick(pretraining=pretraining, training=training, search={}), store, Overwriting(own / "X.npy", 1))
    assert statuses(store) == {"train": ["KILLED"], "pretraining": ["KILLED"]}


def test_changed_data_of_an_evaluation_are_noticed(quick: Callable[..., Settings], store: Store, own: Path) -> None:
    with pytest.raises(DataChangedError, match=str(own)):
        evaluate_study(quick(evaluation=ONE, data=str(own)), store, Overwriting(own / "X.npy", 1))
    assert statuses(store)["cross_validation_job"] == ["KILLED"]


@pytest.mark.parametrize("objective", ["kappa", "f1"])
@pytest.mark.parametrize("run", [run_study, train_once, evaluate_study])
def test_a_data_set_of_one_class_is_refused(
    quick: Callable[..., Settings], store: Store, small: Dataset, tmp_path: Path, run: Any, objective: str
) -> None:
    names = np.full(len(small), "walk")
    about = small.description.model_copy(update={"class_names": None})
    write_dataset(tmp_path / "one", np.array(small.windows), names, small.pid, small.start, about)
    changes: dict[str, Any] = {"search": {}} if run is train_once else {}
    changes |= {"evaluation": {**ONE, "seeds": [1]}} if run is evaluate_study else {}
    with pytest.raises(DataError, match="all windows have the class 'walk', so there is nothing to tell apart"):
        run(quick(data=str(tmp_path / "one"), objective=objective, **changes), store, QUIET)
    assert statuses(store) == {}
