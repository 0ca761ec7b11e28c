"""Pre-training: one run for each distinct setting, shared by all trials that ask for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from sklearn.model_selection import ShuffleSplit
from torch import Tensor

from sslwear.config import NO_PRETEXT, SUPERVISED, OptimizationSettings, TrainingSettings
from sslwear.data.pretraining import PretrainingData
from sslwear.encoders.card import Card
from sslwear.encoders.heads import PUBLISHED
from sslwear.errors import DataError, WeightsError
from sslwear.pretext.base import CHANCE
from sslwear.pretext.base import get as get_pretext
from sslwear.reports.training_figures import learning_curves
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import PRETRAINING_VERSION, adapted_length, digest, key_of, plugin_identities
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.setup.progress import ProgressCallback, beside_chance
from sslwear.studies.setup.resuming import checkpoints_of, logged_again
from sslwear.studies.workers.heartbeats import heartbeat_of
from sslwear.tracking import RUN_URI, Run, participant_params
from sslwear.tracking.checkpoints import load_weights
from sslwear.tracking.outages import is_outage
from sslwear.tracking.system_metrics import monitored
from sslwear.training import Checkpoints, EpochRecord, FitData, FitResult, FitSettings, fit
from sslwear.training.task import Classification, Task
from sslwear.training.windows import SampledWindows
from sslwear.tuning.base import parse as parse_tuning
from sslwear.utils.words import count

PRETRAINING = "pretraining"
"""What the first of several processes says to the others before they pre-train."""
NOT_LEARNT = ". The score is no better than chance; more epochs or more windows may help"


def pretrained(
    context: StudyContext, experiment_id: str, pretext: str, parent: str | None, progress: ProgressCallback
) -> tuple[Mapping[str, Tensor], str]:
    """Pre-trained weights: from an earlier run with the same settings, or from a new run.

    The earlier run may belong to another study of the store. One process does a pre-training, and others that need it
    wait, or take it over if that one dies. Only training participants are used; some of them are held
    out for early stopping.

    Args:
        context: encoder, initial weights, data and seed.
        experiment_id: id of the MLflow experiment.
        pretext: name of the pretext task.
        parent: id of the parent run of a new run.
        progress: receives the epochs.

    Returns:
        The weights by tensor name, and the id of their run.
    """
    key, store = setting_key(context, pretext), context.store
    checkpoints = checkpoints_of(context, key, progress)
    with heartbeat_of(store).holding(_right(key)):  # one of several processes with the same key computes
        for earlier in store.find_runs(None, pretraining_key=key, outcome="finished"):
            origin = earlier.info.run_id
            try:
                weights = load_weights(store, f"{RUN_URI}{origin}")
                checkpoints.delete()  # if the process that did it was killed before it could
                return weights, origin
            except WeightsError as error:
                if is_outage(error):
                    raise
                # Otherwise its checkpoint was deleted.
        tags = {**context.tags(), **_data_tags(context, pretext), "pretraining_key": key, "pretext": pretext}
        what = note(context, pretext)
        with store.start_run(experiment_id, f"pretext {pretext}", "pretraining", parent, what, **tags) as run:
            pretrain(context, pretext, run, progress, checkpoints)
        checkpoints.delete()
    return load_weights(store, f"{RUN_URI}{run.id}"), run.id


def pretraining_rights(context: StudyContext, training: TrainingSettings) -> list[str]:
    """Names of the rights to do the pre-trainings that a trial needs in its folds."""
    if training.pretext == NO_PRETEXT:
        return []
    return [_right(setting_key(context.in_fold(fold), training.pretext)) for fold in context.folds]


def _right(key: str) -> str:
    return f"pretraining:{key}"


def pretraining_source(context: StudyContext, pretext: str) -> PretrainingData:
    """Windows that a pretext task uses, before participants are excluded."""
    found = context.pretraining_data or PretrainingData((context.dataset,))
    return found.labelled() if pretext == SUPERVISED else found


def sees_tested(context: StudyContext, pretext: str) -> bool:
    """Whether pre-training may use windows of validation and test participants: other data only, and no labels."""
    return context.transductive and context.pretraining_data is not None and pretext != SUPERVISED


def new_task(context: StudyContext, pretext: str) -> Task:
    """The pretext task of that name, or classification of the activities in `pretraining.data`."""
    if pretext == SUPERVISED:
        return Classification(len(pretraining_source(context, pretext).class_names))
    return get_pretext(pretext)()


def note(context: StudyContext, pretext: str) -> str:
    """Description of a pre-training run in one sentence (Markdown)."""
    settings, data = context.settings, pretraining_source(context, pretext)
    on = "the activities of" if pretext == SUPERVISED else f"the pretext task `{pretext}`, on windows of"
    labels = ", **supervised by their labels**," if pretext == SUPERVISED else " without their labels,"
    seen = " **They include test participants (transductive).**" if sees_tested(context, pretext) else ""
    return (
        f"Fits {settings.encoder} (weights: {settings.weights}) on {on} `{data.name}`{labels} for at most "
        f"{count(settings.pretraining.max_epochs, 'epoch')}. Trials with the same settings start from it.{seen}"
    )


def _data_tags(context: StudyContext, pretext: str) -> dict[str, str]:
    data, seen = pretraining_source(context, pretext), sees_tested(context, pretext)
    return {"dataset": data.name, "fingerprint": data.fingerprint, "transductive": str(seen).lower()}


def setting_key(context: StudyContext, pretext: str) -> str:
    """Key of everything that the result of pre-training depends on."""
    settings = context.settings
    data = pretraining_windows(context, pretext)
    identities = plugin_identities(context.encoder, pretext)
    return key_of(
        {
            **({"plugins": identities} if identities else {}),
            "encoder": settings.encoder,
            **adapted_length(context.encoder),
            "weights": digest(context.initial),
            "data": pretraining_source(context, pretext).fingerprint,
            "train": sorted(map(str, data.train.participants())),
            "held_out": sorted(map(str, data.validation.participants())),
            "pretext": pretext,
            "drawn": context.pretraining_data is not None,
            "settings": settings.pretraining.model_dump(exclude={"data"}),  # data by content, not by path
            "seed": settings.seed,
            "device": context.device.type,
            "precision": context.precision,
            "include_nonwear": settings.include_nonwear,
            "version": PRETRAINING_VERSION,
            **({"processes": context.processes.count} if context.processes.several else {}),
        }
    )


def pretrain(
    context: StudyContext, pretext: str, run: Run, progress: ProgressCallback, checkpoints: Checkpoints | None = None
) -> None:
    """Pre-train an encoder and log it on an open run, which the caller ends.

    Args:
        context: encoder, initial weights, data and seed.
        pretext: name of the pretext task.
        run: an open run.
        progress: receives the epochs.
        checkpoints: of this pre-training, which goes on from the last one; None for none.
    """
    settings, data = context.settings.pretraining, pretraining_windows(context, pretext)
    task = new_task(context, pretext)
    _introduce(context, pretext, data, run)
    progress.started(f"pretext {pretext}", settings.max_epochs)

    log = run.epochs()

    def on_epoch(record: EpochRecord) -> None:
        log(record)
        progress.epoch(record, task.headline)

    if checkpoints is not None:
        checkpoints.on_resume = logged_again(log, progress)
    with context.unchanged_data(), monitored(run, context.device):
        context.processes.of_first(PRETRAINING)  # see `sslwear.studies.trial.torchrun`
        result = _fit(context, task, data, on_epoch, checkpoints)
    scores = result.validation.scores
    run.metrics({"loss": result.validation.loss, "best_epoch": result.best_epoch}, result.best_epoch)
    run.figure(learning_curves(result.history, result.best_epoch, task.headline), "learning_curves.png")
    run.checkpoint(result.network, _card(context, pretext), scores, result.best_epoch)
    held_out = count(len(data.validation.participants()), "held-out training participant")
    unlearnt = NOT_LEARNT if scores[task.headline] <= scores.get(CHANCE, -math.inf) else ""
    run.describe(
        f"{note(context, pretext)}\n\nOn {held_out}: "
        f"{task.headline} {scores[task.headline]:.3f}, in epoch {result.best_epoch} of {len(result.history)}, the "
        f"epoch whose weights are kept{unlearnt}."
    )
    progress.note(
        f"pretext {pretext}: held-out {beside_chance(scores, task.headline)} after "
        f"{count(len(result.history), 'epoch')}, reused by all trainings with the same settings{unlearnt}"
    )


def take_part(context: StudyContext, pretext: str) -> None:
    """Do the part of another process than the first in a pre-training."""
    with context.unchanged_data():
        _fit(context, new_task(context, pretext), pretraining_windows(context, pretext))


def _fit(
    context: StudyContext,
    task: Task,
    data: FitData,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> FitResult:
    settings = context.settings.pretraining
    how = FitSettings(
        settings.learning_rate,
        settings.batch_size,
        settings.max_epochs,
        settings.patience,
        context.settings.seed,
        context.device,
        context.precision,
        device_bytes=context.settings.cache.device_bytes,
        threads=context.threads,
        processes=context.processes,
        **settings.model_dump(include=set(OptimizationSettings.model_fields)),
    )
    tuning = parse_tuning("all", context.encoder)
    return fit(context.new_encoder(), task, data, tuning, how, on_epoch, checkpoints=checkpoints)


def _card(context: StudyContext, pretext: str) -> Card:
    """Card of the pre-trained encoder, and of its head if it predicts activities."""
    card, data = network_card(context, "all", pretext, PUBLISHED), pretraining_source(context, pretext)
    names = data.class_names if pretext == SUPERVISED else card.class_names
    return replace(card, dataset=data.name, fingerprint=data.fingerprint, class_names=names)


def _introduce(context: StudyContext, pretext: str, data: FitData, run: Run) -> None:
    """Log settings, parameters and data sets of a pre-training."""
    run.text(context.settings.to_yaml(), "settings.yaml")
    run.plugins(context.settings.plugins)
    run.params(
        {
            "pretext": pretext,
            "tuning": "all",
            **context.settings.pretraining.model_dump(),
            **context.runtime_params(),
            **participant_params(train=data.train.participants(), held_out=data.validation.participants()),
        }
    )
    windows = {"train": len(data.train), "validation": len(data.validation)}
    run.datasets(pretraining_source(context, pretext).parts, windows)


def pretraining_windows(context: StudyContext, pretext: str) -> FitData:
    """Pre-training windows, of participants who are neither validated nor tested; some are held out for early stopping.

    Raises:
        DataError: when there are fewer than two such participants.
    """
    settings, shares = context.settings.pretraining, context.settings.split
    data, split = pretraining_source(context, pretext), context.split
    excluded = {str(participant) for participant in (*split.validation, *split.test)}
    persons = data.people(context.dataset.description, () if sees_tested(context, pretext) else excluded)
    try:
        splitter = ShuffleSplit(n_splits=1, test_size=shares.validation_share, random_state=shares.validation_seed)
        sides = next(splitter.split(persons))
    except ValueError as error:
        raise DataError(
            f"{data.place}: pre-training needs at least 2 training participants, one of them for early stopping, and "
            f"there are {len(persons)}. Add recordings or set pretext to {NO_PRETEXT}"
        ) from error
    train, held_out = ([pool for i in sorted(side) for pool in persons[i]] for side in sides)
    by_motion = settings.sampling == "motion"
    if context.pretraining_data is None and not by_motion:
        return FitData(*(context.windows(tuple(p.participant for p in side)) for side in (train, held_out)))
    share = None if context.pretraining_data is None else settings.windows_per_participant
    return FitData(
        *(SampledWindows(side, share, settings.participants_at_a_time, by_motion) for side in (train, held_out))
    )
