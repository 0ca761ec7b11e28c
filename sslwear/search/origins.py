"""What weights have learnt from: whose windows, and whose labels, through all that they started from themselves."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from sslwear.checkpoints import model_folder, registered
from sslwear.data.collection import LABELLED
from sslwear.errors import LeakageError
from sslwear.model import CARD, Card
from sslwear.provenance import PREFIX
from sslwear.search.experiment import Experiment
from sslwear.settings import EvaluationSettings
from sslwear.tracking import MODEL_URI, RUN_URI, Store

MOST = 20
"""Steps back that are followed."""


@dataclass(frozen=True)
class Learnt:
    """One step on the way to some weights.

    Attributes:
        dataset: name of the data that were learnt from.
        fingerprint: theirs.
        labels: whether their labels were learnt, or only their windows.
    """

    dataset: str
    fingerprint: str
    labels: bool


def history(store: Store, weights: str) -> list[Learnt]:
    """What weights have learnt from, as far as the store knows; published ones and files are not known to it.

    Args:
        store: where runs and models are.
        weights: what a study file's ``weights:`` says.
    """
    found: list[Learnt] = []
    waiting = [weights]
    while waiting and len(found) < MOST:
        origin = waiting.pop()
        run = _run_of(store, origin)
        if run is not None:
            found.append(_learnt(run))
            before = (run.data.tags.get(f"{PREFIX}pretraining_run"), run.data.params.get("weights"))
            waiting += [text for text in (before[0] and f"{RUN_URI}{before[0]}", before[1]) if text]
        elif origin.startswith(MODEL_URI):  # its run is gone, or in another store
            with model_folder(store, origin, (CARD,)) as folder:
                card = Card.read(folder / CARD)
            found.append(Learnt(card.dataset, card.fingerprint, labels=True))
    return found


def _run_of(store: Store, origin: str) -> MlflowRun | None:
    if origin.startswith(MODEL_URI):
        with suppress(MlflowException, OSError):
            origin = registered(store, origin).tags.get(f"{PREFIX}run", "")
    return store.run(origin.removeprefix(RUN_URI).strip("/")) if origin.startswith(RUN_URI) else None


def _learnt(run: MlflowRun) -> Learnt:
    tags = {key.removeprefix(PREFIX): value for key, value in run.data.tags.items()}
    labels = tags.get("kind") != "pretraining" or tags.get("pretext") == LABELLED
    return Learnt(tags.get("dataset", ""), tags.get("fingerprint", ""), labels)


def supervised_on(experiment: Experiment, weights: str, pretext: str) -> tuple[str, ...]:
    """Names of the data sets whose labels an encoder has learnt before it is fine-tuned, sorted.

    Args:
        experiment: with the data to pre-train on.
        weights: where the encoder starts.
        pretext: what it is then pre-trained on.
    """
    names = {step.dataset for step in history(experiment.store, weights) if step.labels}
    if pretext == LABELLED and experiment.others is not None:
        names.add(experiment.others.labelled().name)
    return tuple(sorted(names))


def sees_the_tested(experiment: Experiment, evaluation: EvaluationSettings, weights: str) -> bool:
    """Whether own weights have seen, without labels, the windows that are tested.

    With `hold_out` they may be of the training participants.

    Raises:
        LeakageError: when they have, and the study file does not say so, or when they have learnt the labels.
    """
    dataset = experiment.dataset
    steps = [step for step in history(experiment.store, weights) if step.fingerprint == dataset.fingerprint]
    if not steps or evaluation.protocol == "hold_out":
        return False
    if any(step.labels for step in steps) or not evaluation.transductive:
        raise LeakageError(
            f"weights: {weights} were learnt from {dataset.folder}, and {evaluation.protocol} tests everybody in it; "
            "give weights of other data, or a pretext task, which is then learnt in each fold without those who are "
            "tested"
            + (
                ""
                if any(step.labels for step in steps)
                else ", or set evaluation.transductive to true, which every result says"
            )
        )
    return True
