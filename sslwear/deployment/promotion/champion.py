"""Comparison of a new model with the champion, for all kinds of promotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from sslwear.deployment import model_aliases, registry
from sslwear.deployment.promotion.rule import Rule
from sslwear.evaluation.intervals import Difference, Interval, difference, p_text
from sslwear.tracking import Store
from sslwear.tracking.provenance import PREFIX
from sslwear.training.metrics import SCORES
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.masking import masked


@dataclass(frozen=True)
class Promotion:
    """Result of a promotion.

    Attributes:
        name: name of the registered model.
        alias: alias to move.
        trial: number of the candidate trial; None for a method of an evaluation.
        scores: scores of the candidate on the test participants, by name; empty if it is the champion already.
        champion: version of the champion before the promotion; None if there was none.
        champion_scores: scores of the champion on the same participants.
        differences: candidate minus champion, by score.
        version: version of the candidate; None if it was refused.
        moved: whether the alias was moved to the candidate.
        reason: reason in one sentence.
        test_evaluations: number of the study's trials that were scored on its test participants until now; 0 for a
            method of an evaluation.
        method: name of the candidate method; None for a trial.
        choice: how the method was chosen and how sure that is, in sentences; empty for a trial.
    """

    name: str
    alias: str
    trial: int | None
    scores: Mapping[str, Interval]
    champion: str | None
    champion_scores: Mapping[str, Interval]
    differences: Mapping[str, Difference]
    version: str | None
    moved: bool
    reason: str
    test_evaluations: int
    method: str | None = None
    choice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What a promotion was asked for: model, alias, rule, and the reason to move the alias in any case."""

    name: str
    alias: str
    rule: Rule
    force: str | None


def find_champion(store: Store, name: str, alias: str) -> ModelVersion | None:
    """Version that has an alias; None if there is none."""
    model = {model.name: model for model in registry.models(store)}.get(name)
    if model is None or alias not in model.aliases:
        return None
    return registry.find_version(store, f"{name}@{alias}")


def differences_of(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Difference]:
    """Differences between the scores of two models, by score.

    Args:
        first: scores of the first model, one row a participant.
        second: scores of the second model.
    """
    one, other = (table.set_index(table["participant"].astype(str)) for table in (first, second))
    return {name: difference(one[name], other[name]) for name in SCORES}


def decide(
    request: Request, champion: ModelVersion | None, differences: Mapping[str, Difference], caveat: str
) -> tuple[bool, str]:
    """Whether to move the alias, and the reason."""
    if champion is None:
        return True, f"there was no champion{caveat}"
    rule = request.rule
    if differences:
        found = differences[rule.score]
        allowed = rule.allows(found)
        verdict = rule.undecided(found.interval.participants) or str(rule)
        change = "undefined" if np.isnan(found.interval.mean) else f"{found.interval.mean:+.3f}"
        text = f"{rule.score} is {change} against version {champion.version}; {verdict}{caveat}"
    else:
        allowed, text = False, f"version {champion.version} cannot be compared{caveat}"
    if not allowed and request.force is not None:
        return True, f"forced: {request.force} ({text})"
    return allowed, text


def comparison_text(
    request: Request,
    champion: ModelVersion | None,
    theirs: Mapping[str, Interval],
    differences: Mapping[str, Difference],
    reason: str,
) -> str:
    """Section of the model card about the previous champion."""
    if champion is None:
        return "There was no champion for a comparison."
    if not differences:
        return f"It replaced version {champion.version} as `{request.alias}`: {reason}."
    rows = "\n".join(
        f"| {name} | {theirs[name]} | {found.interval.text('+')} | {p_text(found.p)} |"
        for name, found in differences.items()
    )
    return f"""It replaced version {champion.version} as `{request.alias}`: {reason}. On the same participants:

| score | version {champion.version} | difference, this version minus that | p (Wilcoxon) |
|---|---|---|---|
{rows}"""


def move(store: Store, request: Request, version: ModelVersion, champion: ModelVersion | None, reason: str) -> None:
    """Move the alias from the champion to a version, and keep the reason."""
    with signals_deferred():
        number = str(version.version)
        if request.force is not None:
            store.client.set_model_version_tag(request.name, number, f"{PREFIX}forced", masked(request.force))
        expected = str(champion.version) if champion is not None else None
        model_aliases.move_alias(store, request.name, request.alias, number, reason, expected)
