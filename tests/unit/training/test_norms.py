"""Running statistics of batch norms in their first batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sslwear.training.norms import NewNorms

BATCHES = torch.randn(14, 32, 3, generator=torch.Generator().manual_seed(0)) * 0.2 + 1


def train(norm: nn.BatchNorm1d, batches: Tensor) -> nn.BatchNorm1d:
    new = NewNorms(norm)
    for batch in batches:
        with new.averaged():
            norm(batch)
    assert norm.momentum == 0.1
    return norm


@pytest.mark.parametrize("count", [1, 2, 10])
def test_statistics_are_the_mean_over_the_first_batches(count: int) -> None:
    norm = train(nn.BatchNorm1d(3), BATCHES[:count])
    assert torch.allclose(norm.running_mean, BATCHES[:count].mean(1).mean(0))
    assert torch.allclose(norm.running_var, BATCHES[:count].var(1).mean(0))


def test_statistics_of_later_batches_and_of_loaded_weights_are_as_usual() -> None:
    norm, other = train(nn.BatchNorm1d(3), BATCHES[:10]), nn.BatchNorm1d(3)
    other.load_state_dict(norm.state_dict())
    for batch in BATCHES[10:]:
        other(batch)
    assert torch.equal(train(norm, BATCHES[10:]).running_mean, other.running_mean)
    assert torch.equal(norm.running_var, other.running_var)


def test_frozen_statistics_stay() -> None:
    norm = train(nn.BatchNorm1d(3).eval(), BATCHES)
    assert norm.running_mean.tolist() == [0, 0, 0]
    assert norm.num_batches_tracked == 0
