"""The model card: what a promoted model is, in Markdown, made of what was logged and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sslwear.encoders.classifier import Card
from sslwear.evaluation.intervals import Interval

ACADEMIC = (
    "It starts from the published harnet weights, which are for **academic use only**; read the licence in their "
    "repository, OxWearables/ssl-wearables, before any other use."
)


@dataclass(frozen=True)
class Facts:
    """What a card tells beside the model's own description.

    Attributes:
        name: the registered model's.
        alias: that it was promoted to.
        study: that it was chosen in.
        trial: its number there.
        run_id: its run.
        commit: of the code that trained it, or an empty text.
        settings: it trained with.
        participants: whose windows were used for what.
        scores: of the test participants, by name.
        pooled: the same over all windows.
        looks: how often the test participants were looked at, this time included.
        comparison: lines about the champion that it was compared with.
        weights: what the encoder started from, as the study file says.
        pretraining: licences of the data sets that it was pre-trained on beside the study's own, by name.
        supervised: data sets whose labels it has learnt before it was fine-tuned.
        versions: of the libraries.
    """

    name: str
    alias: str
    study: str
    trial: int
    run_id: str
    commit: str
    settings: Mapping[str, object]
    participants: Mapping[str, tuple[object, ...]]
    scores: Mapping[str, Interval]
    pooled: Mapping[str, float]
    looks: int
    comparison: str
    weights: str
    pretraining: Mapping[str, str | None]
    supervised: Sequence[str]
    versions: str


def weights_licence(origin: str) -> str:
    """What is to be known about the licence of the weights that an encoder started from.

    Args:
        origin: a study file's ``weights:``.
    """
    if origin == "none":
        return "It starts from random weights, so that only its training data's licence applies."
    if origin == "hub":
        return ACADEMIC
    if origin.startswith(("runs:/", "models:/")):
        return f"It starts from `{origin}`, whose licence applies to it too."
    return (
        f"It starts from the checkpoint `{origin.rsplit('/', 1)[-1]}`, whose licence applies to it too; the published "
        "harnet checkpoints are for **academic use only**."
    )


def markdown(card: Card, facts: Facts) -> str:
    """The model card; a paragraph is a line, because MLflow shows line breaks as they are."""
    return "\n\n".join([*_purpose(card, facts), *_origin(card, facts), *_tested(facts), *_terms(card, facts)]) + "\n"


def _purpose(card: Card, facts: Facts) -> list[str]:
    length, uri = card.window_samples, f"models:/{facts.name}@{facts.alias}"
    return [
        f"# {facts.name}",
        f"Labels windows of wrist acceleration as {', '.join(card.class_names)}.",
        "## Input and output",
        f"Windows of {card.window_s:g} s at {card.rate_hz:g} Hz: arrays (N, {length}, 3) or (N, 3, {length}) of "
        f"acceleration in {card.unit} with gravity, axes x, y, z. Recordings of another rate are resampled linearly. "
        "Output: a row a window, with its `label` and a probability `p_CLASS` for each class.",
        "\n".join(["```python", "import mlflow", f"mlflow.pyfunc.load_model({uri!r}).predict(windows)", "```"]),
    ]


def _origin(card: Card, facts: Facts) -> list[str]:
    settings = ", ".join(f"{key} {value}" for key, value in facts.settings.items())
    return [
        "## Where it comes from",
        f"Trial {facts.trial} of the study `{facts.study}` (run `{facts.run_id}`): {card.encoder}, trained with "
        f"{settings}. Code: commit `{facts.commit or 'unknown'}`, {facts.versions}.",
        f"Data: {card.dataset}, fingerprint `{card.fingerprint}`. Participants, none on two sides:",
        "\n".join(f"- {side}: {' '.join(map(str, who))}" for side, who in facts.participants.items()),
        *([f"It was pre-trained on windows of {', '.join(facts.pretraining)}."] if facts.pretraining else []),
        *([f"It has learnt the labels of {', '.join(facts.supervised)} before."] if facts.supervised else []),
    ]


def _tested(facts: Facts) -> list[str]:
    count = next(iter(facts.scores.values())).participants
    rows = [
        f"| {name} | {x.mean:.3f} | {x.sd:.3f} | {x.low:.3f} to {x.high:.3f} | {facts.pooled[name]:.3f} |"
        for name, x in facts.scores.items()
    ]
    times = f"{facts.looks} time{'s' * (facts.looks != 1)}"
    return [
        "## Scores on the test participants",
        f"Over {count} participant{'s' * (count != 1)} that neither training nor the choice of the trial has seen; the "
        f"interval is the 95 % bootstrap over participants. They were looked at {times} so far: "
        "each look at them makes the next result a little less of a surprise.",
        "\n".join(["| score | mean | sd | 95 % interval | all windows |", "|---|---|---|---|---|", *rows]),
        facts.comparison,
    ]


def _terms(card: Card, facts: Facts) -> list[str]:
    return [
        "## Licences",
        f"{weights_licence(facts.weights)} Licence of the training data: {card.licence or 'not known'}."
        + "".join(f" Of {name}: {licence or 'not known'}." for name, licence in facts.pretraining.items()),
        "## Limits",
        "It knows the classes above and nothing else: what a person does beside them is labelled as one of them. It "
        "was tested on people of one data set; look at its labels before trusting them for other devices, wrists, ages "
        "or illnesses.",
    ]
