"""What each augmentation does to a window."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sslwear.augmentations.base import Augmentation
from sslwear.augmentations.flip import Flip
from sslwear.augmentations.jitter import Jitter
from sslwear.augmentations.mask import Mask
from sslwear.augmentations.rotation import Rotation
from sslwear.augmentations.scale import Scale
from sslwear.augmentations.scale_motion import ScaleMotion
from sslwear.augmentations.tempo import Tempo
from sslwear.augmentations.time_warp import TimeWarp
from sslwear.testing.augmentations import windows
from sslwear.testing.synthetic import seeded

seeds = st.integers(0, 2**32)
shares = st.floats(0.01, 0.9)


def changed(augmentation: Augmentation, seed: int, x: Tensor | None = None) -> Tensor:
    x = windows() if x is None else x
    return augmentation.apply(x, augmentation.draw(len(x), seeded(seed)))


@given(seed=seeds, degrees=st.floats(0.5, 180))
def test_rotate_keeps_lengths_and_turns_by_no_more_than_its_degrees(seed: int, degrees: float) -> None:
    x = windows()
    y = changed(Rotation(degrees), seed)
    torch.testing.assert_close(y.norm(dim=1), x.norm(dim=1), rtol=1e-4, atol=1e-5)
    matrices = Rotation(degrees).draw(100, seeded(seed)).double()
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(100).double(), rtol=0, atol=1e-5)
    cosine = (matrices.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2
    assert cosine.min() >= math.cos(math.radians(degrees)) - 1e-5


@given(seed=seeds, share=shares)
def test_scale_changes_gravity_and_motion_by_no_more_than_its_share(seed: int, share: float) -> None:
    x = windows()
    factor = changed(Scale(share), seed) / x
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor), rtol=1e-5, atol=0)
    assert (factor - 1).abs().max() <= share + 1e-5
    assert (factor - 1).abs().max() >= share / 2  # the largest of 32 windows


@given(seed=seeds, share=shares)
def test_scale_motion_keeps_the_mean_and_changes_the_spread_by_no_more_than_its_share(seed: int, share: float) -> None:
    x = windows()
    y = changed(ScaleMotion(share), seed)
    torch.testing.assert_close(y.mean(dim=-1), x.mean(dim=-1), rtol=0, atol=1e-5)
    factor = y.std(dim=-1) / x.std(dim=-1)
    assert (factor - 1).abs().max() <= share + 1e-4
    assert (factor - 1).abs().max() >= share / 2


@given(seed=seeds, share=shares)
def test_tempo_keeps_the_middle_and_the_range_of_a_window(seed: int, share: float) -> None:
    x = windows(151)
    y = changed(Tempo(share), seed, x)
    torch.testing.assert_close(y[..., 75], x[..., 75], rtol=0, atol=1e-5)
    assert (y.amax(dim=-1) <= x.amax(dim=-1) + 1e-5).all()
    assert (y.amin(dim=-1) >= x.amin(dim=-1) - 1e-5).all()


def test_tempo_changes_the_frequency_of_a_motion() -> None:
    time = torch.arange(900) / 30
    x = torch.sin(2 * math.pi * 2 * time).expand(64, 3, -1)
    drawn = Tempo(0.5).draw(64, seeded())
    y = Tempo(0.5).apply(x, drawn)
    crossings = (y[:, 0, 1:].sign() != y[:, 0, :-1].sign()).sum(dim=1)
    torch.testing.assert_close(crossings.float() / 120, drawn, rtol=0, atol=0.04)
    assert drawn.min() < 0.6
    assert drawn.max() > 1.4


@given(seed=seeds, sigma=st.floats(0.001, 1))
def test_jitter_has_its_standard_deviation_on_each_axis(seed: int, sigma: float) -> None:
    x = windows(900)
    noise = changed(Jitter(sigma), seed, x) - x
    assert noise.std().item() == pytest.approx(sigma, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.03 * sigma)
    torch.testing.assert_close(noise.std(dim=(0, 2)), torch.full((3,), sigma), rtol=0.05, atol=0)


@given(seed=seeds, sigma=st.floats(0.01, 1))
def test_time_warp_keeps_both_ends_and_the_order_of_samples(seed: int, sigma: float) -> None:
    ramp = torch.arange(150.0).expand(32, 3, 150)
    y = changed(TimeWarp(sigma), seed, ramp)
    torch.testing.assert_close(y[..., [0, -1]], ramp[..., [0, -1]], rtol=0, atol=1e-3)
    assert (y.diff(dim=-1) > 0).all()


class SinglePrecision(TorchDispatchMode):
    """A device without double precision, as MPS is; the device `meta` stands for it."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.device.type == "meta" and made.dtype == torch.float64:
            raise TypeError("the device has no double precision")
        return made


def test_time_warp_needs_no_double_precision_on_the_device_of_the_windows() -> None:
    x = windows().to("meta")
    with SinglePrecision():
        assert changed(TimeWarp(), 0, x).device == x.device


def test_time_warp_is_stronger_with_a_larger_sigma() -> None:
    ramp = torch.arange(150.0).expand(200, 3, 150)
    small, large = ((changed(TimeWarp(sigma), 0, ramp) - ramp).abs().mean() for sigma in (0.05, 0.2))
    assert 3 < large / small < 5


@given(seed=seeds, share=shares)
def test_mask_hides_its_share_in_one_stretch_behind_the_mean_of_the_rest(seed: int, share: float) -> None:
    x = windows()
    y = changed(Mask(share), seed)
    for window, masked in zip(x, y, strict=True):
        hidden = (window != masked).any(dim=0)
        (places,) = hidden.nonzero(as_tuple=True)
        assert len(places) == max(1, round(share * 150))
        assert int(places[-1] - places[0]) + 1 == len(places)
        mean = window[:, ~hidden].mean(dim=1, keepdim=True)
        torch.testing.assert_close(masked[:, hidden], mean.expand(-1, len(places)), rtol=0, atol=1e-5)


@given(seed=seeds, axis=st.sampled_from([1, 2, 3]))
def test_flip_mirrors_one_axis_of_some_windows(seed: int, axis: int) -> None:
    x = windows()
    mirrored = x.clone()
    mirrored[:, axis - 1] *= -1
    drawn = Flip(axis).draw(len(x), seeded(seed))
    y = Flip(axis).apply(x, drawn)
    assert torch.equal(y[drawn], mirrored[drawn])
    assert torch.equal(y[~drawn], x[~drawn])


def test_flip_mirrors_half_of_the_windows() -> None:
    assert Flip().draw(10_000, seeded()).float().mean().item() == pytest.approx(0.5, abs=0.02)
