"""NT-Xent and retrieval, against their definitions written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sslwear.pretext.contrastive import TEMPERATURE, Contrastive

TASK = Contrastive()


def made(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 3, 60, generator=torch.Generator().manual_seed(0))
    return TASK.batch(x, torch.zeros(count, dtype=torch.long), torch.Generator().manual_seed(1), True)


def unit(rows: int) -> Tensor:
    vectors = torch.randn(rows, 50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return torch.nn.functional.normalize(vectors, dim=1)


def test_each_view_is_to_find_the_other_of_its_window() -> None:
    views, target = made(5)
    assert len(views) == 10
    assert target.tolist() == [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]
    assert not torch.equal(views[:5], views[5:])


def test_views_are_the_window_turned_by_at_most_45_degrees_and_scaled_with_noise() -> None:
    x = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1).expand(200, 3, 3000)
    views, _ = TASK.batch(x, torch.zeros(200, dtype=torch.long), torch.Generator().manual_seed(0), True)
    means = views.mean(dim=-1)
    torch.testing.assert_close(means.norm(dim=1), torch.ones(400), rtol=0, atol=0.01)
    turned = means[:, 2].clamp(-1, 1).acos().rad2deg()
    assert 35 < turned.max().item() < 45.5
    assert views.std(dim=-1).mean().item() == pytest.approx(0.05, rel=0.02)


def test_the_loss_is_nt_xent() -> None:
    _, target = made(6)
    z = unit(12)
    loss, weight = TASK.loss(z, target)
    expected = 0.0
    for i in range(12):
        others = [math.exp(float(z[i] @ z[k]) / TEMPERATURE) for k in range(12) if k != i]
        partner = math.exp(float(z[i] @ z[(i + 6) % 12]) / TEMPERATURE)
        expected -= math.log(partner / sum(others))
    assert TEMPERATURE == 0.1
    assert loss.item() == pytest.approx(expected)
    assert weight.item() == 12


def test_accuracy_counts_views_whose_most_similar_other_is_their_windows() -> None:
    _, target = made(3)
    e = torch.eye(50)
    z = torch.stack([e[0], e[1], e[2], e[0], e[1], e[3]])
    z[5] = torch.nn.functional.normalize(e[3] + 0.1 * e[0], dim=0)  # nearer to the first window's views
    z[2] = torch.nn.functional.normalize(e[2] + 0.1 * e[1], dim=0)
    truth, predicted = TASK.answers(z, target)
    assert (truth[:, 0] == predicted[:, 0]).tolist() == [True, True, False, True, True, False]
    assert TASK.scores(truth.numpy(), predicted.numpy()) == pytest.approx({"accuracy": 4 / 6, "chance": 1 / 5})


def test_chance_is_that_of_each_batchs_own_size() -> None:
    parts = [TASK.answers(unit(2 * count), made(count)[1]) for count in (4, 2)]
    truth, predicted = (torch.cat(side).numpy() for side in zip(*parts, strict=True))
    assert TASK.scores(truth, predicted)["chance"] == pytest.approx((8 / 7 + 4 / 3) / 12)


def test_a_window_by_itself_has_nothing_to_be_told_from() -> None:
    _, target = made(1)
    z = unit(2).requires_grad_()
    loss, _ = TASK.loss(z, target)
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None
    assert z.grad.isfinite().all()
