"""Networks that are trained on all participants who are not test participants, for a number of epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sslwear.config import TrainingSettings
from sslwear.encoders.base import Encoder, Network
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import digest
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.training_checkpoints import resumable
from sslwear.studies.trial.training_run import first_encoder
from sslwear.tracking import Run
from sslwear.training import Checkpoints, EpochRecord, refit
from sslwear.utils.words import count

LOSS = "all_train_loss"
"""Metric of the runs with these networks, by epoch."""


@contextmanager
def resumable_on_all(
    context: StudyContext,
    training: TrainingSettings,
    encoder: Encoder,
    epochs: int,
    progress: ProgressCallback,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Iterator[Checkpoints | None]:
    """Checkpoints of `fit_on_all` with the same arguments, see `resumable`; None for none.

    Args:
        context: the study's.
        training: settings of the training.
        encoder: initial weights.
        epochs: number of epochs.
        progress: receives a note if the training goes on.
        on_epoch: called for the epochs before an interruption.
    """

    def on_resume(history: Sequence[EpochRecord]) -> None:
        for record in history:
            on_epoch(record)
        after = count(len(history), "epoch")
        progress.note(f"the training on all participants goes on from a checkpoint, after {after}")

    how = f"on all, for {epochs} epochs, from {digest(encoder.state_dict())}"
    with resumable([context.on_all()], training, progress, how) as kept:
        for one in kept:
            one.on_resume = on_resume
        yield kept[0] if kept else None


def fit_on_all(
    context: StudyContext,
    training: TrainingSettings,
    encoder: Encoder,
    epochs: int,
    checkpoints: Checkpoints | None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Network:
    """A network trained on all participants that are not test participants, for a given number of epochs.

    Args:
        context: the study's.
        training: settings of the training.
        encoder: initial weights.
        epochs: number of epochs.
        checkpoints: with which it goes on; None for none.
        on_epoch: called after every epoch.
    """
    context = context.on_all()
    return refit(
        encoder,
        context.classification(training),
        context.windows(context.split.train, training),
        context.tuning(training),
        context.fit_settings(training),
        epochs,
        context.cache,
        on_epoch,
        checkpoints,
    )


def log_network(
    context: StudyContext,
    training: TrainingSettings,
    epochs: int,
    scores: Mapping[str, float],
    run: Run,
    parent: Run,
    progress: ProgressCallback,
) -> Network:
    """Train on all participants that are not test participants, and log the network on a run.

    Args:
        context: the study's.
        training: settings of a trial.
        epochs: number of epochs.
        scores: scores of the trial, logged with the network.
        run: an open run.
        parent: parent run of a pre-training.
        progress: receives a pre-training.
    """
    whole = context.on_all()

    def log(record: EpochRecord) -> None:
        run.metrics({LOSS: record.train_loss}, record.epoch)

    with context.unchanged_data():
        encoder = first_encoder(whole, training, run, parent.id, progress)
    with resumable_on_all(context, training, encoder, epochs, progress, log) as checkpoints:
        with context.unchanged_data():
            network = fit_on_all(context, training, encoder, epochs, checkpoints, log)
        run.checkpoint(network, network_card(context, training.tuning, training.pretext, training.head), scores, epochs)
    return network
