"""A study's trials in Optuna's storage: rows, scores by participant, and the selected trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import optuna
import pandas as pd
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import NO_PRETEXT, Settings, TrainingSettings, from_yaml, parse, section_and_key
from sslwear.config.unused import unused_keys
from sslwear.errors import StudyError
from sslwear.evaluation.best_trials import candidates, comparable_means
from sslwear.reports.study_report import TrialPoint
from sslwear.studies.database.failures import interrupted_trials
from sslwear.studies.database.kept_verdict import kept_alike
from sslwear.studies.setup.limits import MEASURED, excess
from sslwear.utils.words import count

BY_PARTICIPANT, SELECT, NETWORKS = "by_participant", "select", "networks"
"""Attributes of a study: whether its objective is a mean over participants, how it selects a trial, and the runs with
the weights of selected trials."""
PEOPLE, NETWORK = "people", "network"
"""Attributes of a trial: the objective of each participant, and the run with its weights if checkpoints are kept."""
OUTCOMES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


@dataclass(frozen=True)
class TrialRow:
    """One trial as a row of a table.

    `settings` is None when it has none that can be read. `pretraining` has the searched keys of `pretraining`, and is
    empty where the trial does not pre-train. `participants` has the objective of each judged participant. `epochs` is
    the number with the lowest mean validation loss of a finished trial, and the number trained so far of another one;
    None if it is not known, because trials with two objectives do not report them.
    """

    number: int
    outcome: str
    value: float | None
    settings: TrainingSettings | None
    pretraining: Mapping[str, Any]
    epochs: int | None
    seconds: float | None
    error: str | None
    host: str | None
    run_id: str | None
    participants: Mapping[str, float] = field(default_factory=dict)

    def searched(self, name: str) -> Any:
        """Value of a key of `search`; None if the trial has none."""
        section, key = section_and_key(name)
        return self.pretraining.get(key) if section == "pretraining" else getattr(self.settings, key, None)


def kept_settings(study: optuna.Study) -> Settings:
    """Settings that a study was started with.

    Raises:
        StudyError: when it has none, because another program created it.
    """
    if "settings" not in study.user_attrs:
        raise StudyError(f"the study {study.study_name!r} was not created by sslwear. Choose another name")
    return _parsed(study.user_attrs["settings"], study.study_name)


@lru_cache
def _parsed(text: str, name: str) -> Settings:
    """Settings of a text, read once for the many functions that ask for them."""
    return parse(from_yaml(text), f"the settings kept with study {name}")


def is_by_participant(study: optuna.Study) -> bool:
    """Whether the objective is a mean over participants; in studies of version 0.1 it is over all windows."""
    return bool(study.user_attrs.get(BY_PARTICIPANT, False))


def score_of(trial: FrozenTrial) -> float | None:
    """The objective of a trial, the first one if there are two; None if it has none."""
    return trial.values[0] if trial.values else None


def eligible(study: optuna.Study) -> list[FrozenTrial]:
    """Finished trials that keep the study's constraints, in order."""
    settings = kept_settings(study)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in complete if all(over <= 0 for over in excess(trial, settings))]


def pareto_front(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> tuple[int, ...]:
    """Numbers of the trials, in order, of which no other one is better in one of two objectives and not worse in the
    other.
    """
    signs = [1 if direction == StudyDirection.MAXIMIZE else -1 for direction in directions]
    found, highest, last = [], -math.inf, None
    signed = [(tuple(s * v for s, v in zip(signs, one.values, strict=True)), one.number) for one in trials]
    for values, number in sorted(signed, reverse=True):  # falling in the first objective
        if values[1] > highest or values == last:
            found.append(number)
            highest, last = values[1], values
    return tuple(sorted(found))


def no_winner(study: optuna.Study) -> str:
    """A sentence: no finished trial of a study keeps its constraint; empty if one does, or if none finished."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete or eligible(study):
        return ""
    limits = kept_settings(study).constraint.model_dump(exclude_none=True)
    which = ", ".join(f"{name}: {limit:g}" for name, limit in limits.items())
    return f"None of the {count(len(complete), 'finished trial')} keeps the constraint ({which})."


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The finished trial with the best objective that keeps the constraints, the first of equals; None if none does.

    Trials are compared over the participants whose score is defined in all of them, see `comparable_means`.
    """
    found = eligible(study)
    values = {trial.number: score_of(trial) or 0.0 for trial in found}
    if is_by_participant(study) and len({frozenset(trial.user_attrs.get(PEOPLE, ())) for trial in found}) > 1:
        values.update(comparable_means(scores_table(study)).dropna())
    return max(found, key=lambda trial: (values[trial.number], -trial.number)) if found else None


def winner(study: optuna.Study, alike: Sequence[int] | None = None) -> FrozenTrial | None:
    """The trial that the study selects, see `Settings.select`; None if none finished.

    Args:
        study: the study.
        alike: numbers of the trials that cannot be told from the best, if they are known, see `alike_trials`.
    """
    best = best_trial(study)
    if best is None or study.user_attrs.get(SELECT, "best") == "best":
        return best
    found = {trial.number: trial for trial in eligible(study)}
    simple = [found[number] for number in (alike_trials(study, scores_table(study)) if alike is None else alike)]
    if not simple:  # a study of version 0.1
        return best
    return min(simple, key=lambda trial: (trial.user_attrs[MEASURED]["trainable_parameters"], _cost(trial)))


def alike_trials(study: optuna.Study, table: pd.DataFrame) -> list[int]:
    """Numbers of the trials that cannot be told from the best.

    Args:
        study: the study.
        table: its `scores_table`.
    """
    kept = kept_alike(study)
    return kept if kept is not None else candidates(table) if len(table) else []


def _cost(trial: FrozenTrial) -> tuple[bool, int, int]:
    """Sort key for the cost of a trial: whether it pre-trains, its epochs, and its number."""
    training = training_of(trial)
    return training.pretext != NO_PRETEXT, int(trial.user_attrs.get("best_epoch", training.max_epochs)), trial.number


def scores_table(study: optuna.Study) -> pd.DataFrame:
    """The objective of each participant (columns) in each eligible trial (rows, by number); empty if trials are not
    compared by it, see `is_by_participant`.
    """
    if not is_by_participant(study):
        return pd.DataFrame()
    rows = {trial.number: trial.user_attrs[PEOPLE] for trial in eligible(study) if PEOPLE in trial.user_attrs}
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float)


def network_run(study: optuna.Study, trial: FrozenTrial) -> str | None:
    """Id of the run with the weights of a trial; None if none are kept."""
    found = study.user_attrs.get(NETWORKS, {}).get(str(trial.number), trial.user_attrs.get(NETWORK))
    if found is None and MEASURED not in trial.user_attrs:  # by version 0.1, which kept the weights of each trial
        found = trial.user_attrs["run_id"]
    return None if found is None else str(found)


def rows(study: optuna.Study) -> list[TrialRow]:
    """Trials of a study in order, without waiting ones."""
    interrupted, reported = interrupted_trials(study), len(study.directions) == 1
    by_participant = is_by_participant(study)
    return [
        _row(trial, trial.number in interrupted, reported, by_participant)
        for trial in study.get_trials(deepcopy=False)
        if trial.state != TrialState.WAITING
    ]


def _row(trial: FrozenTrial, interrupted: bool, reported: bool, by_participant: bool) -> TrialRow:
    """Row of a trial; `reported` is whether trials report their epochs, `by_participant` whether means are compared."""
    settings = trial.user_attrs.get("settings")
    epochs = trial.intermediate_values
    value = score_of(trial) if trial.state == TrialState.COMPLETE else epochs[max(epochs)] if epochs else None
    return TrialRow(
        number=trial.number,
        outcome="interrupted" if interrupted and trial.state == TrialState.FAIL else OUTCOMES[trial.state],
        value=value,
        settings=_readable(settings),
        pretraining=trial.user_attrs.get("pretraining", {}),
        epochs=trial.user_attrs.get("best_epoch", len(epochs) if reported else None),
        seconds=trial.duration.total_seconds() if trial.duration else None,
        error=trial.user_attrs.get("error"),
        host=trial.user_attrs.get("host"),
        run_id=trial.user_attrs.get("run_id"),
        participants=trial.user_attrs.get(PEOPLE, {}) if by_participant else {},
    )


def _readable(settings: Any) -> TrainingSettings | None:
    """Settings of a trial; None if it has none, or another version of this package wrote them."""
    try:
        return TrainingSettings(**settings) if settings else None
    except (ValueError, TypeError):
        return None


def points(study: optuna.Study) -> list[TrialPoint]:
    """Finished and pruned trials, as points of charts."""
    return [
        TrialPoint(
            number=row.number,
            value=row.value,
            tuning=row.settings.tuning,
            pretext=row.settings.pretext,
            pruned=row.outcome == "pruned",
        )
        for row in rows(study)
        if row.settings is not None and row.outcome in ("finished", "pruned")
    ]


def training_of(trial: FrozenTrial) -> TrainingSettings:
    """Training settings of a trial.

    Raises:
        StudyError: when it has none that this version can read.
    """
    try:
        return TrainingSettings(**trial.user_attrs["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"trial {trial.number} has settings that this version cannot read. Use the version that ran the study"
        ) from error


def logged_settings(trial: FrozenTrial) -> dict[str, Any]:
    """Training settings of a trial, and the searched keys of its pre-training with their section, for tables."""
    return {**training_of(trial).model_dump(), **pretraining_params(trial.user_attrs.get("pretraining", {}))}


def searched_pretraining(settings: Settings, training: TrainingSettings) -> dict[str, Any]:
    """Searched keys of `pretraining` with their values in the settings; empty for a training without pre-training."""
    if training.pretext == NO_PRETEXT:
        return {}
    return {key: getattr(settings.pretraining, key) for key in settings.search.pretraining_keys}


def pretraining_params(pretraining: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of `pretraining` with their section."""
    return {f"pretraining.{key}": value for key, value in pretraining.items()}


def settings_of(trial: FrozenTrial, settings: Settings) -> Settings:
    """A study's settings with those of a trial in `training` and `pretraining`."""
    pretraining = settings.pretraining.model_copy(update=trial.user_attrs.get("pretraining", {}))
    return settings.model_copy(update={"training": training_of(trial), "pretraining": pretraining})


def effective(settings: Settings) -> dict[str, Any]:
    """Settings of a training and of its pre-training, without those that have no effect."""
    content = settings.model_dump(include={"training", "pretraining"}, exclude_none=True)
    for section, *key in unused_keys(content):
        if key:
            del content[section][key[0]]
    if settings.training.pretext == NO_PRETEXT:
        del content["pretraining"]
    return content
