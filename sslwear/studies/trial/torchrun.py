"""A single training or pre-training in several processes, which torchrun starts.

The first process does what one process does: it finds earlier runs, logs, prints and writes checkpoints. It says to the
others what is trained next, and they take part in that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.studies.database.optuna_storage import store_errors
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.trial import pretraining
from sslwear.studies.trial import training_run as trial
from sslwear.studies.workers.local_workers import threads_each
from sslwear.tracking import Store
from sslwear.training.processes import Processes, joined, of_environment, own_device

NOTHING = ""
"""What the first process says when nothing more is trained."""


@contextmanager
def connected(settings: Settings) -> Iterator[tuple[Settings, Processes]]:
    """This process among those that torchrun has started, and the settings with its share of the machine.

    Args:
        settings: of the training.

    Raises:
        SettingsError: when the processes of this machine cannot have the device.
        ProcessLostError: when another process has ended.
    """
    if of_environment().several:
        update: dict[str, object] = {"device": own_device(settings.device)}
        if settings.threads == "auto":
            update["threads"] = threads_each(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        settings = settings.model_copy(update=update)
    with joined(settings.device) as processes:
        yield settings, processes


@contextmanager
def leading(settings: Settings) -> Iterator[tuple[Settings, Processes]]:
    """The first process, whose block trains; the others are told when it has ended; see `connected`.

    Raises:
        StudyError: when this is another process.
    """
    if not of_environment().first:
        raise StudyError(
            "several processes of torchrun can train with the commands sslwear pretrain and sslwear train only. Start "
            "these, or one process"
        )
    with connected(settings) as (mine, processes):
        yield mine, processes
        processes.of_first(NOTHING)


def take_part(settings: Settings, store: Store) -> None:
    """Take part in what the first process trains, until it trains nothing more; nothing is logged or printed.

    Args:
        settings: those of the first process.
        store: gives data and weights.

    Raises:
        SslwearError: when settings, data or weights cannot be used, or another process has ended.
    """
    with store_errors(store), connected(settings) as (mine, processes):
        single = mine.model_copy(update={"split": mine.split.for_training()})
        context = StudyContext.open(single, store, processes=processes)
        training = context.settings.training
        while (what := processes.of_first(NOTHING)) != NOTHING:
            if what == pretraining.PRETRAINING:
                pretraining.take_part(context, training.pretext)
            else:
                trial.take_part(context, training)
