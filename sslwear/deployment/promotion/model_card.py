"""Model card of a promoted model, in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sslwear.encoders.card import Card
from sslwear.evaluation.intervals import FEWEST, TOO_FEW, Interval
from sslwear.utils.words import count, shown

ACADEMIC = (
    "It starts from the published harnet weights, which are for **academic use only**; read the licence in their "
    "repository, OxWearables/ssl-wearables, before any other use."
)


@dataclass(frozen=True)
class ModelDetails:
    """Content of a model card beside the model's own `Card`.

    Attributes:
        name: name of the registered model.
        alias: alias that it was promoted to.
        study: name of the study.
        trial: number of the trial.
        run_id: id of the trial's run.
        commit: commit of the training code; empty if unknown.
        settings: training settings.
        participants: training, validation and test participants.
        scores: means over the test participants, by name.
        pooled: scores over all windows of the test participants, by name.
        tested_on: device and precision of the predictions, such as ``cpu, float32``.
        test_evaluations: number of evaluations on the test participants until now.
        comparison: section about the previous champion, Markdown.
        weights: initial weights, the value of ``weights:`` in the study file.
        pretraining: licences of additional pre-training data sets, by name.
        supervised: data sets on whose labels the encoder was trained before fine-tuning.
        versions: versions of the libraries.
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
    tested_on: str
    test_evaluations: int
    comparison: str
    weights: str
    pretraining: Mapping[str, str | None]
    supervised: Sequence[str]
    versions: str


def weights_licence(origin: str) -> str:
    """Sentence about the licence of the initial weights.

    Args:
        origin: value of ``weights:`` in the study file.
    """
    if origin == "none":
        return "It starts from random weights, so only the licence of the training data applies."
    if origin == "hub":
        return ACADEMIC
    if origin.startswith(("runs:/", "models:/")):
        return f"It starts from `{origin}`, whose licence applies to it too."
    return (
        f"It starts from the checkpoint `{origin.rsplit('/', 1)[-1]}`, whose licence applies to it too; the published "
        "harnet checkpoints are for **academic use only**."
    )


def markdown(card: Card, details: ModelDetails) -> str:
    """Model card as Markdown; a paragraph is one line, because MLflow shows line breaks."""
    return (
        "\n\n".join(
            [
                *purpose(card, details.name, details.alias),
                *_origin(card, details),
                *_test_scores(details),
                *terms(card, weights_licence(details.weights), details.pretraining),
            ]
        )
        + "\n"
    )


def purpose(card: Card, name: str, alias: str) -> list[str]:
    """Sections about what a model does, and its input and output."""
    uri = f"models:/{name}@{alias}"
    return [
        f"# {name}",
        f"Classifies windows of wrist acceleration as {', '.join(card.class_names)}.",
        "## Input and output",
        f"Arrays {card.inputs}; acceleration in {card.unit} with gravity, axes x, y, z. Recordings of another rate are "
        "resampled linearly. Output: one row for each window, with its `label` and a probability `p_CLASS` of each "
        "class.",
        "\n".join(["```python", "import mlflow", f"mlflow.pyfunc.load_model({uri!r}).predict(windows)", "```"]),
        _smoothing(card),
    ]


def _smoothing(card: Card) -> str:
    if card.smoothing is not None:
        return (
            "`sslwear predict` smooths labels of recordings with a hidden Markov model that was learnt with it: "
            "transitions of the training participants' labels, emissions of predictions for participants that the "
            "predicting network was not trained on."
        )
    return f"It has no learnt smoothing, because {card.no_smoothing or 'none was fitted'}."


def _origin(card: Card, details: ModelDetails) -> list[str]:
    settings = ", ".join(f"{key} {shown(value)}" for key, value in details.settings.items())
    return [
        "## Training",
        f"Trial {details.trial} of the study `{details.study}` (run `{details.run_id}`): {card.encoder}, trained with "
        f"{settings}. Code: commit `{details.commit or 'unknown'}`, {details.versions}.",
        f"Data: {card.dataset}, fingerprint `{card.fingerprint}`. Participants of each side of the split:",
        "\n".join(f"- {side}: {' '.join(map(str, who))}" for side, who in details.participants.items() if who),
        *earlier_training(details.pretraining, details.supervised),
    ]


def earlier_training(pretraining: Collection[str], supervised: Collection[str]) -> list[str]:
    """Paragraphs about the data sets of a pre-training, and those on whose labels the encoder was trained before."""
    return [
        *([f"It was pre-trained on windows of {', '.join(pretraining)}."] if pretraining else []),
        *([f"It was trained on labels of {', '.join(supervised)} before."] if supervised else []),
    ]


def _test_scores(details: ModelDetails) -> list[str]:
    tested = len(details.participants["test"])
    rows = [
        f"| {name} | {found.text(spread=True)} | {details.pooled[name]:.3f} |" for name, found in details.scores.items()
    ]
    intervals = "The 95 % bootstrap interval of the mean is in brackets." if tested >= FEWEST else TOO_FEW
    return [
        "## Scores on the test participants",
        f"Means ± standard deviation over {count(tested, 'test participant')}, who were used neither in training nor "
        f"in the selection of the trial. {intervals} Test evaluations until now: {details.test_evaluations}. Each "
        "further trial that is scored on the test participants makes later scores a little too optimistic. The "
        f"predictions were computed on: {details.tested_on}. In bf16, a few windows may get another label.",
        "\n".join(["| score | mean over participants | over all windows |", "|---|---|---|", *rows]),
        details.comparison,
    ]


def terms(card: Card, licence: str, pretraining: Mapping[str, str | None]) -> list[str]:
    """Sections about licences and limits.

    Args:
        card: the model's card.
        licence: sentence about the licence of the initial weights.
        pretraining: licences of additional pre-training data sets, by name.
    """
    return [
        "## Licences",
        f"{licence} Licence of the training data: {card.licence or 'not known'}."
        + "".join(f" Of {name}: {its or 'not known'}." for name, its in pretraining.items()),
        "## Limits",
        "It predicts only the classes above; other activities are labelled as one of them. It was tested on "
        "participants of one data set. Check its labels before you use it for other devices, wrists, ages or "
        "illnesses.",
    ]
