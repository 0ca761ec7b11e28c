"""Signal transforms of batches of windows (B, 3, L); they are pure functions, and each window is transformed by itself.

Random parameters are drawn on the CPU from an explicit generator, so a seed gives the same result on every device. The
windows are computed on their own device.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

Transform = Callable[[Tensor, torch.Generator], Tensor]
"""Function of windows (B, 3, L) and a CPU generator that returns windows (B, 3, L)."""
MIN_SPEED = 0.05
"""Lower limit of the relative speed of warped time, so that time never stops or runs backwards."""

SEGMENT_SAMPLES = 10
"""Minimum length of a segment that is put into another place."""


def resize(x: Tensor, samples: int) -> Tensor:
    """Windows (B, 3, L) resampled linearly to (B, 3, samples); the first and the last sample are kept."""
    if x.shape[-1] == samples:
        return x
    return torch.nn.functional.interpolate(x, size=samples, mode="linear", align_corners=True)


def where(chosen: Tensor, changed: Tensor, x: Tensor) -> Tensor:
    """Windows of `changed` where `chosen` (B,) is true, and of `x` elsewhere."""
    return torch.where(chosen.to(x.device).bool().view(-1, 1, 1), changed, x)


def reverse(x: Tensor) -> Tensor:
    """Windows with reversed time; the sensor axes are not changed."""
    return x.flip(-1)


def permute_segments(
    x: Tensor, generator: torch.Generator, segments: int = 4, min_samples: int | None = None
) -> Tensor:
    """Windows cut into segments of random length that are put into another order, never the original one.

    Args:
        x: windows (B, 3, L).
        generator: CPU generator of cuts and orders.
        segments: number of segments, 2 to 6.
        min_samples: minimum length of a segment; ``segments * min_samples`` cannot exceed L. None for
            `SEGMENT_SAMPLES`, or for half of an equal share of L where that is less.

    Raises:
        ValueError: when the window is too short for the segments.
    """
    batch, _, length = x.shape
    if min_samples is None:
        min_samples = max(1, min(SEGMENT_SAMPLES, length // (2 * segments)))
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
    """All orders of the segments except the original one, (segments! - 1, segments)."""
    return torch.tensor(list(itertools.permutations(range(segments)))[1:])


def time_warp(x: Tensor, generator: torch.Generator, sigma: float = 0.2, knots: int = 4) -> Tensor:
    """Windows with time warped along a smooth random curve; the endpoints are kept.

    The speed of time is a cubic spline through ``knots + 2`` equidistant values from N(1, sigma), at least MIN_SPEED.
    Its integral, scaled to the window, gives the positions at which the window is interpolated linearly. After Um et
    al., 'Data augmentation of wearable sensor data', ICMI 2017.

    Args:
        x: windows (B, 3, L).
        generator: CPU generator of the curves.
        sigma: standard deviation of the relative speed at a knot.
        knots: number of knots between the endpoints.
    """
    return warp_time(x, 1 + sigma * torch.randn(len(x), knots + 2, generator=generator))


def warp_time(x: Tensor, at_knots: Tensor) -> Tensor:
    """Windows with time warped by relative speeds at equidistant knots (B, knots), see `time_warp`.

    Positions are computed on the CPU, because PyTorch has no deterministic cumulative sum on CUDA, and in the type of
    `at_knots`.
    """
    length = x.shape[-1]
    at_knots = at_knots.cpu()
    speed = (at_knots @ _spline_basis(length, at_knots.shape[1] - 2).to(at_knots)).clamp(min=MIN_SPEED)
    clock = torch.nn.functional.pad(torch.cumulative_trapezoid(speed, dim=1), (1, 0))
    return _read_at(x, (clock / clock[:, -1:] * (length - 1)).clamp(0, length - 1))


def _read_at(x: Tensor, position: Tensor) -> Tensor:
    """Windows read at positions (B, L) from 0 to L - 1, by linear interpolation between samples.

    Positions may be on the CPU, because MPS has no double precision.
    """
    before = position.long().clamp(max=x.shape[-1] - 2)
    share, before = (position - before).to(x).unsqueeze(1), before.to(x.device)
    at = [x.gather(-1, index.unsqueeze(1).expand_as(x)) for index in (before, before + 1)]
    return torch.lerp(at[0], at[1], share)


@cache
def _spline_basis(length: int, knots: int) -> Tensor:
    """Matrix (knots + 2, length) from values at knots to values of the cubic spline at samples.

    A spline is linear in its values, so the splines of the unit vectors are enough for all batches.
    """
    from scipy.interpolate import CubicSpline  # here, because it takes long to import

    spline = CubicSpline(np.linspace(0, length - 1, knots + 2), np.eye(knots + 2))
    return torch.from_numpy(spline(np.arange(length)).T.astype(np.float32))


def tempo(x: Tensor, speed: Tensor) -> Tensor:
    """Windows played at another speed about their middle, resampled linearly to the same length.

    A slower window loses samples at both ends. A faster one needs samples from beyond its ends. They are mirrored at
    the ends, so that the signal has no step and no value that was not recorded.

    Args:
        x: windows (B, 3, L).
        speed: relative speeds (B,), above 0 and at most 3; 2 is twice as fast.
    """
    last = x.shape[-1] - 1
    middle = last / 2
    time = torch.arange(last + 1, device=x.device, dtype=x.dtype)
    position = (middle + speed.to(x).view(-1, 1) * (time - middle)).abs()
    return _read_at(x, (last - (last - position).abs()).clamp(0, last))


def random_factors(count: int, generator: torch.Generator, share: float) -> Tensor:
    """Factors (count,) that are uniform between 1 - `share` and 1 + `share`."""
    return 1 + share * (2 * torch.rand(count, generator=generator) - 1)


def scale(x: Tensor, factor: Tensor) -> Tensor:
    """Windows multiplied by a factor (B,), gravity included."""
    return factor.to(x).view(-1, 1, 1) * x


def scale_motion(x: Tensor, factor: Tensor) -> Tensor:
    """Windows whose difference from their mean is multiplied by a factor (B,); the mean, with gravity, is kept."""
    mean = x.mean(dim=-1, keepdim=True)
    return mean + factor.to(x).view(-1, 1, 1) * (x - mean)


def jitter(x: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Windows with added white noise, whose standard deviation (B,) is in g."""
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x + sigma.to(x).view(-1, 1, 1) * noise.to(x.device)


def white_noise(seeds: Tensor, samples: int) -> Tensor:
    """Standard normal noise (B, 3, samples), each window's from its own seed, on the device of the seeds.

    A number is a hash of the seed and of its place in the window. So noise need not be kept, is the same for a window
    in every batch, and is computed for a batch at once. Hash: 'lowbias32' of C. Wellons, 'Prospecting for hash
    functions', 2018.

    Args:
        seeds: whole numbers (B,) from 0 to 2**32 - 1.
        samples: length of the windows.
    """
    places = _hash(torch.arange(3 * samples, device=seeds.device))
    odd = 2 * (_hash(places ^ seeds.view(-1, 1)) >> 9) + 1  # 1 to 2**24 - 1, so that no number is infinite
    centred = (odd - 2**23).float() / 2**23
    return math.sqrt(2) * torch.erfinv(centred).view(-1, 3, samples)


def _hash(values: Tensor) -> Tensor:
    """Hashes of whole numbers from 0 to 2**32 - 1, in the same range; products overflow, which keeps their low bits."""
    values = values ^ (values >> 16)
    values = (values * 0x7FEB352D) & 0xFFFFFFFF
    values = values ^ (values >> 15)
    values = (values * 0x846CA68B) & 0xFFFFFFFF
    return values ^ (values >> 16)


def flip_axis(x: Tensor, axis: int) -> Tensor:
    """Windows with the opposite sign on one axis, 0 to 2."""
    signs = torch.ones(3, 1, device=x.device, dtype=x.dtype)
    signs[axis].neg_()
    return signs * x


def hide(x: Tensor, hidden: Tensor) -> Tensor:
    """Windows whose hidden samples (B, L) are replaced by the mean of the others on each axis."""
    return torch.where(hidden.unsqueeze(1), visible_mean(x, hidden), x)


def stretches(places: Tensor, length: int, samples: int) -> Tensor:
    """One stretch of each window.

    Args:
        places: places of the stretches (B,), from 0 for the beginning of the window to 1 for its end.
        length: window length in samples.
        samples: stretch length in samples.

    Returns:
        Whether a sample is in the stretch (B, length).
    """
    starts = (places * (length - samples + 1)).long().clamp(max=length - samples).unsqueeze(1)
    time = torch.arange(length, device=places.device)
    return (starts <= time) & (time < starts + samples)


def visible_mean(x: Tensor, hidden: Tensor) -> Tensor:
    """Mean (B, 3, 1) of each axis of windows (B, 3, L) over the samples that are not hidden (B, L)."""
    visible = ~hidden.unsqueeze(1)
    return torch.where(visible, x, 0).sum(dim=-1, keepdim=True) / visible.sum(dim=-1, keepdim=True)


def mirrored_half(x: Tensor, late: Tensor) -> Tensor:
    """Windows with one half replaced by the mirror image of the other, so that the signal has no step.

    Args:
        x: windows (B, 3, L).
        late: whether the second half is replaced, or the first (B,); the other half has ``(L + 1) // 2`` samples.
    """
    length = x.shape[-1]
    time = torch.arange(length, device=x.device)
    folded = torch.minimum(time, (length + 1) // 2 * 2 - 1 - time)
    source = torch.where(late.to(x.device).bool().unsqueeze(1), folded, (length - 1 - folded).flip(0))
    return x.gather(-1, source.unsqueeze(1).expand_as(x))


def random_rotations(count: int, generator: torch.Generator, most_degrees: float = 180) -> Tensor:
    """Rotation matrices (count, 3, 3) with random axes and uniform angles of at most `most_degrees` either way."""
    axis = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    angle = (2 * torch.rand(count, generator=generator) - 1) * math.radians(most_degrees)
    return rotation_matrices(axis, angle)


def rotation_matrices(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) of unit axes (B, 3) and angles (B,) in radians, by Rodrigues' formula."""
    zero = torch.zeros_like(angle)
    a, b, c = axis.unbind(1)
    cross = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).view(-1, 3, 3)
    sine, cosine = angle.sin().view(-1, 1, 1), angle.cos().view(-1, 1, 1)
    return torch.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def random_axis_switches(count: int, generator: torch.Generator) -> Tensor:
    """Matrices (count, 3, 3) that put the sensor's axes into a random order, possibly the original one."""
    order = torch.rand(count, 3, generator=generator).argsort(dim=1)
    return torch.eye(3)[order]
