"""Training loop of all tasks, supervised and self-supervised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from torch import Tensor

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import SslwearError
from sslwear.training.cache import FeatureCache
from sslwear.training.device import deterministic
from sslwear.training.epochs import Training, stops_early
from sslwear.training.evaluation import Scorer
from sslwear.training.results import EpochRecord, Evaluation, FitResult, FitSettings
from sslwear.training.task import Task
from sslwear.training.windows import FitData, WindowSource
from sslwear.tuning.base import TuningStrategy, parts


def fit(
    encoder: Encoder,
    task: Task,
    data: FitData,
    tuning: TuningStrategy,
    settings: FitSettings,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    cache: FeatureCache | None = None,
    scores: Scorer | None = None,
) -> FitResult:
    """Train an encoder with a new head, and keep the weights of the epoch with the lowest validation loss.

    The same arguments give the same result to the last bit.

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

    Raises:
        DivergenceError: when the loss is not finite.
        SslwearError: when there are no windows.
    """
    if len(data.train) == 0 or len(data.validation) == 0:
        raise SslwearError("there are no windows to train or to validate on. Check the split")
    training = Training(encoder, task, data.train, tuning, settings, cache, data.validation, scores)
    network, best_weights = training.network, _BestWeights(training.network)
    history: list[EpochRecord] = []
    best: tuple[int, Evaluation] | None = None
    frozen = tuning.frozen_in(1)
    with deterministic(settings.device):
        for epoch in range(1, settings.max_epochs + 1):
            before, frozen = frozen, tuning.frozen_in(epoch)
            if unfrozen := before - frozen:
                best_weights.copy(unfrozen)  # they have not changed yet, so these are their weights of the best epoch
            record = training.advance()
            assert training.evaluation is not None
            if best is None or record.validation_loss < best[1].loss:
                best = epoch, training.evaluation
                best_weights.copy(parts(network).keys() - frozen)
            history.append(record)
            if on_epoch is not None:
                on_epoch(record)
            if stops_early(tuning, settings, epoch, best[0]):
                break
    assert best is not None
    best_weights.restore()
    return FitResult(network.cpu().eval(), best[0], best[1], tuple(history))


def refit(
    encoder: Encoder,
    task: Task,
    windows: WindowSource,
    tuning: TuningStrategy,
    settings: FitSettings,
    epochs: int,
    cache: FeatureCache | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
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
        on_epoch: called after every epoch with its number and its training loss.

    Returns:
        The network, on the CPU, in evaluation mode.

    Raises:
        DivergenceError: when the loss is not finite.
        SslwearError: when there are no windows.
    """
    if len(windows) == 0:
        raise SslwearError("there are no windows to train on. Check the split")
    training = Training(encoder, task, windows, tuning, replace(settings, max_epochs=epochs), cache)
    with deterministic(settings.device):
        for _ in range(epochs):
            record = training.advance()
            if on_epoch is not None:
                on_epoch(record.epoch, record.train_loss)
    return training.network.cpu().eval()


class _BestWeights:
    """Snapshot of the weights of the best epoch; blocks that never learnt are not copied."""

    def __init__(self, network: Network) -> None:
        self._parts = parts(network)
        self._tensors: dict[str, dict[str, Tensor]] = {}

    def copy(self, names: Iterable[str]) -> None:
        """Copy the current tensors of some blocks, or of the head."""
        for name in names:
            state = self._parts[name].state_dict()
            if name in self._tensors:
                for key, value in state.items():
                    self._tensors[name][key].copy_(value)
            else:
                self._tensors[name] = {key: value.clone() for key, value in state.items()}

    def restore(self) -> None:
        """Load the copied tensors into the network."""
        for name, tensors in self._tensors.items():
            self._parts[name].load_state_dict(tensors)
