"""Registration of a method of an evaluation as a model version with model card, tags and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from numpy.typing import NDArray

from sslwear.config import NO_PRETEXT
from sslwear.deployment import registry
from sslwear.deployment.promotion.champion import Request
from sslwear.deployment.promotion.learnt_smoothing import smoothing_of_method
from sslwear.deployment.promotion.method_card import MethodDetails, method_markdown
from sslwear.deployment.promotion.model_card import weights_licence
from sslwear.deployment.promotion.registration import (
    example_windows,
    pretraining_licences,
    score_intervals,
    training_ranges,
    versions_text,
)
from sslwear.encoders.arrays import Arrays
from sslwear.encoders.average import averaged
from sslwear.encoders.base import Network
from sslwear.encoders.card import Card, fitted_kind
from sslwear.evaluation.comparison import protocol_title
from sslwear.studies.evaluations.evaluated import Evaluated
from sslwear.studies.evaluations.method_networks import METHOD, NO_TUNING, NetworkPlan, all_participants, train_network
from sslwear.studies.evaluations.results import PARTICIPANTS
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.tracking import RUN_URI, Run, participant_params
from sslwear.utils.words import count


def register_method(
    evaluated: Evaluated,
    method: str,
    plans: Sequence[NetworkPlan],
    table: pd.DataFrame,
    key: str,
    request: Request,
    choice: Sequence[str],
    comparison: str,
    progress: ProgressCallback,
) -> ModelVersion:
    """Train the networks of a method on all participants, and register their average as a new version.

    Args:
        evaluated: the evaluation.
        method: name of the method.
        plans: its networks.
        table: cross-validated scores of their average, one row a participant.
        key: key of the model.
        request: name of the model and alias.
        choice: how the method was chosen, in sentences.
        comparison: section of the card about the previous champion, Markdown.
        progress: receives notes.
    """
    plan, split = evaluated.plan, all_participants(evaluated.plan.context.dataset)
    context = replace(plan.context, split=split, folds=(), transductive=False)
    store, experiment = context.store, evaluated.run.info.experiment_id
    what = f"The method `{method}`, trained on all participants for promotion: {count(len(plans), 'classifier')}."
    tags = {**plan.tags(), "method": method}
    name = f"{method}, all participants"
    with store.start_run(experiment, name, METHOD, evaluated.run.info.run_id, what, **tags) as run:
        run.params({"method": method, **context.runtime_params(), **participant_params(train=split.train)})
        run.dataset(context.dataset, {"train": len(context.windows(split.train))})
        run.table(table, PARTICIPANTS)
        trained = [train_network(evaluated, one, run, progress) for one in plans]
        run.tags(members=" ".join(run_id for _, run_id in trained))
    classifiers = [made.cpu() for made, _ in trained]
    card = _card(context, plans, classifiers, evaluated.confusions(method))
    details = _details(evaluated, method, plans, [run_id for _, run_id in trained], table, request, choice, comparison)
    return _register(context, run, averaged(classifiers), card, details, key, evaluated.tested_on)


def _card(
    context: StudyContext,
    plans: Sequence[NetworkPlan],
    classifiers: Sequence[Network | Arrays],
    confusions: NDArray[np.int64],
) -> Card:
    """Card of the average; settings that differ between the networks are joined.

    Args:
        context: context with all participants for training.
        plans: the networks and baselines.
        classifiers: the trained networks and fitted baselines, in the same order.
        confusions: of the folds' test participants (C, C), for smoothing.
    """
    trainings = [one.method.training for one in plans if one.method.given.baseline is None]
    tuning = "; ".join(dict.fromkeys(one.tuning for one in trainings)) or NO_TUNING
    pretext = "; ".join(dict.fromkeys(one.pretext for one in trainings)) or NO_PRETEXT
    kinds = tuple(
        fitted_kind(made) if isinstance(made, Arrays) else plan.method.training.head
        for plan, made in zip(plans, classifiers, strict=True)
    )
    card = network_card(context, tuning, pretext, kinds[0])
    if not trainings:
        names = "; ".join(dict.fromkeys(str(one.method.given.baseline) for one in plans))
        card = replace(card, encoder=names, precision="float32")
    smoothing, why_not = smoothing_of_method(context, confusions)
    return replace(
        card,
        heads=kinds if len(kinds) > 1 else (),
        reference_ranges=training_ranges(context),
        smoothing=smoothing,
        no_smoothing=why_not,
    )


def _details(
    evaluated: Evaluated,
    method: str,
    plans: Sequence[NetworkPlan],
    runs: Sequence[str],
    table: pd.DataFrame,
    request: Request,
    choice: Sequence[str],
    comparison: str,
) -> MethodDetails:
    context, objective = evaluated.plan.context, evaluated.objective
    summary = next(one for one in evaluated.methods if one.method == method)
    licences: dict[str, str | None] = {}
    for one in plans:
        if one.method.given.baseline is None:
            licences |= pretraining_licences(context, one.method.training.pretext)
    run, origins = context.store.client.get_run(runs[0]), dict.fromkeys(one.method.weights for one in plans)
    return MethodDetails(
        name=request.name,
        alias=request.alias,
        study=context.settings.study,
        method=method,
        label=summary.label,
        protocol=protocol_title(evaluated.plan.settings.protocol),
        networks=list(zip(plans, runs, strict=True)),
        commit=run.data.tags.get("mlflow.source.git.commit", ""),
        participants=all_participants(evaluated.plan.context.dataset).train,
        scores=score_intervals(table),
        single=f"{objective} {summary.scores[objective].text(spread=True)}",
        choice=choice,
        comparison=comparison,
        weights=", ".join(origins),
        weights_licence=" ".join(dict.fromkeys(map(weights_licence, origins))),
        pretraining=licences,
        supervised=evaluated.method(method).supervised,
        versions=versions_text(),
    )


def _register(
    context: StudyContext, run: Run, network: Network, card: Card, details: MethodDetails, key: str, tested_on: str
) -> ModelVersion:
    objective = context.settings.objective
    tags = {
        "study": details.study,
        "method": details.method,
        "networks": str(len(details.networks)),
        "run": f"{RUN_URI}{run.id}",
        "commit": details.commit,
        "weights": details.weights,
        "weights_licence": details.weights_licence,
        "objective": f"cross-validated {objective} {details.scores[objective]}",
        "model_key": key,
        "tested_on": tested_on,
        **participant_params(train=details.participants),
    }
    text, example = method_markdown(card, details), example_windows(context, card)
    return registry.register(context.store, details.name, run.id, network, card, example, text, tags, details.scores)
