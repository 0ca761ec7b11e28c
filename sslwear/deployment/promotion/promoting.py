"""Promotion of what is asked for: a trial of a study, or a method of its evaluation."""

from __future__ import annotations

from typing import Literal

import optuna

from sslwear.deployment.promotion.champion import Promotion
from sslwear.deployment.promotion.method_promotion import promote_method
from sslwear.deployment.promotion.promotion import promote
from sslwear.deployment.promotion.rule import Rule
from sslwear.deployment.registry import CHAMPION
from sslwear.errors import SettingsError
from sslwear.studies.database.optuna_storage import find_study, open_storage, store_errors
from sslwear.studies.database.trials import kept_settings
from sslwear.studies.evaluations.listing import find_evaluation
from sslwear.studies.evaluations.results import not_evaluated
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Store


def promote_any(
    study_name: str,
    store: Store,
    trial: int | None = None,
    method: str | None = None,
    evaluation: bool = False,
    *,
    name: str | None = None,
    alias: str = CHAMPION,
    rule: tuple[str | None, Literal["mean", "interval"], float] = (None, "mean", 0.0),
    force: str | None = None,
    progress: ProgressCallback | None = None,
) -> Promotion:
    """Promote a trial of a study, or a method of its evaluation; see `promote` and `promote_method`.

    Args:
        study_name: name of the study.
        store: store of the study.
        trial: number of a trial; None for the best one.
        method: name of a method of the evaluation; None for a trial.
        evaluation: whether the evaluation's best method is asked for. A study without trials needs not ask.
        name: name of the registered model; None for the study's name.
        alias: alias to move.
        rule: score (None for the study's objective), kind and margin of the rule, see `Rule`.
        force: reason to move the alias in any case.
        progress: receives trainings.

    Raises:
        SslwearError: when `force` is no reason, both a trial and a method are asked for, or one of them cannot be
            promoted.
    """
    if force is not None and not force.strip():
        raise SettingsError("--force needs a reason, which is kept with the version")
    score, kind, margin = rule
    with store_errors(store):
        if _is_method(study_name, store, trial, method, evaluation):
            found = find_evaluation(study_name, store)
            if found is None:
                raise not_evaluated(study_name, store)
            wanted = Rule(score or found.objective, kind, margin)
            return promote_method(study_name, store, method, name, alias, wanted, force, progress)
        objective = kept_settings(find_study(study_name, store)).objective
    return promote(study_name, store, trial, name, alias, Rule(score or objective, kind, margin), force, progress)


def _is_method(study_name: str, store: Store, trial: int | None, method: str | None, evaluation: bool) -> bool:
    """Whether a method of a study's evaluation is to be promoted, and not a trial of the study.

    Args:
        study_name: name of the study.
        store: store of the study.
        trial: number of a trial, if one was asked for.
        method: name of a method, if one was asked for.
        evaluation: whether the evaluation was asked for. A study without trials needs not ask.

    Raises:
        SettingsError: when both a trial and a method are asked for.
    """
    asked = evaluation or method is not None
    if trial is not None:
        if asked:
            raise SettingsError("a trial is of the study, and a method of its evaluation. Leave one of them out")
        return False
    if asked:
        return True
    is_study = study_name in optuna.get_all_study_names(open_storage(store))
    return not is_study and find_evaluation(study_name, store) is not None
