"""Baseline of a study: a method without a network, scored on the study's folds and test participants."""

from __future__ import annotations

from typing import Any

import optuna
import pandas as pd

from sslwear.data.splits import Split
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.evaluation.participants import per_participant
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Run

SCORES = "baseline_scores"
"""Attribute of a study with the scores of its baseline."""


def kept_baseline(study: optuna.Study) -> dict[str, Any] | None:
    """Scores of a study's baseline: ``name``, and the objective by participant in ``scores`` and ``test``."""
    found: dict[str, Any] | None = study.user_attrs.get(SCORES)
    return found


def is_scored(study: optuna.Study, name: str | None) -> bool:
    """Whether a baseline was scored, or there is none."""
    kept = kept_baseline(study)
    return name is None or (kept is not None and kept["name"] == name)


def score_baseline(context: StudyContext, study: optuna.Study, parent: Run, progress: ProgressCallback) -> None:
    """Score the baseline of a study's settings in its folds and on its test participants, once."""
    name = context.settings.baseline
    if name is None or is_scored(study, name):
        return
    progress.note(f"scoring the baseline {name} on the same folds and test participants")
    tables = [_table(context, name, fold, fold.validation) for fold in context.folds]
    judged = pd.concat(tables).groupby("participant", as_index=False).mean()
    whole = context.on_all().split
    tested = _table(context, name, whole, whole.test)
    parent.table(pd.concat([judged.assign(side="folds"), tested.assign(side="test")]), "baseline.csv")
    objective = context.settings.objective
    scores = {"scores": _by_participant(judged, objective), "test": _by_participant(tested, objective)}
    study.set_user_attr(SCORES, {"name": name, **scores})


def _table(context: StudyContext, name: str, split: Split, people: tuple[Any, ...]) -> pd.DataFrame:
    """Scores by participant of a baseline that is fitted to the training participants of a split."""
    classes = len(context.dataset.class_names)
    train, scored = context.windows(split.train), context.windows(people)
    with context.unchanged_data():
        predicted = get_baseline(name)().predict(train, train, scored, classes, context.settings.seed)
    return per_participant(scored.labels, predicted, scored.pid, classes)


def _by_participant(table: pd.DataFrame, objective: str) -> dict[str, float]:
    known = table[["participant", objective]].dropna()
    return {str(participant): float(value) for participant, value in known.itertuples(index=False)}
