"""Training one epoch at a time: what is prepared, cancelling, early stopping."""

from __future__ import annotations

import math
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sslwear.data.dataset import Dataset
from sslwear.encoders.cnn import Cnn5
from sslwear.training import FeatureCache, FitSettings, FrozenBlocks, Windows
from sslwear.training.device import deterministic, seeded
from sslwear.training.epochs import Training, stops_early
from sslwear.training.task import Classification
from sslwear.tuning.base import parse

SETTINGS = FitSettings(learning_rate=1e-3, batch_size=8, max_epochs=9, patience=3, seed=3)


class Counting(Classification):
    """Classification that counts batches."""

    batches = 0

    def batch(self, *args: Any, **keywords: Any) -> Any:
        self.batches += 1
        return super().batch(*args, **keywords)


def training(small: Dataset, tuning: str = "layer5", cache: FeatureCache | None = None, validated: bool = True) -> Any:
    with seeded(0):
        encoder = Cnn5()
    train, validation = Windows.of(small, (1,)), Windows.of(small, (5,)) if validated else None
    task = Counting(3)
    return Training(encoder, task, train, parse(tuning, Cnn5), SETTINGS, cache, validation), task


def test_the_last_evaluation_belongs_to_the_record(small: Dataset) -> None:
    one, _ = training(small)
    assert one.evaluation is None
    for epoch in (1, 2):
        record = one.advance()
        assert record.epoch == one.epochs == epoch
        assert (record.validation_loss, record.scores) == (one.evaluation.loss, one.evaluation.scores)


def test_without_validation_windows_there_is_no_evaluation(small: Dataset) -> None:
    one, _ = training(small, validated=False)
    other, _ = training(small)
    record = one.advance()
    assert math.isnan(record.validation_loss)
    assert (record.scores, one.evaluation) == ({}, None)
    assert record.train_loss == other.advance().train_loss


@pytest.mark.parametrize("tuning", ["layer5", "gradual", "auto_rgn"])
def test_preparing_changes_nothing_but_where_outputs_are_computed(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    one, _ = training(small, tuning, FeatureCache(tmp_path / "one", 10**9, 10**9))
    other, _ = training(small, tuning, FeatureCache(tmp_path / "other", 10**9, 10**9))
    computed: list[int] = []
    real = FrozenBlocks.outputs

    def watch(self: FrozenBlocks, *args: Any) -> Any:
        computed.append(1)
        return real(self, *args)

    with deterministic(torch.device("cpu")):
        for _ in range(3):
            expected = other.advance()
            monkeypatch.setattr(FrozenBlocks, "outputs", watch)
            one.prepare()
            one.prepare()
            prepared = len(computed)
            assert replace(one.advance(), seconds=0) == replace(expected, seconds=0)
            assert len(computed) == prepared
            monkeypatch.undo()
    assert bool(computed) == (tuning != "auto_rgn")


def test_a_cancelled_training_ends_at_the_next_batch(small: Dataset) -> None:
    one, task = training(small)
    one.advance()
    before, one.cancelled = task.batches, True
    with pytest.raises(CancelledError):
        one.advance()
    assert task.batches == before
    assert one.epochs == 1


def test_a_network_keeps_no_gradients_between_epochs(small: Dataset) -> None:
    one, _ = training(small, "all")
    one.advance()
    assert all(parameter.grad is None for parameter in one.network.parameters())


@pytest.mark.parametrize(
    ("tuning", "best", "last"),
    [("head", 1, 4), ("head", 2, 5), ("gradual", 1, 9), ("gradual(2)", 1, 14), ("gradual", 8, 11)],
)
def test_patience_counts_from_the_best_epoch_or_the_last_unfreezing(tuning: str, best: int, last: int) -> None:
    strategy = parse(tuning, Cnn5)
    stopped = [epoch for epoch in range(1, 20) if stops_early(strategy, SETTINGS, epoch, best)]
    assert stopped == list(range(last, 20))
