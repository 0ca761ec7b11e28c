"""Checkpoints of the trainings of trials, jobs of an evaluation and selected trials, and of single trainings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from sslwear.config import NO_PRETEXT, TrainingSettings
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import adapted_length, digest, key_of, training_plugins
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.setup.resuming import checkpoints_of
from sslwear.studies.trial.pretraining import setting_key
from sslwear.studies.workers.heartbeats import heartbeat_of
from sslwear.studies.workers.identity import RESULTS_VERSIONS
from sslwear.training import Checkpoints
from sslwear.utils import plugins


def training_keys(contexts: Sequence[StudyContext], training: TrainingSettings, how: str) -> list[str]:
    """Key of everything that the result of a training depends on, in each of some contexts.

    Args:
        contexts: contexts that differ in their splits only.
        training: settings of the training.
        how: what else its result depends on.
    """
    context = contexts[0]
    settings = context.settings
    common = {
        "plugins": training_plugins(context, training),
        "encoder": settings.encoder,
        **adapted_length(context.encoder),
        "weights": digest(context.initial),
        "data": context.dataset.fingerprint,
        "classes": context.dataset.class_names,
        "training": training.model_dump(),
        "seed": settings.seed,
        "device": context.device.type,
        "precision": context.precision,
        "include_nonwear": settings.include_nonwear,
        "versions": RESULTS_VERSIONS,
        "processes": context.processes.count,
        "torch": torch.__version__,
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
def resumable(
    contexts: Sequence[StudyContext], training: TrainingSettings, progress: ProgressCallback, how: str
) -> Iterator[list[Checkpoints]]:
    """Checkpoints with which trainings in the block go on, one for each context; they are deleted when the block ends.

    When anything ends the block with an exception, they are kept, so that the next block with the same arguments goes
    on. The list is empty for a context that does not resume, while another process does the same trainings, and for a
    tuning strategy from elsewhere, which may have a state of its own.

    Args:
        contexts: contexts that differ in their splits only.
        training: settings of the trainings.
        progress: receives a warning about a checkpoint that cannot be used or written.
        how: what else the results depend on.
    """
    context = contexts[0]
    if not context.resumes or plugins.identity(type(context.tuning(training))):
        yield []
        return
    keys, heartbeat = training_keys(contexts, training, how), heartbeat_of(context.store)
    right = f"training:{key_of({'keys': keys})}"
    with heartbeat.trying(right) as mine:
        made = [checkpoints_of(one, key, progress) for one, key in zip(contexts, keys, strict=True)]
        yield made if mine else []
        if mine and heartbeat.claims.has(right):  # otherwise they are those of the process that took over
            for one in made:
                one.delete()
