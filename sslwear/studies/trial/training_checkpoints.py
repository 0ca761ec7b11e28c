"""Checkpoints of the trainings of trials, jobs of an evaluation and selected trials, and of single trainings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sslwear.config import NO_PRETEXT, TrainingSettings
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import digest, key_of, plugin_identities
from sslwear.studies.setup.names import augmentation_of
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.setup.resuming import checkpoints_of
from sslwear.studies.trial.pretraining import setting_key
from sslwear.studies.workers.identity import RESULTS_VERSIONS
from sslwear.tracking.outages import is_memory, is_outage
from sslwear.training import Checkpoints
from sslwear.utils import plugins


def training_keys(contexts: Sequence[StudyContext], training: TrainingSettings, how: str = "") -> list[str]:
    """Key of everything that the result of a training depends on, in each of some contexts.

    Args:
        contexts: contexts that differ in their splits only.
        training: settings of the training.
        how: how it ends, where that is not said by the settings.
    """
    context = contexts[0]
    settings = context.settings
    tuning, augmentation = type(context.tuning(training)), augmentation_of(training)
    common = {
        "plugins": plugin_identities(context.encoder, training.pretext, tuning, augmentation),
        "encoder": settings.encoder,
        "weights": digest(context.initial),
        "data": context.dataset.fingerprint,
        "training": training.model_dump(),
        "seed": settings.seed,
        "device": context.device.type,
        "precision": context.precision,
        "include_nonwear": settings.include_nonwear,
        "versions": RESULTS_VERSIONS,
        "processes": context.processes.count,
        "how": how,
    }
    pretrains = training.pretext != NO_PRETEXT
    return [
        key_of(
            {
                **common,
                "split": vars(one.split),
                "pretraining": setting_key(one, training.pretext) if pretrains else None,
            }
        )
        for one in contexts
    ]


@contextmanager
def going_on(
    contexts: Sequence[StudyContext],
    training: TrainingSettings,
    progress: ProgressCallback,
    how: str,
    at_end: bool = False,
) -> Iterator[list[Checkpoints]]:
    """Checkpoints with which trainings in the block go on, one for each context; they are deleted when the block ends.

    They are kept when an interruption or an outage ends the block, so that the next one with the same arguments goes
    on. A tuning strategy from elsewhere may have a state, which a checkpoint does not have, so there are none with one.

    Args:
        contexts: contexts that differ in their splits only.
        training: settings of the trainings.
        progress: receives a warning about a checkpoint that cannot be used or written.
        how: what is trained, where the settings do not say it.
        at_end: whether the block does something after the trainings that takes long too.
    """
    if plugins.identity(type(contexts[0].tuning(training))):
        yield []
        return
    keys = training_keys(contexts, training, how)
    kept = [checkpoints_of(context, key, progress, at_end) for context, key in zip(contexts, keys, strict=True)]
    try:
        yield kept
    except Exception as error:
        if is_memory(error) or not is_outage(error):
            _delete(kept)
        raise
    _delete(kept)


def _delete(kept: Sequence[Checkpoints]) -> None:
    for one in kept:
        one.delete()
