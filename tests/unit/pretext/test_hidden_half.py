"""What the hidden half is described by."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sslwear.pretext.hidden_half import POSTURES, HiddenHalf, describe


def swing(hz: float, reach: float, gravity: int, samples: int = 150) -> Tensor:
    """A sine on all axes about gravity on one of them (1, 3, samples)."""
    x = reach * torch.sin(2 * math.pi * hz * torch.arange(samples) / 30).expand(3, samples).clone()
    x[gravity // 2] += 1 if gravity % 2 == 0 else -1
    return x.unsqueeze(0)


@pytest.mark.parametrize(("reach", "intensity"), [(0.005, 0), (0.02, 1), (0.06, 2), (0.15, 3), (0.3, 4), (0.6, 5)])
@pytest.mark.parametrize(("hz", "rhythm"), [(0.2, 0), (0.6, 1), (1.0, 2), (1.8, 3), (2.8, 4), (5.0, 5)])
def test_intensity_and_rhythm_are_told_in_bins(reach: float, intensity: int, hz: float, rhythm: int) -> None:
    assert describe(swing(hz, reach, 4))[0].tolist() == [intensity, rhythm, 4]


@pytest.mark.parametrize("posture", range(6))
def test_posture_is_the_axis_on_which_gravity_is_felt(posture: int) -> None:
    assert describe(swing(1, 0.1, posture))[0, 2] == posture
    assert POSTURES[posture] == f"{'+-'[posture % 2]}{'xyz'[posture // 2]}"


@pytest.mark.parametrize("length", [299, 300])
def test_it_is_the_hidden_half_that_is_described_and_nothing_of_it_is_seen(length: int) -> None:
    still = torch.zeros(64, 3, length)
    still[:, 2] = 1
    size = length // 2
    x = still.clone()
    x[..., -size:] = swing(1.0, 0.6, 0, size)  # the second half moves, about another axis
    inputs, target = HiddenHalf().batch(x, torch.zeros(64, dtype=torch.long), torch.Generator().manual_seed(0), True)
    second = target[:, 0] == 5
    assert 0.3 < second.double().mean() < 0.7
    assert torch.equal(inputs[second], still[second])
    assert target[second].unique(dim=0).tolist() == [[5, 2, 0]]
    assert target[~second][:, [0, 2]].unique(dim=0).tolist() == [[0, 4]]
