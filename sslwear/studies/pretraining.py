"""Pre-training runs: one for each distinct setting, logged as a run of its own and shared by all that ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from sklearn.model_selection import ShuffleSplit
from torch import Tensor

from sslwear.config import NO_PRETEXT, SUPERVISED
from sslwear.data.pretraining import PretrainingData
from sslwear.encoders.classifier import Card
from sslwear.encoders.heads import PUBLISHED
from sslwear.errors import DataError, LeakageError, SettingsError, WeightsError
from sslwear.pretext.base import get as get_pretext
from sslwear.reports.training_figures import learning_curves
from sslwear.studies.context import StudyContext, digest, key_of
from sslwear.studies.progress import ProgressCallback, beside_chance
from sslwear.tracking import RUN_URI, Run, people
from sslwear.tracking.checkpoints import load_weights
from sslwear.tracking.system_metrics import monitored
from sslwear.training import EpochRecord, FitData, FitSettings, fit
from sslwear.training.task import Classification, Task
from sslwear.training.windows import SampledWindows
from sslwear.tuning.base import parse as parse_tuning

PRETRAINING_VERSION = 1
"""Raise it when the arithmetic of pre-training changes: encoders of another version are pre-trained again."""


def pretrained(
    context: StudyContext, experiment_id: str, pretext: str, parent: str | None, listener: ProgressCallback
) -> tuple[Mapping[str, Tensor], str]:
    """Weights of an encoder pre-trained on a pretext task: those of an earlier run with the same settings, or new ones.

    An earlier run may be of another study of the same store. Only training participants are looked at; some of them are
    held out to stop by.

    Args:
        context: encoder, first weights, data and seed.
        experiment_id: the MLflow experiment's id.
        pretext: the task's name.
        parent: id of the run to nest a new run under.
        listener: hears of the epochs.

    Returns:
        The weights by tensor name, and the id of the run that they are from.
    """
    key, store = setting_key(context, pretext), context.store
    with store.lock(f"pretraining-{key}"):  # of processes that want the same, one computes
        for earlier in store.find(None, pretraining_key=key, outcome="finished"):
            origin = earlier.info.run_id
            with suppress(WeightsError):  # somebody deleted its checkpoint
                return load_weights(store, f"{RUN_URI}{origin}"), origin
        tags = {**context.tags(), **_data_tags(context, pretext), "pretraining_key": key, "pretext": pretext}
        what = note(context, pretext)
        with store.running(experiment_id, f"pretext {pretext}", "pretraining", parent, what, **tags) as run:
            pretrain(context, pretext, run, listener)
    return load_weights(store, f"{RUN_URI}{run.id}"), run.id


def pretraining_source(context: StudyContext, pretext: str) -> PretrainingData:
    """The windows that a pretext task is learnt on, before anybody is left out."""
    found = context.pretraining_data or PretrainingData((context.dataset,))
    return found.labelled() if pretext == SUPERVISED else found


def sees_tested(context: StudyContext, pretext: str) -> bool:
    """Whether it may see windows of those who are validated and tested: of other data, and never with their labels."""
    return context.transductive and context.pretraining_data is not None and pretext != SUPERVISED


def new_task(context: StudyContext, pretext: str) -> Task:
    """The pretext task of that name, or classification of the activities of `pretraining.data`."""
    if pretext == SUPERVISED:
        return Classification(len(pretraining_source(context, pretext).class_names))
    return get_pretext(pretext)()


def note(context: StudyContext, pretext: str) -> str:
    """What a pre-training run is, in a sentence for its description (Markdown)."""
    settings, data = context.settings, pretraining_source(context, pretext)
    on = "the activities of" if pretext == SUPERVISED else f"the pretext task `{pretext}`, on windows of"
    labels = ", **supervised by their labels**," if pretext == SUPERVISED else " without their labels,"
    seen = " **Those who are tested are among them (transductive).**" if sees_tested(context, pretext) else ""
    return (
        f"Fits {settings.encoder} (weights: {settings.weights}) on {on} `{data.name}`{labels} for at most "
        f"{settings.pretraining.max_epochs} epochs; trials that ask for the same start from it.{seen}"
    )


def _data_tags(context: StudyContext, pretext: str) -> dict[str, str]:
    data, seen = pretraining_source(context, pretext), sees_tested(context, pretext)
    return {"dataset": data.name, "fingerprint": data.fingerprint, "transductive": str(seen).lower()}


def setting_key(context: StudyContext, pretext: str) -> str:
    """Names everything on which the outcome of pre-training depends."""
    settings = context.settings
    data = pretraining_windows(context, pretext)
    return key_of(
        {
            "encoder": settings.encoder,
            "weights": digest(context.initial),
            "data": pretraining_source(context, pretext).fingerprint,
            "train": sorted(map(str, data.train.participants())),
            "held_out": sorted(map(str, data.validation.participants())),
            "pretext": pretext,
            "drawn": context.pretraining_data is not None,
            "settings": settings.pretraining.model_dump(exclude={"data"}),  # by content, not by place
            "seed": settings.seed,
            "device": context.device.type,
            "precision": context.precision,
            "include_nonwear": settings.include_nonwear,
            "version": PRETRAINING_VERSION,
        }
    )


def pretrain(context: StudyContext, pretext: str, run: Run, listener: ProgressCallback) -> None:
    """Pre-train an encoder and log all of it on an open run, which the caller ends.

    Args:
        context: encoder, first weights, data and seed.
        pretext: the task's name.
        run: where it is logged.
        listener: hears of the epochs.
    """
    settings, data = context.settings.pretraining, pretraining_windows(context, pretext)
    task = new_task(context, pretext)
    _introduce(context, pretext, data, run)
    listener.started(f"pretext {pretext}", settings.max_epochs)

    log = run.epochs()

    def on_epoch(record: EpochRecord) -> None:
        log(record)
        listener.epoch(record, task.headline)

    with monitored(run):
        result = fit(
            context.new_encoder(),
            task,
            data,
            parse_tuning("all", context.encoder),
            FitSettings(
                settings.learning_rate,
                settings.batch_size,
                settings.max_epochs,
                settings.patience,
                context.settings.seed,
                context.device,
                context.precision,
            ),
            on_epoch,
        )
    scores = result.validation.scores
    run.metrics({"loss": result.validation.loss, "best_epoch": result.best_epoch}, result.best_epoch)
    run.figure(learning_curves(result.history, result.best_epoch, task.headline), "learning_curves.png")
    run.checkpoint(result.network, _card(context, pretext), scores, result.best_epoch)
    run.describe(
        f"{note(context, pretext)}\n\nOn {len(data.validation.participants())} held-out training participants: "
        f"{task.headline} {scores[task.headline]:.3f}, in epoch {result.best_epoch} of {len(result.history)}, whose "
        "weights are kept."
    )
    listener.note(
        f"pretext {pretext}: held-out {beside_chance(scores, task.headline)} after {len(result.history)} epochs, "
        "kept for all trials that ask for it"
    )


def _card(context: StudyContext, pretext: str) -> Card:
    """The card of what was pre-trained; of its head where that tells activities."""
    card, data = context.card("all", pretext, PUBLISHED), pretraining_source(context, pretext)
    names = data.class_names if pretext == SUPERVISED else card.class_names
    return replace(card, dataset=data.name, fingerprint=data.fingerprint, class_names=names)


def _introduce(context: StudyContext, pretext: str, data: FitData, run: Run) -> None:
    """Log what a pre-training starts from."""
    run.text(context.settings.to_yaml(), "settings.yaml")
    run.params(
        {
            "pretext": pretext,
            "tuning": "all",
            **context.settings.pretraining.model_dump(),
            **context.runtime_params(),
            **people(train=data.train.participants(), held_out=data.validation.participants()),
        }
    )
    windows = {"train": len(data.train), "validation": len(data.validation)}
    run.datasets(pretraining_source(context, pretext).parts, windows)


def pretraining_windows(context: StudyContext, pretext: str) -> FitData:
    """Windows of people whom the labelled data neither validates nor tests on; some of them are held out to stop by.

    Raises:
        DataError: when there are fewer than two of them to split.
    """
    settings, shares = context.settings.pretraining, context.settings.split
    data, split = pretraining_source(context, pretext), context.split
    judged = {str(participant) for participant in (*split.validation, *split.test)}
    persons = data.people(context.dataset.description, () if sees_tested(context, pretext) else judged)
    try:
        splitter = ShuffleSplit(n_splits=1, test_size=shares.validation, random_state=shares.validation_seed)
        sides = next(splitter.split(persons))
    except ValueError as error:
        raise DataError(
            f"{data.place}: pre-training needs at least 2 training participants, one of them to stop by, and there "
            f"are {len(persons)}; add recordings or set pretext to {NO_PRETEXT}"
        ) from error
    train, held_out = ([pool for i in sorted(side) for pool in persons[i]] for side in sides)
    by_motion = settings.sampling == "motion"
    if context.pretraining_data is None and not by_motion:
        return FitData(*(context.windows(tuple(p.participant for p in side)) for side in (train, held_out)))
    share = None if context.pretraining_data is None else settings.windows_per_participant
    return FitData(
        *(SampledWindows(side, share, settings.participants_at_a_time, by_motion) for side in (train, held_out))
    )


def check_pretraining(context: StudyContext, names: Iterable[str]) -> None:
    """Refuse data that leave nobody to pre-train on, before anything starts, where a pretext task is wanted.

    Args:
        context: encoder, data and split.
        names: of the pretext tasks that may be asked for.

    Raises:
        DataError: when there are too few participants, or no labels where they are asked for.
        LeakageError: when these are labels of the people who are tested.
    """
    for name in sorted(set(names) - {NO_PRETEXT}):
        if name == SUPERVISED:
            _check_labels(context)
        pretraining_windows(context, name)


def _check_labels(context: StudyContext) -> None:
    """Refuse labels that supervised pre-training must not learn from."""
    dataset = context.dataset
    parts = pretraining_source(context, SUPERVISED).parts if context.pretraining_data is not None else ()
    if not parts:
        raise DataError(
            f"the pretext task {SUPERVISED} learns the labels of other people, and pretraining.data names no data set "
            "with labels; add one, such as pretraining.data: datasets/wisdm"
        )
    for part in parts:
        if part.fingerprint == dataset.fingerprint or part.description.source in (None, dataset.description.source):
            raise LeakageError(
                f"the pretext task {SUPERVISED} would learn the labels of {part.folder}, which may be of the people of "
                f"{dataset.folder}; give data sets of other sources, as their dataset.json says"
            )


def check_pretext(pretext: str) -> None:
    """Refuse to pre-train on nothing.

    Raises:
        SettingsError: when the pretext task is ``none``.
    """
    if pretext == NO_PRETEXT:
        raise SettingsError(
            "training.pretext is none, so there is nothing to pre-train on; choose a task, "
            "for example with --set training.pretext=reverse"
        )
