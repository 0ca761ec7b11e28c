"""Training loop of all tasks, supervised and self-supervised."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SslwearError
from sslwear.training.cache import FeatureCache
from sslwear.training.checkpoint import Checkpoints, State
from sslwear.training.checkpoint_writer import CheckpointWriter
from sslwear.training.device import deterministic, seeded
from sslwear.training.epochs import Training
from sslwear.training.evaluation import Scorer
from sslwear.training.results import EpochRecord, FitResult, FitSettings
from sslwear.training.so_far import SoFar, record_of
from sslwear.training.task import Task
from sslwear.training.windows import FitData, WindowSource
from sslwear.tuning.base import TuningStrategy


def fit(
    encoder: Encoder,
    task: Task,
    data: FitData,
    tuning: TuningStrategy,
    settings: FitSettings,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    cache: FeatureCache | None = None,
    scores: Scorer | None = None,
    checkpoints: Checkpoints | None = None,
) -> FitResult:
    """Train an encoder with a new head, and keep the weights of the epoch with the lowest validation loss.

    The same arguments give the same result to the last bit, also after an interruption with checkpoints.

    Args:
        encoder: initial weights; its tensors are trained in place.
        task: supervised classification or a pretext task.
        data: training windows, and validation windows for early stopping.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size, early stopping and the like.
        on_epoch: called after every epoch; an exception that it raises ends the training.
        cache: stores the outputs of the frozen first blocks; without it they are computed for every batch. In float32
            it changes losses by rounding only.
        scores: scores of true and predicted answers for validation windows, in place of the task's own.
        checkpoints: of an earlier call with the same arguments, which goes on from the last one, and of this one;
            `on_epoch` is not called for epochs that are not trained again. None for none.

    Raises:
        DivergenceError: when the loss is not finite.
        SslwearError: when there are no windows.
    """
    if len(data.train) == 0 or len(data.validation) == 0:
        raise SslwearError("there are no windows to train or to validate on. Check the split")
    device = settings.device
    with deterministic(device):  # before the first product on the device
        training = Training(encoder, task, data.train, tuning, settings, cache, data.validation, scores)
        so_far = SoFar(training, settings.processes)
        with (
            settings.processes.noticing(),
            seeded(settings.seed, device),
            training.in_step(),
            so_far.kept(checkpoints),
        ):
            while not so_far.ended(tuning, settings):
                epoch = training.epochs + 1
                frozen = tuning.frozen_in(epoch)
                unfrozen = tuning.frozen_in(max(1, epoch - 1)) - frozen
                if unfrozen and training.place[1] == 0:  # not changed yet, so these are their weights of the best epoch
                    so_far.best_weights.copy(unfrozen)
                training.seed_draws()
                so_far.add(training.advance(), frozen)
                if on_epoch is not None:
                    on_epoch(so_far.history[-1])
    return so_far.result()


def refit(
    encoder: Encoder,
    task: Task,
    windows: WindowSource,
    tuning: TuningStrategy,
    settings: FitSettings,
    epochs: int,
    cache: FeatureCache | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Network:
    """Train like `fit`, but for a given number of epochs and without validation; the last weights are kept.

    Args:
        encoder: initial weights; its tensors are trained in place.
        task: supervised classification or a pretext task.
        windows: training windows.
        tuning: which blocks learn, and how fast.
        settings: learning rate, batch size and the like; `patience` and `max_epochs` are not used.
        epochs: number of epochs; the learning-rate schedule ends with the last one.
        cache: stores the outputs of the frozen first blocks.
        on_epoch: called after every epoch; the validation loss of its record is NaN.
        checkpoints: as for `fit`.

    Returns:
        The network, on the CPU, in evaluation mode.

    Raises:
        DivergenceError: when the loss is not finite.
        SslwearError: when there are no windows.
    """
    if len(windows) == 0:
        raise SslwearError("there are no windows to train on. Check the split")
    history: list[EpochRecord] = []
    device = settings.device
    with deterministic(device):  # before the first product on the device
        training = Training(encoder, task, windows, tuning, replace(settings, max_epochs=epochs), cache)
        with seeded(settings.seed, device), _kept(training, history, checkpoints):
            while len(history) < epochs:
                training.seed_draws()
                history.append(training.advance())
                if on_epoch is not None:
                    on_epoch(history[-1])
    return training.network.cpu().eval()


def _kept(
    training: Training, history: list[EpochRecord], checkpoints: Checkpoints | None
) -> AbstractContextManager[None]:
    """Go on from the last checkpoint, and write checkpoints in the block."""
    if checkpoints is None:
        return nullcontext()
    if (state := checkpoints.read()) is not None:
        training.load(state["training"])
        history += map(record_of, state["history"])
        if checkpoints.on_resume is not None:
            checkpoints.on_resume(history)

    def state_now() -> State:
        return {"training": training.state(), "history": [asdict(record) for record in history]}

    return CheckpointWriter(checkpoints, training, state_now, lambda: len(history)).watching()
