"""Model card of a method of an evaluation, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sslwear.deployment.promotion.model_card import earlier_training, purpose, terms
from sslwear.encoders.card import Card
from sslwear.evaluation.intervals import Interval
from sslwear.studies.evaluations.method_networks import NetworkPlan
from sslwear.utils.words import count, shown


@dataclass(frozen=True)
class MethodDetails:
    """Content of a method's model card beside the model's own `Card`.

    Attributes:
        name: name of the registered model.
        alias: alias that it was promoted to.
        study: name of the evaluated study.
        method: name of the method.
        label: the same with its marks, such as transductive.
        protocol: how participants were held out.
        networks: the networks, with the ids of their runs.
        commit: commit of the training code; empty if unknown.
        participants: all participants of the evaluation.
        scores: cross-validated means of the averaged networks over participants, by name.
        single: cross-validated mean objective of single networks, as in the evaluation.
        choice: how the method was chosen and how sure that is, in sentences.
        comparison: section about the previous champion, Markdown.
        weights: initial weights, values of ``weights:`` in the study file.
        weights_licence: sentences about their licences.
        pretraining: licences of additional pre-training data sets, by name.
        supervised: data sets on whose labels the encoder was trained before fine-tuning.
        versions: versions of the libraries.
    """

    name: str
    alias: str
    study: str
    method: str
    label: str
    protocol: str
    networks: Sequence[tuple[NetworkPlan, str]]
    commit: str
    participants: Sequence[object]
    scores: Mapping[str, Interval]
    single: str
    choice: Sequence[str]
    comparison: str
    weights: str
    weights_licence: str
    pretraining: Mapping[str, str | None]
    supervised: Sequence[str]
    versions: str


def method_markdown(card: Card, details: MethodDetails) -> str:
    """Model card as Markdown; a paragraph is one line, because MLflow shows line breaks."""
    sections = [
        *purpose(card, details.name, details.alias),
        *_training(card, details),
        *_scores(details),
        *terms(card, details.weights_licence, details.pretraining),
    ]
    return "\n\n".join(sections) + "\n"


def _training(card: Card, details: MethodDetails) -> list[str]:
    rows = []
    for plan, run_id in details.networks:
        what = f"`{plan.method.name}`, seed {plan.seed}"
        if plan.method.given.baseline is not None:
            rows.append(f"- {what} (run `{run_id}`): the baseline {plan.method.given.baseline}")
            continue
        settings = ", ".join(f"{key} {shown(value)}" for key, value in plan.method.training.model_dump().items())
        rows.append(f"- {what}, {count(plan.epochs, 'epoch')} (run `{run_id}`): {settings}")
    several = len(rows) > 1
    one = "one network" if card.has_encoder else "one classifier"
    kind = "networks" if card.only_networks else "classifiers"
    what = f"the average of the class probabilities of {len(rows)} {kind}" if several else one
    epochs = ", each network for the median of its best epochs in the folds" if card.has_encoder else ""
    fitted = (
        ""
        if card.only_networks
        else f" Baselines were fitted to windows of {card.window_samples} samples, the length of this model's windows."
    )
    return [
        "## Training",
        f"The method `{details.label}` of the evaluation of `{details.study}`: {what} ({card.encoder}). They were "
        f"trained on all {count(len(details.participants), 'participant')} of the evaluation{epochs}.{fitted} "
        f"Code: commit `{details.commit or 'unknown'}`, {details.versions}.",
        "\n".join(rows),
        f"Data: {card.dataset}, fingerprint `{card.fingerprint}`. Participants: "
        f"{' '.join(map(str, details.participants))}.",
        *earlier_training(details.pretraining, details.supervised),
    ]


def _scores(details: MethodDetails) -> list[str]:
    rows = [f"| {name} | {found.text(spread=True)} |" for name, found in details.scores.items()]
    return [
        "## Scores by cross-validation",
        f"No participant is left to test this model. The scores are those of the evaluation ({details.protocol}), in "
        "which classifiers with the same settings predicted participants that they had not seen: means ± standard "
        "deviation over participants, for the average of the probabilities over seeds and members. Predictions are not "
        f"smoothed over time. With a single seed it has {details.single}.",
        "\n".join(["| score | mean over participants |", "|---|---|", *rows]),
        *details.choice,
        details.comparison,
    ]
