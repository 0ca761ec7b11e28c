"""Promotion: comparison of a trial or of a method of an evaluation with the champion, and move of the alias."""

from __future__ import annotations

from typing import Literal

import optuna

from sslwear.deployment import model_aliases, registry
from sslwear.deployment.promotion.champion import Promotion, Request
from sslwear.deployment.promotion.method_promotion import promote_method
from sslwear.deployment.promotion.rule import Rule
from sslwear.deployment.promotion.trial_promotion import promote_trial
from sslwear.deployment.registry import CHAMPION
from sslwear.errors import SettingsError
from sslwear.studies.database.optuna_storage import find_study, open_storage, store_errors
from sslwear.studies.database.trials import kept_settings
from sslwear.studies.evaluations.listing import find_evaluation
from sslwear.studies.evaluations.results import not_evaluated
from sslwear.studies.search.optimise import alone
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Store


def promote(
    study_name: str,
    store: Store,
    trial: int | None = None,
    method: str | None = None,
    evaluation: bool = False,
    *,
    name: str | None = None,
    alias: str = CHAMPION,
    score: str | None = None,
    rule: Literal["mean", "interval"] = "mean",
    margin: float = 0.0,
    force: str | None = None,
    progress: ProgressCallback | None = None,
) -> Promotion:
    """Compare a trial of a study, or a method of its newest evaluation, with the champion, and move the alias.

    Args:
        study_name: name of the study.
        store: store of the study.
        trial: number of a trial; None for the best one.
        method: name of a method of the evaluation; None for a trial.
        evaluation: whether the method with the best mean objective is asked for. A study without trials needs not ask.
        name: name of the registered model; None for the study's name.
        alias: alias to move.
        score: score that is compared; None for the study's objective.
        rule: kind of the rule, see `Rule`.
        margin: margin of the rule.
        force: reason to move the alias in any case, which is stored with the version.
        progress: receives the trainings of networks that are not kept.

    Raises:
        SslwearError: when `force` is no reason, both a trial and a method are asked for, the study, its data or weights
            cannot be used, the method cannot be kept, another process runs the study, or the champion cannot be
            compared and no `force` is given.
    """
    if force is not None and not force.strip():
        raise SettingsError("--force needs a reason, which is kept with the version")
    name, progress = name or study_name, progress or ProgressCallback()
    with store_errors(store):
        of_evaluation = _is_method(study_name, store, trial, method, evaluation)
        objective = _objective(study_name, store, of_evaluation)
        registry.check_name(name)
        model_aliases.check_alias(alias)
        request = Request(name, alias, Rule(score or objective, rule, margin), force)
        with alone(store, study_name), model_aliases.locked(store, name):
            if of_evaluation:
                return promote_method(study_name, store, method, request, progress)
            return promote_trial(study_name, store, trial, request, progress)


def _is_method(study_name: str, store: Store, trial: int | None, method: str | None, evaluation: bool) -> bool:
    """Whether a method of a study's evaluation is to be promoted, and not a trial of the study.

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


def _objective(study_name: str, store: Store, of_evaluation: bool) -> str:
    """Objective of a study or of its evaluation.

    Raises:
        StudyError: when there is none.
    """
    if not of_evaluation:
        return kept_settings(find_study(study_name, store)).objective
    found = find_evaluation(study_name, store)
    if found is None:
        raise not_evaluated(study_name, store)
    return found.objective
