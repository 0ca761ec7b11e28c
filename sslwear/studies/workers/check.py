"""Check that Optuna and MLflow say the same about the trials of a study, and repair what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import optuna
from mlflow.entities import Run as MlflowRun
from optuna.trial import FrozenTrial, TrialState

from sslwear.studies.database.failures import interrupted_trials
from sslwear.studies.database.optuna_storage import find_study, store_errors
from sslwear.studies.database.trials import OUTCOMES, is_by_participant, kept_settings, score_of
from sslwear.studies.workers.team import PROCESS, Crew
from sslwear.tracking import Run, Store
from sslwear.tracking.offline_records import kept_elsewhere
from sslwear.tracking.provenance import PREFIX
from sslwear.utils.words import count

STATUSES = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's status of the run of a trial, by how the trial ended."""
SAME_SCORE = 1e-9


@dataclass(frozen=True)
class Difference:
    """Something that the two stores do not agree on.

    Attributes:
        text: what differs.
        run: the run that is wrong; None if it is not one that can be corrected.
        outcome: how the trial of the run ended.
    """

    text: str
    run: MlflowRun | None = None
    outcome: str = "interrupted"


@dataclass(frozen=True)
class Checked:
    """Result of a check.

    Attributes:
        trials: number of trials by how they ended, in Optuna's storage.
        differences: what differs, before any repair.
        repaired: number of differences that were repaired.
    """

    trials: dict[str, int]
    differences: list[Difference]
    repaired: int

    def sentence(self) -> str:
        """Counts and agreement in words."""
        parts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.trials.items())) or "none"
        if not self.differences:
            return f"Trials: {parts}. Both stores agree."
        left = len(self.differences) - self.repaired
        return f"Trials: {parts}. {count(len(self.differences), 'difference')}, {self.repaired} repaired, {left} left."


def check_study(name: str, store: Store, repair: bool = False) -> Checked:
    """Compare the trials of a study with their runs.

    Args:
        name: name of the study.
        store: store of the study.
        repair: whether to give back trials whose process has ended, and to end runs as their trials ended. Optuna's
            record counts where the stores differ.

    Raises:
        StudyError: when there is no such study, or a store does not answer.
    """
    with store_errors(store):
        study = find_study(name, store)
        if repair:
            with Crew(store, study).asking():  # gives back trials of processes that have ended
                pass
        found = list(_differences(study, store))
        repaired = 0
        for one in found if repair else ():
            if one.run is not None:
                run = Run(store, one.run.info.run_id, one.run.info.experiment_id)
                run.end(STATUSES[one.outcome], one.outcome)
                repaired += 1
        return Checked(Counter(outcome for _, outcome in _outcomes(study)), found, repaired)


def _outcomes(study: optuna.Study) -> Iterator[tuple[FrozenTrial, str]]:
    """Trials that have started, and how they ended."""
    interrupted = interrupted_trials(study)
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.FAIL and trial.number in interrupted:
            yield trial, "interrupted"
        elif trial.state in OUTCOMES:
            yield trial, OUTCOMES[trial.state]


def _differences(study: optuna.Study, store: Store) -> Iterator[Difference]:
    settings = kept_settings(study)
    score = settings.objective if is_by_participant(study) else None
    parent = study.user_attrs.get("run_id")
    runs = {}
    if (experiment := store.client.get_experiment_by_name(study.study_name)) is not None:
        runs = {run.info.run_id: run for run in store.find_runs(experiment.experiment_id, kind="trial")}
    for trial, outcome in _outcomes(study):
        run = runs.pop(trial.user_attrs.get("run_id"), None)
        yield from _of_trial(trial, outcome, run, score, store.remote)
    for run in runs.values():
        number = run.data.tags.get(f"{PREFIX}trial", "?")
        ours = run.data.tags.get("mlflow.parentRunId") == parent
        if ours and run.info.status in ("RUNNING", "FINISHED"):
            text = f"run {run.info.run_id} of trial {number} is {run.info.status}, and the trial has another run"
            yield Difference(text, run)


def _of_trial(
    trial: FrozenTrial, outcome: str, run: MlflowRun | None, score: str | None, remote: bool
) -> Iterator[Difference]:
    """What differs between a trial and its run, which may be on a server that was away."""
    if run is None:
        if outcome in ("finished", "pruned"):
            yield Difference(f"trial {trial.number} is {outcome}, and its run is missing or deleted")
        return
    status = run.info.status
    if outcome == "running":
        if status != "RUNNING" and PROCESS in trial.user_attrs:
            yield Difference(f"trial {trial.number} is running, and its run is {status}")
        return
    if status != STATUSES[outcome] or run.data.tags.get(f"{PREFIX}outcome") != outcome:
        said = run.data.tags.get(f"{PREFIX}outcome", "no outcome")
        text = f"trial {trial.number} is {outcome}, and its run is {status} ({said})"
        yield Difference(f"{text}. {kept_elsewhere(run)}" if remote else text, run, outcome)
    logged = run.data.metrics.get(score) if score is not None and outcome == "finished" else None
    value = score_of(trial)
    if logged is not None and value is not None and abs(logged - value) > SAME_SCORE:
        yield Difference(f"trial {trial.number} has {score} {value:.6f}, and its run has {logged:.6f}")
