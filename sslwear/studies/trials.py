"""A study's trials in Optuna's storage: rows, the winner, and parameter importances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import NO_PRETEXT, Settings, TrainingSettings, from_yaml, parse, section_and_key
from sslwear.config.unused import unused_keys
from sslwear.errors import StudyError
from sslwear.reports.study_figures import TrialPoint
from sslwear.utils.words import shown

ENOUGH_FOR_IMPORTANCES = 4
MANY_FOR_IMPORTANCES = 500
"""Number of trials of which importances are computed; the time that this takes grows faster than their number."""
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
    empty where the trial does not pre-train.
    """

    number: int
    outcome: str
    value: float | None
    settings: TrainingSettings | None
    pretraining: Mapping[str, Any]
    epochs: int
    seconds: float | None
    error: str | None
    host: str | None
    run_id: str | None

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
    return parse(from_yaml(study.user_attrs["settings"]), f"the settings kept with study {study.study_name}")


def winner(study: optuna.Study) -> FrozenTrial | None:
    """The best finished trial; None if none finished."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number)) if complete else None


def rows(study: optuna.Study) -> list[TrialRow]:
    """Trials of a study in order, without waiting ones."""
    interrupted = set(study.user_attrs.get("interrupted", []))
    return [
        _row(trial, trial.number in interrupted)
        for trial in study.get_trials(deepcopy=False)
        if trial.state != TrialState.WAITING
    ]


def _row(trial: FrozenTrial, interrupted: bool) -> TrialRow:
    settings = trial.user_attrs.get("settings")
    reported = trial.intermediate_values
    value = trial.value if trial.state == TrialState.COMPLETE else reported[max(reported)] if reported else None
    return TrialRow(
        number=trial.number,
        outcome="interrupted" if interrupted else OUTCOMES[trial.state],
        value=value,
        settings=_readable(settings),
        pretraining=trial.user_attrs.get("pretraining", {}),
        epochs=len(reported),
        seconds=trial.duration.total_seconds() if trial.duration else None,
        error=trial.user_attrs.get("error"),
        host=trial.user_attrs.get("host"),
        run_id=trial.user_attrs.get("run_id"),
    )


def _readable(settings: Any) -> TrainingSettings | None:
    """Settings of a trial; None if it has none, or another version of this package wrote them."""
    try:
        return TrainingSettings(**settings) if settings else None
    except (ValueError, TypeError):
        return None


def points(study: optuna.Study) -> list[TrialPoint]:
    """Finished and pruned trials, as points of charts."""
    searched = kept_settings(study).search.space
    return [
        TrialPoint(
            number=row.number,
            value=row.value,
            tuning=row.settings.tuning,
            pretext=row.settings.pretext,
            pruned=row.outcome == "pruned",
            searched={name: _coordinate(row.searched(name)) for name in searched},
        )
        for row in rows(study)
        if row.settings is not None and row.outcome in ("finished", "pruned")
    ]


def _coordinate(value: str | float | bool | None) -> str | float:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else shown(value)


def importances(study: optuna.Study) -> dict[str, float]:
    """Importance of each searched setting for the objective (fANOVA), the most important first.

    Importances add up to 1. There are none when trials are too few or all values are equal. Of many trials,
    `MANY_FOR_IMPORTANCES` at even distances are used.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < ENOUGH_FOR_IMPORTANCES or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = FanovaImportanceEvaluator(seed=0)  # the same study, the same figures
    if len(complete) > MANY_FOR_IMPORTANCES:
        places = np.linspace(0, len(complete) - 1, MANY_FOR_IMPORTANCES).round().astype(int)
        study = optuna.create_study(direction=study.direction)
        study.add_trials([complete[i] for i in places])
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


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
