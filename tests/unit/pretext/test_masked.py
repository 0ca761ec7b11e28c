"""Masked reconstruction: what is hidden, what counts, and what its score means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sslwear.pretext.masked import LEAST_MOTION_G, POINTS, Masked

TASK = Masked()


def made(samples: int = POINTS, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Windows about 1 g, what the network sees of them, and the target."""
    x = 1 + scale * torch.randn(16, 3, samples, generator=torch.Generator().manual_seed(0))
    return x, *TASK.batch(x, torch.zeros(16, dtype=torch.long), torch.Generator().manual_seed(1), True)


def test_hidden_segments_are_replaced_by_the_mean_of_the_visible_samples() -> None:
    x, inputs, target = made()
    hidden = target.isfinite()
    assert (hidden[:, :1] == hidden).all()
    assert hidden[:, 0].sum(dim=1).tolist() == [45] * 16
    assert torch.equal(inputs[~hidden], x[~hidden])
    for window, where, shown in zip(x, hidden, inputs, strict=True):
        for axis in range(3):
            mean = window[axis, ~where[axis]].mean()
            torch.testing.assert_close(shown[axis, where[axis]], mean.expand(45), rtol=0, atol=1e-5)


def test_the_target_is_what_was_there_in_units_of_the_windows_motion() -> None:
    x, inputs, target = made(scale=0.5)
    hidden = target.isfinite()
    ratio = ((x - inputs)[hidden] / target[hidden]).view(16, -1)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-3, atol=1e-3)
    assert ratio[:, 0].tolist() == pytest.approx([0.5] * 16, rel=0.15)


def test_the_noise_of_a_still_wrist_is_not_magnified() -> None:
    x, inputs, target = made(scale=0.001)
    hidden = target.isfinite()
    torch.testing.assert_close(target[hidden] * LEAST_MOTION_G, (x - inputs)[hidden], rtol=1e-4, atol=1e-6)


def test_only_hidden_samples_count() -> None:
    _, _, target = made()
    hidden = target.isfinite()
    output = torch.randn(16, 3, POINTS)
    elsewhere = torch.where(hidden, output, output + 100)
    assert torch.equal(TASK.loss(output, target)[0], TASK.loss(elsewhere, target)[0])
    expected = sum((output[i][hidden[i]] - target[i][hidden[i]]).square().mean() for i in range(16))
    torch.testing.assert_close(TASK.loss(output, target)[0], expected)


def score(output: Tensor, target: Tensor) -> float:
    truth, predicted = TASK.answers(output, target)
    assert truth.shape == (16,)
    return TASK.scores(truth.numpy(), predicted.numpy())["r2"]


def test_r2_is_0_for_the_mean_1_for_all_and_less_than_0_for_worse_than_the_mean() -> None:
    _, _, target = made()
    right = target.nan_to_num()
    assert score(torch.zeros(16, 3, POINTS), target) == 0
    assert score(right, target) == 1
    assert score(right / 2, target) == pytest.approx(0.75)
    assert score(-right, target) == pytest.approx(-3)


def test_r2_of_many_batches_is_of_all_their_samples_together() -> None:
    scores = TASK.scores(np.array([1.0, 3.0]), np.array([0.5, 0.0]))
    assert scores == {"r2": 0.125, "chance": 0}


@pytest.mark.parametrize("samples", [150, 300, 900])
def test_the_reconstruction_is_linear_between_its_points_whatever_the_windows_length(samples: int) -> None:
    _, _, target = made(samples)
    ramp = torch.linspace(-1, 1, samples).expand(16, 3, samples)
    target = torch.where(target.isfinite(), ramp, torch.nan)
    output = torch.linspace(-1, 1, POINTS).expand(16, 3, POINTS)
    assert TASK.loss(output, target)[0].item() == pytest.approx(0, abs=1e-9)
