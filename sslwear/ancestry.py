"""Whom a model has learnt from, or was chosen by, through all that its weights started from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sslwear.errors import StudyError
from sslwear.provenance import PREFIX
from sslwear.registry import find_version
from sslwear.tracking import MODEL_URI, RUN_URI, Store

MOST = 20
"""Steps back that are followed."""
SIDES = ("train_participants", "validation_participants", "held_out_participants")


def known_of(store: Store, weights: str, dataset: str, participants: Iterable[Any]) -> list[str]:
    """Those participants of a data set that weights have learnt from or were chosen by.

    Two data sets of one name are taken for the same people, however their windows were cut.

    Args:
        store: where runs and models are.
        weights: what a study file's ``weights:`` says.
        dataset: its name.
        participants: who must not be known.
    """
    known: set[str] = set()
    for _ in range(MOST):
        facts = _facts(store, weights)
        if facts is None:
            break
        if facts.get("dataset") == dataset:
            known |= {participant for side in SIDES for participant in facts.get(side, "").split()}
        weights = facts.get("weights", "none")
    return [str(participant) for participant in participants if str(participant) in known]


def _facts(store: Store, weights: str) -> Mapping[str, str] | None:
    """Data set, participants and own origin of a run's or a registered model's weights; None where there is no more."""
    if weights.startswith(MODEL_URI):
        try:
            tags = find_version(store, weights).tags
        except StudyError:
            return None
        return {key.removeprefix(PREFIX): value for key, value in tags.items()}
    if not weights.startswith(RUN_URI) or (run := store.run(weights.removeprefix(RUN_URI).strip("/"))) is None:
        return None
    facts = dict(run.data.params)
    parent = run.data.tags.get("mlflow.parentRunId")
    if "train_participants" not in facts and parent is not None and (study := store.run(parent)) is not None:
        facts = {**study.data.params, **facts}
    names = [found.dataset.name for found in run.inputs.dataset_inputs] if run.inputs is not None else []
    return {**facts, "dataset": names[0] if names else ""}
