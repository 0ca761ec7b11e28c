"""Promotion of a method of an evaluation: its networks are trained on all participants and averaged.

No participants are left for a test, so that a method is compared with a champion by the cross-validated scores of both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from sslwear.deployment import model_package, registry
from sslwear.deployment.promotion.champion import (
    Promotion,
    Request,
    comparison_text,
    decide,
    differences_of,
    find_champion,
    move,
)
from sslwear.deployment.promotion.method_registration import register_method
from sslwear.deployment.promotion.registration import score_intervals
from sslwear.errors import StudyError
from sslwear.studies.evaluations.evaluated import Evaluated
from sslwear.studies.evaluations.method_networks import network_plans
from sslwear.studies.evaluations.results import PARTICIPANTS, read_participants
from sslwear.studies.setup.keys import key_of
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import Store
from sslwear.tracking.provenance import PREFIX


def promote_method(
    study_name: str, store: Store, method: str | None, request: Request, progress: ProgressCallback
) -> Promotion:
    """Compare a method of a study's newest evaluation with the champion, train it on all participants, register it.

    Args:
        study_name: name of the study.
        store: store of the study.
        method: name of the method; None for the one with the best mean objective over participants.
        request: model, alias and rule.
        progress: receives notes and epochs of a pre-training.

    Raises:
        SslwearError: when the evaluation cannot be used, the method cannot be kept, or the champion cannot be compared
            and no `force` is given.
    """
    with tempfile.TemporaryDirectory() as folder:
        evaluated = Evaluated.open(study_name, store, Path(folder))
        chosen = method or evaluated.ranked[0].method
        return _promote(evaluated, chosen, _choice(evaluated, chosen, method is None), request, progress)


def _promote(
    evaluated: Evaluated,
    method: str,
    choice: Sequence[str],
    request: Request,
    progress: ProgressCallback,
) -> Promotion:
    store = evaluated.plan.context.store
    plans = network_plans(evaluated, method)
    model_package.check_encoder(evaluated.plan.context.encoder)
    key = key_of({"method": method, "networks": [one.key for one in plans]})
    known = next((v for v in registry.versions(store, request.name) if v.tags.get(f"{PREFIX}model_key") == key), None)
    champion = find_champion(store, request.name, request.alias)
    found = _undecided(request, method, choice, champion, known)
    if known is not None and champion is not None and known.version == champion.version:
        reason = f"the method {method!r} is {request.name}@{request.alias} already, version {known.version}"
        return replace(found, reason=reason)
    mine = evaluated.averaged(method)
    theirs, caveat = _champion_table(evaluated, champion, request, len(mine))
    differences = differences_of(mine, theirs) if theirs is not None else {}
    their_scores = score_intervals(theirs) if theirs is not None else {}
    allowed, reason = decide(request, champion, differences, caveat)
    if allowed:
        if known is None:
            comparison = comparison_text(request, champion, their_scores, differences, reason)
            known = register_method(evaluated, method, plans, mine, key, request, choice, comparison, progress)
        move(store, request, known, champion, reason)
    return replace(
        found,
        scores=score_intervals(mine),
        champion_scores=their_scores,
        differences=differences,
        version=str(known.version) if known is not None else None,
        moved=allowed,
        reason=reason,
    )


def _undecided(
    request: Request,
    method: str,
    choice: Sequence[str],
    champion: ModelVersion | None,
    known: ModelVersion | None,
) -> Promotion:
    """Outcome before the comparison: no scores, and the alias is not moved."""
    return Promotion(
        name=request.name,
        alias=request.alias,
        trial=None,
        scores={},
        champion=str(champion.version) if champion is not None else None,
        champion_scores={},
        differences={},
        version=str(known.version) if known is not None else None,
        moved=False,
        reason="",
        test_evaluations=0,
        method=method,
        choice=tuple(choice),
    )


def _choice(evaluated: Evaluated, method: str, is_best: bool) -> list[str]:
    """How a method was chosen and how sure that is, in sentences."""
    objective, total = evaluated.objective, len(evaluated.methods)
    summary = next((one for one in evaluated.methods if one.method == method), None)
    if summary is None:  # the name is wrong, which is said later
        return []
    place = [one.method for one in evaluated.ranked].index(method) + 1
    score = f"{objective} {summary.scores[objective].text()}"
    found = [f"{method!r} has rank {place} of {total} methods by mean {objective} over participants: {score}."]
    if selected := evaluated.method(method).given.select_on_validation:
        best = evaluated.selected(method)
        found.append(f"Of its {len(selected)} methods, {best!r} is the best on validation participants over all folds.")
    if total == 1:
        return found
    if is_best or place == 1:
        alike = [repr(name) for name in evaluated.alike if name != method]
        found.append(
            f"Methods that cannot be told from the best: {', '.join(alike)}."
            if alike
            else "It can be told from all other methods."
        )
        found.append(
            f"The best of several methods is partly best by chance. Corrected for this choice, {objective} is "
            f"{evaluated.corrected.text()}."
        )
    return found


def _champion_table(
    evaluated: Evaluated, champion: ModelVersion | None, request: Request, participants: int
) -> tuple[pd.DataFrame | None, str]:
    """Cross-validated scores of the champion, and a caveat if it cannot be compared.

    Raises:
        StudyError: when it cannot be compared, or the rule cannot be judged, and no force is requested.
    """
    if champion is None:
        return None, ""
    if request.force is None and (why := request.rule.undecided(participants)):
        raise StudyError(f"{why}. Use --rule mean, or --force REASON")
    why = (
        "it was not evaluated on the same participants with the same protocol, and no participant is left to test both"
    )
    if champion.tags.get(f"{PREFIX}tested_on") == evaluated.tested_on:
        store = evaluated.plan.context.store
        run, why = store.find_run(str(champion.run_id)), "the scores of its participants are not in this store"
        with suppress(StudyError):  # a copy of an earlier version has none
            if run is not None:
                return read_participants(store.read_text(run, PARTICIPANTS)), ""
    if request.force is None:
        raise StudyError(
            f"{request.name}@{request.alias}, version {champion.version}, cannot be compared: {why}. Give the new "
            "model another --name, or --force REASON"
        )
    return None, f": {why}"
