"""Training provenance of weights, and leakage checks: which participants and labels they were trained on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from requests import RequestException

from sslwear.config import SUPERVISED, EvaluationSettings
from sslwear.data.dataset import Dataset
from sslwear.data.identity import participant_key
from sslwear.errors import LeakageError
from sslwear.studies.setup.context import StudyContext
from sslwear.tracking import MODEL_URI, RUN_URI, Store, participant_names
from sslwear.tracking.checkpoints import registered_version
from sslwear.tracking.outages import is_outage
from sslwear.tracking.provenance import PREFIX
from sslwear.utils.words import count

MAX_STEPS = 500
"""Number of ancestors that are followed; a promoted average has one for each of its networks."""
LOGGED_MODEL = re.compile(r"m-[0-9a-f]{32}")
"""Folder name that MLflow gives to a run's checkpoint."""
SIDES = ("train_participants", "validation_participants", "held_out_participants")


@dataclass(frozen=True)
class Source:
    """A data set as a run logged it: name, first characters of its fingerprint, and source if known."""

    name: str
    digest: str
    source: str | None

    def like(self, dataset: Dataset) -> bool:
        """Whether it may share participants with a data set: the same one, or one not known to be of another source."""
        mine, theirs = self.source, dataset.description.source
        return dataset.fingerprint.startswith(self.digest) or None in (mine, theirs) or mine == theirs


@dataclass(frozen=True)
class TrainingStep:
    """One training in the provenance of some weights.

    Attributes:
        sources: data sets of the training.
        people: training, validation and held-out participants, prefixed with the source's name and a colon if several
            data sets were given; None if unknown.
        labels: whether labels were used, or windows only.
        selected: those of `people` on whom only the number of epochs was selected.
    """

    sources: tuple[Source, ...]
    people: frozenset[str] | None
    labels: bool
    selected: frozenset[str] = frozenset()

    def known(self, source: Source, selected: bool = True) -> frozenset[str] | None:
        """Participants of one source, with or without those of `selected`; None if unknown."""
        if self.people is None:
            return None
        people = self.people if selected else self.people - self.selected
        # The second data set of a name has a number, see `PretrainingData.names`; of two copies MLflow keeps one.
        names = [one.name for one in self.sources]
        others = set(names) - {source.name} if names.count(source.name) == 1 else set()
        mark = re.compile(rf"({re.escape(source.name)}(?:-\d+)?):")
        marked = ((name, mark.match(name)) for name in people)
        mine = frozenset(name[found.end() :] for name, found in marked if found and found[1] not in others)
        return people | mine if len(names) == 1 else mine


def training_provenance(store: Store, weights: str) -> list[TrainingStep]:
    """Training provenance of weights, newest first, as far as the store knows.

    Published weights, and checkpoint files outside of the store, are not known.

    Args:
        store: store of runs and registered models.
        weights: value of a study file's ``weights:``.
    """
    found: list[TrainingStep] = []
    known, waiting = set[str](), [weights]
    while waiting and len(found) < MAX_STEPS:
        origin = waiting.pop()
        tags, place = _registered(store, origin)
        if place in known:  # the networks of an average have ancestors in common
            continue
        known.add(place)
        run = _run(store, place)
        if run is not None:
            found.append(_of_run(run))
            before = run.data.tags.get(f"{PREFIX}pretraining_run")
            waiting += [f"{RUN_URI}{before}"] if before else []
            waiting += [run.data.params["weights"]] if "weights" in run.data.params else []
            waiting += [f"{RUN_URI}{member}" for member in run.data.tags.get(f"{PREFIX}members", "").split()]
        elif tags:  # a model whose run was deleted
            source = Source(tags.get("dataset", ""), tags.get("fingerprint", ""), None)
            found.append(TrainingStep((source,), _people(tags), labels=True))
            waiting += [tags["weights"]] if "weights" in tags else []
    return found


def _run(store: Store, place: str) -> MlflowRun | None:
    """A run, also one marked as deleted in the UI, whose weights can still be read; None if it was removed."""
    if not place.startswith(RUN_URI):
        return None
    with _unless_missing():
        return store.client.get_run(place.removeprefix(RUN_URI).strip("/"))
    return None


def _run_of_file(store: Store, origin: str) -> str:
    """The run that logged a checkpoint file of the store; any other value unchanged."""
    for part in Path(origin).parts:
        if LOGGED_MODEL.fullmatch(part):
            with _unless_missing():
                return f"{RUN_URI}{store.client.get_logged_model(part).source_run_id}"
    return origin


def _registered(store: Store, origin: str) -> tuple[dict[str, str], str]:
    """Tags of a registered version without their prefix, which are empty for anything else, and the run of weights."""
    if origin.startswith(MODEL_URI):
        with _unless_missing():
            version = registered_version(store, origin)
            tags = {key.removeprefix(PREFIX): value for key, value in version.tags.items()}
            # Only `sslwear promote` sets tags, and not MLflow's UI.
            logged = f"{RUN_URI}{version.run_id}" if version.run_id else _run_of_file(store, version.source or origin)
            return tags, tags.get("run", logged)
    return {}, _run_of_file(store, origin)


@contextmanager
def _unless_missing() -> Iterator[None]:
    """Block that looks up what may not be in the store; that the store does not answer is an error."""
    try:
        yield
    except (MlflowException, OSError) as error:
        if isinstance(error, MlflowException | RequestException) and is_outage(error):
            raise


def _of_run(run: MlflowRun) -> TrainingStep:
    tags = {key.removeprefix(PREFIX): value for key, value in run.data.tags.items()}
    datasets = [found.dataset for found in run.inputs.dataset_inputs] if run.inputs is not None else []
    sources = tuple(
        Source(found.name, found.digest, json.loads(found.source).get("source") or None) for found in datasets
    )
    pretrained = "pretraining" in (tags.get("kind"), tags.get("repeats"))
    labels = not pretrained or run.data.params.get("pretext") == SUPERVISED
    only_selected = None
    if "train" in (tags.get("kind"), tags.get("repeats")):  # other trainings end with a network for all participants
        only_selected = participant_names(run.data.params.get("validation_participants", ""))
    return TrainingStep(sources, _people(run.data.params), labels, frozenset(only_selected or ()))


def _people(facts: dict[str, str]) -> frozenset[str] | None:
    told = [participant_names(facts[side]) for side in SIDES if side in facts]
    if not told or None in told:
        return None
    return frozenset(name for names in told for name in names or ())


def seen_participants(
    store: Store, weights: str, dataset: Dataset, participants: Iterable[object], labels: bool = False
) -> list[str]:
    """Participants of a data set that weights were trained or selected on, in any spelling.

    Where the participants of a training are unknown, all count as used.

    Args:
        store: store of runs and registered models.
        weights: value of a study file's ``weights:``.
        dataset: data set of the participants.
        participants: participants to look for.
        labels: whether only participants count whose labels were trained on.
    """
    names = [str(participant) for participant in participants]
    keys = {name: participant_key(name) for name in names}
    seen: set[str] = set()
    for step in training_provenance(store, weights):
        for source in step.sources if step.labels or not labels else ():
            if source.like(dataset):
                people = step.known(source, selected=not labels)
                seen |= set(keys.values()) if people is None else {participant_key(name) for name in people}
    return [name for name in names if keys[name] in seen]


def supervised_datasets(context: StudyContext, weights: str, pretext: str) -> tuple[str, ...]:
    """Names of the data sets whose labels an encoder was trained on before fine-tuning, sorted.

    Args:
        context: has the pre-training data.
        weights: initial weights of the encoder.
        pretext: pretext task that follows.
    """
    steps = training_provenance(context.store, weights)
    names = {source.name for step in steps if step.labels for source in step.sources}
    if pretext == SUPERVISED and context.pretraining_data is not None:
        names |= {part.description.name for part in context.pretraining_data.labelled().parts}
    return tuple(sorted(names))


def check_weights(context: StudyContext) -> None:
    """Check that a study's initial weights were not trained on its test participants.

    Raises:
        LeakageError: when they were.
    """
    settings, dataset = context.settings, context.dataset
    seen = seen_participants(context.store, settings.weights, dataset, context.split.test)
    if seen:
        raise LeakageError(
            f"weights: {settings.weights} were trained on participant {seen[0]} of {dataset.folder}, a test "
            f"participant ({len(seen)} in all). Use weights of other participants, set split.test_seed to its value "
            "when these were trained, or give both data sets a source in dataset.json if equal names are different "
            "participants"
        )


def check_judged(context: StudyContext, weights: str) -> list[str]:
    """Check that initial weights were not trained with labels of the participants by whom trials are judged.

    Args:
        context: the study's, or that of a search inside of a fold.
        weights: initial weights.

    Returns:
        Participants by whom trials are judged, and whose windows the weights were trained on without labels.

    Raises:
        LeakageError: when labels were used: scores and estimates of trials would be too high.
    """
    dataset, judged = context.dataset, context.judged
    if labelled := seen_participants(context.store, weights, dataset, judged, labels=True):
        raise LeakageError(
            f"weights: {weights} were trained with the labels of participant {labelled[0]} of {dataset.folder}, by "
            f"whom trials are judged ({len(labelled)} in all), so scores would be too high. Use weights of other "
            "participants or of a training without labels, or give both data sets a source in dataset.json if equal "
            "names are different participants"
        )
    return seen_participants(context.store, weights, dataset, judged)


def seen_in_words(unlabelled: Sequence[str]) -> str:
    """A sentence, without its full stop, about participants of `check_judged`."""
    who = f"{count(len(unlabelled), 'participant')} by whom trials are judged"
    return f"The initial weights were trained on windows of {who}, without labels, so scores may be somewhat too high"


def check_evaluation_weights(
    context: StudyContext, evaluation: EvaluationSettings, weights: str, tested: Iterable[object]
) -> bool:
    """Whether own weights were trained on windows of test participants, without labels.

    Raises:
        LeakageError: when they were and `evaluation.transductive` is not set, or when labels were used.
    """
    dataset = context.dataset
    seen = seen_participants(context.store, weights, dataset, tested)
    if not seen:
        return False
    steps = training_provenance(context.store, weights)
    steps = [step for step in steps if any(source.like(dataset) for source in step.sources)]
    labels = any(step.labels for step in steps)
    if labels or not evaluation.transductive:
        way_out = "" if labels else ", or set evaluation.transductive to true, which marks every result"
        raise LeakageError(
            f"weights: {weights} were trained on participant {seen[0]} of {dataset.folder}, a test participant "
            f"({len(seen)} in all). Use weights of other participants, give both data sets a source in dataset.json if "
            "equal names are different participants, or use a pretext task, which each fold trains without its test "
            f"participants{way_out}"
        )
    return True
