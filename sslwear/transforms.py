"""Pure, batched signal transforms: windows (B, 3, L) in, windows (B, 3, L) out, nothing shared between samples.

Random parameters are drawn on the CPU from an explicit generator, so that a seed means the same on every device;
the work on the samples runs where the windows are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

Transform = Callable[[Tensor, torch.Generator], Tensor]
"""Windows (B, 3, L) and a CPU generator to windows (B, 3, L)."""
LEAST_SPEED = 0.05
"""Smallest speed of a warped clock, relative to the true one: time never stands still or runs backwards."""


def resize(x: Tensor, samples: int) -> Tensor:
    """Resample windows (B, 3, L) linearly to (B, 3, samples), first and last sample kept."""
    if x.shape[-1] == samples:
        return x
    return torch.nn.functional.interpolate(x, size=samples, mode="linear", align_corners=True)


def where(chosen: Tensor, changed: Tensor, x: Tensor) -> Tensor:
    """Take `changed` for the samples where `chosen` (B,) is true, and `x` elsewhere."""
    return torch.where(chosen.to(x.device).bool().view(-1, 1, 1), changed, x)


def reverse(x: Tensor) -> Tensor:
    """Turn the arrow of time round; the sensor axes stay as they are."""
    return x.flip(-1)


def permute_segments(x: Tensor, generator: torch.Generator, segments: int = 4, min_samples: int = 10) -> Tensor:
    """Cut each window into segments of random length and put them back in another order, never the same.

    Args:
        x: windows (B, 3, L).
        generator: CPU generator of the cuts and orders.
        segments: number of segments, 2 to 6.
        min_samples: least length of a segment; ``segments * min_samples`` cannot exceed L.

    Raises:
        ValueError: when the window is too short for the segments.
    """
    batch, _, length = x.shape
    slack = length - segments * min_samples
    if slack < 0:
        raise ValueError(f"{segments} segments of at least {min_samples} samples need more than {length} samples")
    cuts = torch.randint(0, slack + 1, (batch, segments - 1), generator=generator).sort(dim=1).values
    inner = cuts + min_samples * torch.arange(1, segments)
    starts = torch.cat([torch.zeros(batch, 1, dtype=torch.long), inner], dim=1)
    ends = torch.cat([inner, torch.full((batch, 1), length)], dim=1)
    orders = _orders(segments)
    order = orders[torch.randint(0, len(orders), (batch,), generator=generator)]
    starts, lengths = starts.gather(1, order), (ends - starts).gather(1, order)
    moved = (starts - (lengths.cumsum(1) - lengths)).to(x.device).flatten()
    moved = moved.repeat_interleave(lengths.to(x.device).flatten(), output_size=batch * length)
    source = torch.arange(length, device=x.device) + moved.view(batch, length)
    return x.gather(-1, source.unsqueeze(1).expand_as(x))


@cache
def _orders(segments: int) -> Tensor:
    """All orders of the segments but the one they came in, (segments! - 1, segments)."""
    return torch.tensor(list(itertools.permutations(range(segments)))[1:])


def time_warp(x: Tensor, generator: torch.Generator, sigma: float = 0.2, knots: int = 4) -> Tensor:
    """Let each window's clock run faster and slower along a smooth random curve, endpoints kept.

    The clock's speed is a cubic spline through ``knots + 2`` equidistant values drawn from N(1, sigma), and at least
    LEAST_SPEED; its integral, scaled to the window, says where each sample is read, with linear interpolation. After
    Um et al., 'Data augmentation of wearable sensor data', ICMI 2017.

    Args:
        x: windows (B, 3, L).
        generator: CPU generator of the curves.
        sigma: standard deviation of the speed at a knot, as a share of the true speed.
        knots: number of knots between the endpoints.
    """
    batch, _, length = x.shape
    at_knots = 1 + sigma * torch.randn(batch, knots + 2, generator=generator)
    speed = (at_knots @ _spline_basis(length, knots)).clamp(min=LEAST_SPEED)
    clock = torch.nn.functional.pad(torch.cumulative_trapezoid(speed, dim=1), (1, 0))
    position = (clock / clock[:, -1:] * (length - 1)).clamp(0, length - 1).to(x.device)
    before = position.long().clamp(max=length - 2)
    share = (position - before).to(x.dtype).unsqueeze(1)
    at = [x.gather(-1, index.unsqueeze(1).expand_as(x)) for index in (before, before + 1)]
    return torch.lerp(at[0], at[1], share)


@cache
def _spline_basis(length: int, knots: int) -> Tensor:
    """Matrix (knots + 2, length) that turns values at knots into a cubic spline's values at samples.

    A spline is linear in its values, so splining the unit vectors once serves every batch.
    """
    spline = CubicSpline(np.linspace(0, length - 1, knots + 2), np.eye(knots + 2))
    return torch.from_numpy(spline(np.arange(length)).T.astype(np.float32))


def scale_motion(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply what departs from each window's mean by the window's factor (B,); the mean, and gravity in it, stays."""
    mean = x.mean(dim=-1, keepdim=True)
    return mean + factor.to(x).view(-1, 1, 1) * (x - mean)


def jitter(x: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Add white noise with a standard deviation (B,) for each window, in g."""
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x + sigma.to(x).view(-1, 1, 1) * noise.to(x.device)


def stretches(batch: int, length: int, generator: torch.Generator, samples: int = 15, share: float = 0.3) -> Tensor:
    """Choose stretches of time at random places in each window; two may touch, none overlap.

    Args:
        batch: number of windows.
        length: samples of a window.
        generator: CPU generator of the places.
        samples: length of a stretch.
        share: of the window that the stretches are to cover, as near as whole stretches can, at least one.

    Returns:
        Which samples are in a stretch (batch, length), as many in each window.

    Raises:
        ValueError: when they leave nothing of the window.
    """
    count = max(1, round(share * length / samples))
    slack = length - count * samples
    if slack < 1:
        raise ValueError(f"{count} stretches of {samples} samples leave nothing of {length} samples")
    places = torch.randint(0, slack + 1, (batch, count), generator=generator).sort(dim=1).values
    starts = (places + samples * torch.arange(count)).unsqueeze(2)
    time = torch.arange(length)
    return ((starts <= time) & (time < starts + samples)).any(dim=1)


def visible_mean(x: Tensor, hidden: Tensor) -> Tensor:
    """Mean of each axis over the samples that are not hidden: windows (B, 3, L) and (B, L) to (B, 3, 1)."""
    seen = ~hidden.unsqueeze(1)
    return torch.where(seen, x, 0).sum(dim=-1, keepdim=True) / seen.sum(dim=-1, keepdim=True)


def mirrored_half(x: Tensor, late: Tensor) -> Tensor:
    """Replace one half of each window by the mirror image of the other, so that the signal goes on without a step.

    Args:
        x: windows (B, 3, L).
        late: whether the second half is replaced, or the first (B,); the half that stays has ``(L + 1) // 2`` samples.
    """
    length = x.shape[-1]
    time = torch.arange(length, device=x.device)
    folded = torch.minimum(time, (length + 1) // 2 * 2 - 1 - time)
    source = torch.where(late.to(x.device).bool().unsqueeze(1), folded, (length - 1 - folded).flip(0))
    return x.gather(-1, source.unsqueeze(1).expand_as(x))


def random_rotations(count: int, generator: torch.Generator, most_degrees: float = 180) -> Tensor:
    """Matrices (count, 3, 3) that turn about a random axis by an angle drawn evenly from up to `most_degrees` either
    way.
    """
    axis = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    angle = (2 * torch.rand(count, generator=generator) - 1) * math.radians(most_degrees)
    return rotation_matrices(axis, angle)


def rotation_matrices(axis: Tensor, angle: Tensor) -> Tensor:
    """Rodrigues' formula: unit axes (B, 3) and angles (B,) in radians to matrices (B, 3, 3)."""
    zero = torch.zeros_like(angle)
    a, b, c = axis.unbind(1)
    cross = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).view(-1, 3, 3)
    sine, cosine = angle.sin().view(-1, 1, 1), angle.cos().view(-1, 1, 1)
    return torch.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def random_axis_switches(count: int, generator: torch.Generator) -> Tensor:
    """Matrices (count, 3, 3) that put the sensor's axes in a random order, which may be the one they have."""
    order = torch.rand(count, 3, generator=generator).argsort(dim=1)
    return torch.eye(3)[order]


def augmentations(count: int, generator: torch.Generator, most_degrees: float | None = None) -> Tensor:
    """Matrices (count, 3, 3) that augment windows (count, 3, L) by ``matrices @ x``: a switch of axes, then a rotation.

    A matrix a window is all there is to an augmented view of a data set, so views need not be kept to be had again.

    Args:
        count: of windows.
        generator: CPU generator of axes and angles.
        most_degrees: turn by at most so much and switch no axes, as a watch sits a little differently on every wrist;
            None for any orientation.
    """
    if most_degrees is not None:
        return random_rotations(count, generator, most_degrees)
    switches = random_axis_switches(count, generator)
    return random_rotations(count, generator) @ switches
