"""Scores of a study's trials on the test participants, and the count of evaluations that gave them.

A test evaluation informs a choice the first time that a trial is scored. The same weights on the same participants tell
nothing new, so each trial counts once. Every trial that counts makes later test scores a little too optimistic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import optuna

from sslwear.evaluation.participants import POOLED

SCORES, EVALUATIONS, PEOPLE = "tested", "test_looks", "tested_people"
"""Attributes of a study with its test scores, its test evaluations, and its objective by test participant."""
ABOUT = {True: "means over participants", False: "over all windows"}


def is_tested(study: optuna.Study, number: int) -> bool:
    """Whether the test scores of a trial are kept."""
    return str(number) in study.user_attrs.get(SCORES, {})


def scored_trials(study: optuna.Study) -> list[int]:
    """Numbers of the trials whose test scores are kept."""
    return [int(number) for number in study.user_attrs.get(SCORES, {})]


def keep_scores(
    study: optuna.Study,
    number: int,
    means: Mapping[str, float],
    pooled: Mapping[str, float],
    people: Mapping[str, float],
) -> None:
    """Keep the test scores of a trial.

    Args:
        study: the study.
        number: number of the trial.
        means: means over the test participants, by name of the score.
        pooled: scores over all windows of the test participants, by name.
        people: objective of each test participant.
    """
    study.set_user_attr(PEOPLE, {**study.user_attrs.get(PEOPLE, {}), str(number): dict(people)})
    scores = {**means, **{f"{POOLED}{name}": value for name, value in pooled.items()}}
    study.set_user_attr(SCORES, {**study.user_attrs.get(SCORES, {}), str(number): scores})


def people_of(study: optuna.Study, number: int) -> dict[str, float]:
    """Objective of each test participant in a trial; empty if it was not tested, or by version 0.1."""
    return dict(study.user_attrs.get(PEOPLE, {}).get(str(number), {}))


def scores_of(study: optuna.Study, number: int) -> dict[str, float]:
    """Test scores of a trial; empty if it was not tested.

    Returns:
        Means over the test participants by name of the score, and scores over all windows by ``pooled_`` and the name.
        Studies of version 0.1 have the second kind only.
    """
    scores: dict[str, float] = study.user_attrs.get(SCORES, {}).get(str(number), {})
    if any(name.startswith(POOLED) for name in scores):
        return dict(scores)
    return {f"{POOLED}{name}": value for name, value in scores.items()}


def main_scores(study: optuna.Study, number: int) -> tuple[dict[str, float], str]:
    """Test scores of a trial to be shown, and what they are: means over participants unless only others are kept."""
    scores = scores_of(study, number)
    means = {name: value for name, value in scores.items() if not name.startswith(POOLED)}
    return means or {name.removeprefix(POOLED): value for name, value in scores.items()}, ABOUT[bool(means)]


def count_evaluation(study: optuna.Study, number: int, why: str) -> None:
    """Record a test evaluation of a trial, unless the trial was evaluated before."""
    before = past_evaluations(study)
    if any(_trial(one) == number for one in before):
        return
    evaluation = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "why": why, "trial": number}
    study.set_user_attr(EVALUATIONS, [*before, evaluation])


def past_evaluations(study: optuna.Study) -> list[dict[str, Any]]:
    """First evaluation of each trial on the test participants, in order: ``when``, ``why`` and ``trial``."""
    known = study.user_attrs.get(EVALUATIONS)
    if known is None:  # a study that ended before test evaluations were counted
        known = [{"when": "", "why": f"trial {number}, the winner"} for number in study.user_attrs.get(SCORES, {})]
    first: dict[int, dict[str, Any]] = {}
    for one in known:
        first.setdefault(_trial(one), {**one, "trial": _trial(one)})
    return list(first.values())


def _trial(evaluation: Mapping[str, Any]) -> int:
    """Number of the evaluated trial, which version 0.1 kept in the reason only."""
    return int(evaluation["trial"] if "trial" in evaluation else re.findall(r"trial (\d+)", evaluation["why"])[0])
