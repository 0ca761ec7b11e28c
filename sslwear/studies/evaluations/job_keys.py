"""Keys of an evaluation's jobs: everything that a result depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sslwear.config import EvaluationSettings
from sslwear.data.splits import Split
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.studies.evaluations.methods import Method
from sslwear.studies.evaluations.probe import foreign_content
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import (
    EVALUATION_VERSION,
    PRETRAINING_VERSION,
    adapted_length,
    key_of,
    plugin_identities,
    searched_plugins,
    training_plugins,
)
from sslwear.studies.trial.pretraining import pretraining_windows
from sslwear.tracking import participant_params
from sslwear.utils import plugins


def job_key(
    context: StudyContext,
    evaluation: EvaluationSettings,
    method: Method,
    split: Split,
    seed: int,
    members: Mapping[tuple[str, int], str],
) -> str:
    """Key of a method's result in a fold with a seed.

    Args:
        context: what all jobs share.
        evaluation: section `evaluation` of the study file.
        method: the method.
        split: participants of the fold.
        seed: seed of the training.
        members: keys of the jobs that it combines, by method and seed.
    """
    how = "select_on_validation" if method.given.select_on_validation else "ensemble"
    combined = {name if one == seed else f"{name}, seed {one}": key for (name, one), key in members.items()}
    what = {how: combined} if combined else _content(context, method)
    of = context.variant(split, seed, method.weights, method.initial, evaluation.transductive)
    return key_of(
        {
            **what,
            **_common(context, evaluation),
            "method": method.name,
            "supervised": method.supervised,
            "pre-trained on": _pretrained_on(of, method),
            "split": [sorted(map(str, side)) for side in (split.train, split.validation, split.test)],
            "seed": seed,
            "version": EVALUATION_VERSION,
        }
    )


def _pretrained_on(context: StudyContext, method: Method) -> dict[str, str]:
    """Training and held-out participants of a method's pre-trainings."""
    found: dict[str, str] = {}
    for pretext in method.pretrains:
        data = pretraining_windows(context, pretext)
        who = participant_params(train=data.train.participants(), held_out=data.validation.participants())
        found |= who if len(method.pretrains) == 1 else {f"{pretext} {side}": names for side, names in who.items()}
    return found


def _common(context: StudyContext, evaluation: EvaluationSettings) -> dict[str, Any]:
    settings = context.settings
    return {
        "data": context.dataset.fingerprint,
        "classes": context.dataset.class_names,  # of integer labels they come from dataset.json, and may be corrected
        **({"step_s": context.dataset.description.step_s} if evaluation.smoothing != "none" else {}),  # so may this
        "include_nonwear": settings.include_nonwear,
        "objective": settings.objective,
        **evaluation.model_dump(include={"protocol", "smoothing", "refit", "transductive", "keep_checkpoints"}),
    }


def _content(context: StudyContext, method: Method) -> dict[str, Any]:
    if method.given.baseline is not None:
        code = plugins.identity(get_baseline(method.given.baseline))
        rate = {"window_s": context.dataset.window_s}  # features depend on it, and it may come from dataset.json
        return {"baseline": method.given.baseline, **rate, **({"plugins": code} if code else {})}
    if method.given.encoder is not None:
        return foreign_content(method.given.encoder, method.digest, context)
    settings = context.settings
    fitted = {"pretext": method.training.pretext} if method.given.probe else method.training.model_dump()
    content: dict[str, Any] = {
        "encoder": settings.encoder,
        **adapted_length(context.encoder),
        "weights": method.digest,
        "training": fitted,
        "device": context.device.type,
        "precision": context.precision,
    }
    if method.given.probe is not None:
        content["probe"] = method.given.probe
    if method.pretrains:
        others = context.pretraining_data.fingerprint if context.pretraining_data else ""
        content["pretraining"] = {
            **settings.pretraining.model_dump(exclude={"data"}),
            "others": others,
            "version": PRETRAINING_VERSION,
        }
    if method.given.search is not None:
        sections = {"sampler", "pruner", "constraint", "select"}
        content["search"] = {
            "space": method.given.search.model_dump(exclude_none=True),
            "trials": method.given.trials,
            "split": settings.split.model_dump(include={"folds", "repeats", "validation", "validation_seed"}),
            **settings.model_dump(include=sections),
        }
        if searched := searched_plugins(context, method.training, method.given.search):
            content["search"]["plugins"] = searched
    identities = training_plugins(context, method.training)
    if method.given.probe is not None:
        identities = plugin_identities(context.encoder, method.training.pretext)
    if identities:
        content["plugins"] = identities
    return content
