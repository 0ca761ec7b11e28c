"""Networks that are trained on all participants who are not test participants, for a number of epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from sslwear.config import TrainingSettings
from sslwear.encoders.base import Encoder, Network
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.training_checkpoints import going_on
from sslwear.studies.trial.training_run import first_encoder
from sslwear.tracking import Run
from sslwear.training import EpochRecord, refit
from sslwear.utils.words import count


def fit_on_all(
    context: StudyContext,
    training: TrainingSettings,
    encoder: Encoder,
    epochs: int,
    progress: ProgressCallback,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    resumes: bool = True,
) -> Network:
    """A network trained on all participants that are not test participants, for a given number of epochs.

    Args:
        context: the study's.
        training: settings of the training.
        encoder: initial weights.
        epochs: number of epochs.
        progress: receives a note if the training goes on.
        on_epoch: called after every epoch, and again for those before an interruption.
        resumes: whether a training that was interrupted goes on.
    """
    context, how = context.on_all(), f"on all, for {epochs} epochs"

    def on_resume(history: Sequence[EpochRecord]) -> None:
        for record in history:
            on_epoch(record)
        after = count(len(history), "epoch")
        progress.note(f"the training on all participants goes on from a checkpoint, after {after}")

    with ExitStack() as stack:
        kept = stack.enter_context(going_on([context], training, progress, how)) if resumes else []
        for one in kept:
            one.on_resume = on_resume
        return refit(
            encoder,
            context.classification(training),
            context.windows(context.split.train, training),
            context.tuning(training),
            context.fit_settings(training),
            epochs,
            context.cache,
            on_epoch,
            kept[0] if kept else None,
        )


def log_network(
    context: StudyContext,
    training: TrainingSettings,
    epochs: int,
    scores: Mapping[str, float],
    run: Run,
    parent: Run,
    progress: ProgressCallback,
    resumes: bool = True,
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
        resumes: whether a training that was interrupted goes on.
    """
    whole = context.on_all()

    def log(record: EpochRecord) -> None:
        run.metrics({"all_train_loss": record.train_loss}, record.epoch)

    with context.unchanged_data():
        encoder = first_encoder(whole, training, run, parent.id, progress)
        network = fit_on_all(context, training, encoder, epochs, progress, log, resumes)
    run.checkpoint(network, network_card(context, training.tuning, training.pretext, training.head), scores, epochs)
    return network
