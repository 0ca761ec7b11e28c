"""Steps of a training: the loss of a batch, its gradients, and the update of the weights."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sslwear.encoders.base import Network
from sslwear.training.batch import Batch
from sslwear.training.device import Stream, generator
from sslwear.training.evaluation import forward_part
from sslwear.training.norms import NewNorms
from sslwear.training.on_device import batches_of
from sslwear.training.results import FitSettings
from sslwear.training.task import Task
from sslwear.training.windows import WindowSource

GRADIENT_BATCHES = 5
"""Batches whose gradients a tuning strategy may use before an epoch, as many as Lee et al. use."""


class Steps:
    """Steps of a training, with the random numbers of the task and of dropout.

    Args:
        network: network in training.
        task: supervised classification or a pretext task.
        settings: settings of the training.
        optimizer: updates the weights.
        samples: window length of the encoder, in samples.
        features: number of features of the encoder.
    """

    def __init__(
        self,
        network: Network,
        task: Task,
        settings: FitSettings,
        optimizer: torch.optim.Optimizer,
        samples: int,
        features: int,
    ) -> None:
        self._network, self._task, self._settings, self._optimizer = network, task, settings, optimizer
        self._samples, self._features = samples, features
        self._learns: list[str] | None = None
        self._wrapped: DistributedDataParallel | None = None
        self._new_norms = NewNorms(network)
        streams = {"task": Stream.TRAINING, "gradients": Stream.GRADIENTS, "dropout": Stream.DROPOUT}
        self.draws = {name: generator(settings.seed, stream) for name, stream in streams.items()}
        if settings.device.type == "cuda":  # a CUDA graph cannot wait for numbers of the CPU
            self.draws["dropout"] = generator(settings.seed, Stream.DROPOUT, settings.device)

    @property
    def settled(self) -> bool:
        """Whether a step does the same as the one before; in the first steps batch norms are new."""
        return self._new_norms.settled

    def batch(self, x: Tensor, labels: Tensor) -> Batch:
        """The task's next training batch.

        Args:
            x: windows (B, 3, samples), or their outputs of the first blocks.
            labels: class indices (B,).
        """
        return Batch.of(self._task, x, labels, self.draws["task"], True, self._settings.processes)

    def take(self, batch: Batch, depth: int) -> Tensor:
        """Update the weights with a batch; returns the sum of its losses and the sum of their weights (2,).

        Args:
            batch: a batch of `batch`.
            depth: number of blocks that its inputs have passed.
        """
        with self._new_norms.averaged():
            loss, sums = self._loss(self._parallel(), batch, depth, self.draws["dropout"])
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._settings.clip_norm is not None:
            learning = [value for group in self._optimizer.param_groups for value in group["params"]]
            torch.nn.utils.clip_grad_norm_(learning, self._settings.clip_norm)
        self._optimizer.step()
        return sums

    def gradients(self, windows: WindowSource, view: int) -> Iterator[Mapping[str, Tensor]]:
        """Gradients of a few batches of training windows, see `sslwear.tuning.base.Gradients`."""
        settings, network, draws = self._settings, self._network, self.draws["gradients"]
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
        how = settings.whole_batch, self._samples, settings, draws, view, settings.processes.reading()
        try:
            for x, labels in itertools.islice(batches_of(windows, *how), GRADIENT_BATCHES):
                batch = Batch.of(self._task, x, labels, draws, training=True, processes=settings.processes)
                loss, _ = self._loss(network, batch, depth=0)
                found = torch.autograd.grad(loss, list(trained.values()))
                yield dict(zip(trained, map(settings.processes.mean, found), strict=True))
        finally:
            for name, value in network.named_buffers():  # the forward passes updated batch-norm statistics
                value.copy_(buffers[name])

    def passes(self, network: Network, source: WindowSource, view: int) -> Iterator[int]:
        """Forward passes of a network for all training windows; gives the number of rows of a batch before its pass.

        Batches are random, as in training. In the order of the recordings, a batch has windows of one participant and
        often of one activity, and so too little variance.
        """
        settings, draws = self._settings, generator(self._settings.seed, Stream.AVERAGE)
        how = settings.whole_batch, self._samples, settings, draws, view, settings.processes.reading()
        for x, labels in batches_of(source, *how):
            batch = Batch.of(self._task, x, labels, draws, training=True, processes=settings.processes)
            yield batch.count
            forward_part(network, batch, settings, source.depth)

    def _parallel(self) -> nn.Module:
        """The network, or its wrapper that averages gradients over the processes."""
        if not self._settings.processes.several:
            return self._network
        learns = [name for name, value in self._network.named_parameters() if value.requires_grad]
        if learns != self._learns:
            self._wrapped = None
            gc.collect()  # the wrapper before would go on averaging
            # Buffers are the same everywhere, because batch norms are in step.
            self._wrapped = DistributedDataParallel(self._network, forward_sync_buffers=False)
            self._learns = learns
        assert self._wrapped is not None
        return self._wrapped

    def _loss(
        self,
        network: nn.Module,
        batch: Batch,
        depth: int,
        dropout_draws: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Loss of a batch whose mean gradient over the processes is that of the whole batch's mean loss, and sums.

        Args:
            network: the network, or its wrapper.
            batch: this process's part of the batch.
            depth: number of blocks that its inputs have passed.
            dropout_draws: generator of dropout; None for no dropout.

        Returns:
            The loss, and the sum of the losses of the whole batch with the sum of their weights (2,).
        """
        together = self._settings.processes
        factors = self._dropout(batch.count, dropout_draws)
        output = forward_part(network, batch, self._settings, depth, factors)
        if self._task.across or not together.several:
            loss, weight = self._task.loss(batch.whole(output), batch.whole(batch.target))
            return loss / weight, torch.stack([loss.detach(), weight])
        loss, weight = self._task.loss(output, batch.target)
        sums = together.total(torch.stack([loss.detach(), weight]))
        return loss * (together.count / sums[1]), sums

    def _dropout(self, rows: int, draws: torch.Generator | None) -> Tensor | None:
        """Factors of the features (rows, features): 0 for dropped ones, and more than 1 for the others.

        PyTorch's module draws from its global generator, which folds in several threads would share.
        """
        kept = 1 - self._settings.dropout
        if kept == 1 or draws is None:
            return None
        factors = torch.empty(rows, self._features, device=draws.device).bernoulli_(kept, generator=draws) / kept
        return factors.to(self._settings.device)
