"""One run of the training core, logged: what a trial of a study and a single training have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from sslwear.data.collection import LABELLED
from sslwear.encoders.base import Encoder
from sslwear.evaluation.figures import confusion_figure, learning_curves, participants_figure
from sslwear.evaluation.participants import per_participant
from sslwear.monitoring import monitored
from sslwear.scores import confusion
from sslwear.search.experiment import NO_PRETEXT, Experiment
from sslwear.search.listener import Listener
from sslwear.search.pretraining import pretrained
from sslwear.settings import TrainingSettings
from sslwear.tracking import Run, people
from sslwear.training import EpochRecord, FitData, FitResult, fit

HEADLINES = ("kappa", "f1", "precision", "recall")


def run_name(training: TrainingSettings, number: int | None = None) -> str:
    """What a run is, in a line: ``#12 layer4-5 lr=3e-4 permutation``."""
    parts = [
        *([f"#{number}"] if number is not None else []),
        training.tuned,
        f"lr={brief(training.learning_rate)}",
        *([training.pretext] if training.pretext != NO_PRETEXT else []),
        *(["augmented"] if training.augment else []),
    ]
    return " ".join(parts)


def brief(rate: float) -> str:
    """A learning rate to two digits in the fewest letters: ``3e-4``, ``3.2e-4``."""
    digits, exponent = f"{rate:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def note(training: TrainingSettings) -> str:
    """What a run is, in a sentence for its description (Markdown)."""
    pretext = f" after the pretext task `{training.pretext}`" if training.pretext != NO_PRETEXT else ""
    if training.pretext == LABELLED:
        pretext = " after the activities of other people"
    return (
        f"Fine-tunes `{training.tuned}` at a learning rate of {brief(training.learning_rate)}{pretext}, in batches of "
        f"{training.batch_size}, {'with' if training.augment else 'without'} augmentation, for at most "
        f"{training.max_epochs} epochs, under the {training.head} head."
    )


def train(
    experiment: Experiment,
    training: TrainingSettings,
    run: Run,
    parent: str | None,
    listener: Listener,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    keep: bool = True,
) -> FitResult:
    """Pre-train or find the pre-trained encoder, fine-tune it, and log all of it; test participants are not looked at.

    Args:
        experiment: what the trials share.
        training: what is particular to this one.
        run: an open run; the caller ends it.
        parent: id of the run to nest a pre-training under.
        listener: hears of the epochs.
        on_epoch: called after every epoch is logged; what it raises ends the training.
        keep: whether the checkpoint and pictures are logged beside numbers and tables.
    """
    tuning = experiment.tuning(training)
    split = experiment.split
    who = people(train=split.train, validation=split.validation)
    run.params({**training.model_dump(), **experiment.circumstances(), **who})
    learning = experiment.windows(split.train, training)
    validation = experiment.windows(split.validation)
    data = FitData(learning, validation)
    run.dataset(experiment.dataset, {"train": len(learning), "validation": len(validation)})
    encoder = first_encoder(experiment, training, run, parent, listener)
    task = experiment.classification(training)
    listener.started(run_name(training), training.max_epochs)

    log = run.epochs()

    def after(record: EpochRecord) -> None:
        log(record)
        listener.epoch(record, experiment.settings.objective)
        if on_epoch is not None:
            on_epoch(record)

    with monitored(run):
        result = fit(encoder, task, data, tuning, experiment.fit_settings(training), after, experiment.cache)
    table = per_participant(
        result.validation.truth, result.validation.predicted, validation.pid, len(experiment.dataset.class_names)
    )
    _log_result(training, table, result, run)
    if keep:
        _log_network(experiment, training, table, result, run)
    else:  # with a checkpoint its scores are logged
        run.metrics(result.validation.scores, result.best_epoch)
    return result


def first_encoder(
    experiment: Experiment, training: TrainingSettings, run: Run, parent: str | None, listener: Listener
) -> Encoder:
    """The encoder that fine-tuning starts from, pre-trained if the settings want it; see `train`."""
    if training.pretext == NO_PRETEXT:
        return experiment.new_encoder()
    state, origin = pretrained(experiment, run.experiment, training.pretext, parent, listener)
    run.tags(pretraining_run=origin)
    return experiment.new_encoder(state, f"the pre-training run {origin}")


def _log_result(training: TrainingSettings, table: pd.DataFrame, result: FitResult, run: Run) -> None:
    """Log numbers, tables and what the run gave, in a sentence."""
    best = result.validation
    summary = {"loss": best.loss, "best_epoch": result.best_epoch, "epochs": len(result.history)}
    run.metrics(summary, result.best_epoch)
    run.text(table.to_csv(index=False), "participants.csv")
    if (rates := tensor_rates(result.history)) is not None:
        run.text(rates, "learning_rates.csv")
    scores = ", ".join(f"{name} {best.scores[name]:.3f}" for name in HEADLINES)
    run.describe(
        f"{note(training)}\n\nOn {table.shape[0]} validation participants: {scores}, in epoch {result.best_epoch} of "
        f"{len(result.history)}, whose weights are kept."
    )


def _log_network(
    experiment: Experiment, training: TrainingSettings, table: pd.DataFrame, result: FitResult, run: Run
) -> None:
    """Log pictures and the checkpoint."""
    best, names = result.validation, experiment.dataset.class_names
    counts = confusion(best.truth, best.predicted, len(names))
    run.figure(confusion_figure(counts, names, "validation participants"), "confusion.png")
    objective = experiment.settings.objective
    run.figure(learning_curves(result.history, result.best_epoch, objective), "learning_curves.png")
    spread = {name: table[name].tolist() for name in HEADLINES}
    run.figure(participants_figure(spread, "validation participants"), "participants.png")
    card = experiment.card(training.tuned, training.pretext, training.head)
    run.checkpoint(result.network, card, best.scores, result.best_epoch)


def tensor_rates(history: Sequence[EpochRecord]) -> str | None:
    """Learning rates of single tensors as CSV, of the epochs in which they are new; None where a block has one rate."""
    if all(len(set(how.tensors.values())) <= 1 for record in history for how in record.learning.values()):
        return None
    rows = ["epoch,part,tensor,learning_rate"]
    for before, record in zip([None, *history], history, strict=False):
        if before is None or record.learning != before.learning:
            for part, how in record.learning.items():
                rows += [f"{record.epoch},{part},{tensor},{rate:g}" for tensor, rate in how.tensors.items()]
    return "\n".join(rows) + "\n"
