"""What weights have learnt from: whose windows, and whose labels, through all that they started from themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from sslwear.config import SUPERVISED, EvaluationSettings
from sslwear.data.dataset import Dataset
from sslwear.errors import LeakageError
from sslwear.studies.context import StudyContext
from sslwear.tracking import MODEL_URI, RUN_URI, Store, named
from sslwear.tracking.checkpoints import registered
from sslwear.tracking.provenance import PREFIX

MOST = 20
"""Steps back that are followed."""
LOGGED_MODEL = re.compile(r"m-[0-9a-f]{32}")
"""What MLflow calls the folder in which a run's checkpoint lies."""
SIDES = ("train_participants", "validation_participants", "held_out_participants")


@dataclass(frozen=True)
class Source:
    """A data set, as runs note it: its name, the beginning of its fingerprint, and where it is from, if known."""

    name: str
    digest: str
    source: str | None

    def like(self, dataset: Dataset) -> bool:
        """Whether it may have people of a data set: it is that one, or is not known to be of another source."""
        mine, theirs = self.source, dataset.description.source
        return dataset.fingerprint.startswith(self.digest) or None in (mine, theirs) or mine == theirs


@dataclass(frozen=True)
class TrainingStep:
    """One step on the way to some weights.

    Attributes:
        sources: what was learnt from.
        people: who was learnt from or chosen by, after their source's name and a colon where there are several sources;
            None where it is not known.
        labels: whether labels were learnt, or only windows.
    """

    sources: tuple[Source, ...]
    people: frozenset[str] | None
    labels: bool

    def known(self, source: Source) -> frozenset[str] | None:
        """People of one of its sources; None where they are not known."""
        if self.people is None or len(self.sources) == 1:
            return self.people
        mark = f"{source.name}:"
        return frozenset(name.removeprefix(mark) for name in self.people if name.startswith(mark))


def history(store: Store, weights: str) -> list[TrainingStep]:
    """What weights have learnt from, as far as the store knows: published ones, and files that do not lie where it has
    put them, are not known to it.

    Args:
        store: where runs and models are.
        weights: what a study file's ``weights:`` says.
    """
    found: list[TrainingStep] = []
    waiting = [weights]
    while waiting and len(found) < MOST:
        origin = waiting.pop()
        tags = _tags_of(store, origin)
        place = tags.get("run", origin) if tags else _run_of_file(store, origin)
        run = _run(store, place)
        if run is not None:
            found.append(_of_run(run))
            before = run.data.tags.get(f"{PREFIX}pretraining_run")
            waiting += [f"{RUN_URI}{before}"] if before else []
            waiting += [run.data.params["weights"]] if "weights" in run.data.params else []
        elif tags:  # a model whose run is gone
            source = Source(tags.get("dataset", ""), tags.get("fingerprint", ""), None)
            found.append(TrainingStep((source,), _people(tags), labels=True))
            waiting += [tags["weights"]] if "weights" in tags else []
    return found


def _run(store: Store, place: str) -> MlflowRun | None:
    """A run, also one that was deleted in the UI, whose weights can still be read; None where it is gone for good."""
    if not place.startswith(RUN_URI):
        return None
    with suppress(MlflowException):
        return store.client.get_run(place.removeprefix(RUN_URI).strip("/"))
    return None


def _run_of_file(store: Store, origin: str) -> str:
    """The run that logged a checkpoint which is named by its file; what is no such file is given back as it is."""
    for part in Path(origin).parts:
        if LOGGED_MODEL.fullmatch(part):
            with suppress(MlflowException):
                return f"{RUN_URI}{store.client.get_logged_model(part).source_run_id}"
    return origin


def _tags_of(store: Store, origin: str) -> dict[str, str]:
    """Tags of a registered version, without their prefix; none of anything else."""
    if origin.startswith(MODEL_URI):
        with suppress(MlflowException, OSError):
            return {key.removeprefix(PREFIX): value for key, value in registered(store, origin).tags.items()}
    return {}


def _of_run(run: MlflowRun) -> TrainingStep:
    tags = {key.removeprefix(PREFIX): value for key, value in run.data.tags.items()}
    datasets = [found.dataset for found in run.inputs.dataset_inputs] if run.inputs is not None else []
    sources = tuple(
        Source(found.name, found.digest, json.loads(found.source).get("source") or None) for found in datasets
    )
    pretrained = "pretraining" in (tags.get("kind"), tags.get("repeats"))
    labels = not pretrained or run.data.params.get("pretext") == SUPERVISED
    return TrainingStep(sources, _people(run.data.params), labels)


def _people(facts: dict[str, str]) -> frozenset[str] | None:
    told = [named(facts[side]) for side in SIDES if side in facts]
    if not told or None in told:
        return None
    return frozenset(name for names in told for name in names or ())


def seen_participants(store: Store, weights: str, dataset: Dataset, participants: Iterable[object]) -> list[str]:
    """Those participants of a data set that weights have learnt from or were chosen by.

    Where it is not known whom the data set taught them, all are taken to be known.

    Args:
        store: where runs and models are.
        weights: what a study file's ``weights:`` says.
        dataset: whose participants.
        participants: who must not be known.
    """
    names = [str(participant) for participant in participants]
    seen: set[str] = set()
    for step in history(store, weights):
        for source in step.sources:
            if source.like(dataset):
                people = step.known(source)
                seen |= set(names) if people is None else people
    return [name for name in names if name in seen]


def supervised_datasets(context: StudyContext, weights: str, pretext: str) -> tuple[str, ...]:
    """Names of the data sets whose labels an encoder has learnt before it is fine-tuned, sorted.

    Args:
        context: with the data to pre-train on.
        weights: where the encoder starts.
        pretext: what it is then pre-trained on.
    """
    names = {source.name for step in history(context.store, weights) if step.labels for source in step.sources}
    if pretext == SUPERVISED and context.pretraining_data is not None:
        names |= {part.description.name for part in context.pretraining_data.labelled().parts}
    return tuple(sorted(names))


def check_weights(context: StudyContext) -> None:
    """Refuse a search from weights that know those whom its winner is tested on.

    Raises:
        LeakageError: when they have learnt from one of them.
    """
    settings, dataset = context.settings, context.dataset
    seen = seen_participants(context.store, settings.weights, dataset, context.split.test)
    if seen:
        raise LeakageError(
            f"weights: {settings.weights} have learnt from participant {seen[0]} of {dataset.folder}, whom the winner "
            f"would be tested on ({len(seen)} in all); give weights of other people, set split.test_seed to what it "
            "was when these were trained, or say by source in both data sets' dataset.json that the people of one name "
            "are not the same"
        )


def check_evaluation_weights(
    context: StudyContext, evaluation: EvaluationSettings, weights: str, tested: Iterable[object]
) -> bool:
    """Whether own weights have seen, without labels, windows of those who are tested.

    Raises:
        LeakageError: when they have, and the study file does not say so, or when they have learnt labels of them.
    """
    dataset = context.dataset
    seen = seen_participants(context.store, weights, dataset, tested)
    if not seen:
        return False
    steps = [step for step in history(context.store, weights) if any(one.like(dataset) for one in step.sources)]
    labels = any(step.labels for step in steps)
    if labels or not evaluation.transductive:
        way_out = "" if labels else ", or set evaluation.transductive to true, which every result says"
        raise LeakageError(
            f"weights: {weights} have learnt from participant {seen[0]} of {dataset.folder}, who is tested "
            f"({len(seen)} in all); give weights of other people, say by source in both data sets' dataset.json that "
            "the people of one name are not the same, or let a pretext task be learnt, which each fold does without "
            f"those who are tested{way_out}"
        )
    return True
