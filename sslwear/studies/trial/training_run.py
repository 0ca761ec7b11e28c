"""One logged training: pre-training if it is asked for, fine-tuning, scores, figures and the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sslwear.config import NO_PRETEXT, SUPERVISED, TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.evaluation.participants import POOLED, mean_scores, per_participant
from sslwear.reports.training_figures import confusion_figure, learning_curves, participants_figure
from sslwear.studies.database.trials import pretraining_params, searched_pretraining
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.setup.resuming import logged_again
from sslwear.studies.trial.pretraining import pretrained
from sslwear.tracking import Run, participant_params
from sslwear.tracking.system_metrics import monitored
from sslwear.training import Checkpoints, EpochRecord, FitData, FitResult, fit
from sslwear.training.metrics import Labels, classification_scores, confusion
from sslwear.utils.words import count

TRAINING = "training"
"""What the first of several processes says to the others before they train."""
SUMMARY_SCORES = ("kappa", "f1", "precision", "recall")


def run_name(training: TrainingSettings, number: int | None = None) -> str:
    """Name of a run: ``#12 layer4-5 lr=3e-4 permutation``."""
    parts = [
        *([f"#{number}"] if number is not None else []),
        training.tuning,
        f"lr={brief(training.learning_rate)}",
        *([training.pretext] if training.pretext != NO_PRETEXT else []),
        *(["augmented"] if training.augment else []),
    ]
    return " ".join(parts)


def brief(rate: float) -> str:
    """A learning rate to two digits: ``3e-4``, ``3.2e-4``."""
    digits, exponent = f"{rate:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def note(training: TrainingSettings) -> str:
    """Description of a run in one sentence (Markdown)."""
    pretext = f" after the pretext task `{training.pretext}`" if training.pretext != NO_PRETEXT else ""
    if training.pretext == SUPERVISED:
        pretext = " after supervised pre-training on other participants' activities"
    named = f" `{training.augment}`" if isinstance(training.augment, str) else ""
    return (
        f"Fine-tunes `{training.tuning}` at a learning rate of {brief(training.learning_rate)}{pretext}, in batches of "
        f"{training.batch_size}, {'with' if training.augment else 'without'} augmentation{named}, for at most "
        f"{count(training.max_epochs, 'epoch')}, under the {training.head} head."
    )


def train(
    context: StudyContext,
    training: TrainingSettings,
    run: Run,
    parent: str | None,
    progress: ProgressCallback,
    keep: bool = True,
    checkpoints: Checkpoints | None = None,
) -> FitResult:
    """Pre-train (or find the pre-trained encoder), fine-tune and log; test participants are not used.

    Args:
        context: what all trials share.
        training: settings of this trial.
        run: an open run; the caller ends it.
        parent: id of the parent run of a pre-training.
        progress: receives the epochs.
        keep: whether the checkpoint and figures are logged too.
        checkpoints: of this training, which goes on from the last one; None for none.
    """
    tuning = context.tuning(training)
    data = _log_inputs(context, training, run)
    encoder = first_encoder(context, training, run, parent, progress)
    task = context.classification(training)
    progress.started(run_name(training), training.max_epochs)
    log = run.epochs()
    if checkpoints is not None:
        checkpoints.on_resume = logged_again(log, progress)
    classes, validation = len(context.dataset.class_names), context.windows(context.split.validation)

    def on_epoch(record: EpochRecord) -> None:
        log(record)
        progress.epoch(record, context.settings.objective)

    def scores(truth: Labels, predicted: Labels) -> dict[str, float]:
        return mean_scores(per_participant(truth, predicted, validation.pid, classes))

    with context.unchanged_data(), monitored(run, context.device):
        context.processes.of_first(TRAINING)  # see `sslwear.studies.trial.torchrun`
        how = context.fit_settings(training)
        result = fit(encoder, task, data, tuning, how, on_epoch, context.cache, scores, checkpoints)
    table = per_participant(result.validation.truth, result.validation.predicted, validation.pid, classes)
    _log_result(training, table, result, classes, run)
    if keep:
        _log_network(context, training, table, result, run)
    else:  # with a checkpoint its scores are logged
        run.metrics(result.validation.scores, result.best_epoch)
    return result


def take_part(context: StudyContext, training: TrainingSettings) -> None:
    """Do the part of another process than the first in a training, which has the encoder of the first one."""
    split, how = context.split, context.fit_settings(training)
    data = FitData(context.windows(split.train, training), context.windows(split.validation))
    with context.unchanged_data():
        task, tuning = context.classification(training), context.tuning(training)
        fit(context.new_encoder(), task, data, tuning, how, cache=context.cache)


def training_params(context: StudyContext, training: TrainingSettings) -> dict[str, Any]:
    """MLflow parameters of a training: its settings, what was searched of its pre-training, and where it runs."""
    pretraining = pretraining_params(searched_pretraining(context.settings, training))
    return {**training.model_dump(), **pretraining, **context.runtime_params()}


def first_encoder(
    context: StudyContext, training: TrainingSettings, run: Run, parent: str | None, progress: ProgressCallback
) -> Encoder:
    """The encoder that fine-tuning starts from, pre-trained if the settings ask for it; see `train`."""
    encoder, origin = pretrained_encoder(context, training, run.experiment, parent, progress)
    if origin is not None:
        run.tags(pretraining_run=origin)
    return encoder


def pretrained_encoder(
    context: StudyContext, training: TrainingSettings, experiment: str, parent: str | None, progress: ProgressCallback
) -> tuple[Encoder, str | None]:
    """The encoder of `first_encoder`, and the id of its pre-training's run."""
    if training.pretext == NO_PRETEXT:
        return context.new_encoder(), None
    state, origin = pretrained(context, experiment, training.pretext, parent, progress)
    return context.new_encoder(state, f"the pre-training run {origin}"), origin


def _log_inputs(context: StudyContext, training: TrainingSettings, run: Run) -> FitData:
    """Log parameters, participants and the data set of a training; returns its windows."""
    split = context.split
    who = participant_params(train=split.train, validation=split.validation)
    run.params({**training_params(context, training), **who})
    data = FitData(context.windows(split.train, training), context.windows(split.validation))
    run.dataset(context.dataset, {"train": len(data.train), "validation": len(data.validation)})
    return data


def _log_result(training: TrainingSettings, table: pd.DataFrame, result: FitResult, classes: int, run: Run) -> None:
    """Log metrics, tables and the description."""
    best = result.validation
    pooled = classification_scores(best.truth, best.predicted, classes)
    run.metrics({f"{POOLED}{name}": value for name, value in pooled.items()}, result.best_epoch)
    summary = {"loss": best.loss, "best_epoch": result.best_epoch, "epochs": len(result.history)}
    run.metrics(summary, result.best_epoch)
    run.table(table, "participants.csv")
    if (rates := tensor_rates(result.history)) is not None:
        run.text(rates, "learning_rates.csv")
    scores = ", ".join(f"{name} {best.scores[name]:.3f}" for name in SUMMARY_SCORES)
    run.describe(
        f"{note(training)}\n\nMean over {count(len(table), 'validation participant')}: {scores}, in epoch "
        f"{result.best_epoch} of {len(result.history)}, the epoch whose weights are kept. Metrics that begin with "
        "`val_` have the value of each epoch."
    )


def _log_network(
    context: StudyContext, training: TrainingSettings, table: pd.DataFrame, result: FitResult, run: Run
) -> None:
    """Log figures and the checkpoint."""
    best = result.validation
    log_figures(context, best.truth, best.predicted, table, result.history, result.best_epoch, run)
    card = network_card(context, training.tuning, training.pretext, training.head)
    run.checkpoint(result.network, card, best.scores, result.best_epoch)


def log_figures(
    context: StudyContext,
    truth: Labels,
    predicted: Labels,
    table: pd.DataFrame,
    history: Sequence[EpochRecord],
    epoch: int,
    run: Run,
) -> None:
    """Log the confusion matrix, the learning curves and the spread over validation participants."""
    names = context.dataset.class_names
    counts = confusion(truth, predicted, len(names))
    run.figure(confusion_figure(counts, names, "validation participants"), "confusion.png")
    run.figure(learning_curves(history, epoch, context.settings.objective), "learning_curves.png")
    spread = {name: table[name].tolist() for name in SUMMARY_SCORES}
    run.figure(participants_figure(spread, "validation participants"), "participants.png")


def tensor_rates(history: Sequence[EpochRecord]) -> str | None:
    """Learning rates of single tensors as CSV, for epochs in which they changed; None if each block has one rate."""
    if all(len(set(how.tensors.values())) <= 1 for record in history for how in record.learning.values()):
        return None
    rows = ["epoch,part,tensor,learning_rate"]
    for before, record in zip([None, *history], history, strict=False):
        if before is None or record.learning != before.learning:
            for part, how in record.learning.items():
                rows += [f"{record.epoch},{part},{tensor},{rate:g}" for tensor, rate in how.tensors.items()]
    return "\n".join(rows) + "\n"
