"""Batched transforms beside the per-sample form of the public tutorials.

    python benchmarks/transforms.py [--runs 3] [--batch 256] [--samples 300]

Reversal, permutation of four segments and time warp along a cubic spline, the three of the published pre-training:

- ours: `sslwear.transforms` on a batch of windows at once, what is drawn at random included;
- the reference: numpy and scipy, one window after another as a data loader's `__getitem__` makes them, written out
  below.

CPU time on one core, both sides in turn; medians of each run, and of the runs. Writes its table to RESULTS.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from machine import describe, write_section
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from sslwear import transforms

Window = NDArray[np.float32]
REPEATS = 15
"""Times that a side is measured in a run."""
WANTED = 30


def flipped(window: Window) -> Window:
    """Reference: a window (samples, 3) played backwards."""
    return np.flip(window, axis=0).copy()


def permuted(window: Window, rng: np.random.Generator, segments: int = 4, least: int = 10) -> Window:
    """Reference: cuts are drawn until every segment is long enough, and orders until one is another."""
    while True:
        cuts = np.sort(rng.integers(least, len(window) - least, segments - 1))
        edges = np.concatenate([[0], cuts, [len(window)]])
        if np.diff(edges).min() >= least:
            break
    order = rng.permutation(segments)
    while (order == np.arange(segments)).all():
        order = rng.permutation(segments)
    return np.concatenate([window[edges[i] : edges[i + 1]] for i in order])


def warped(window: Window, rng: np.random.Generator, sigma: float = 0.2, knots: int = 4) -> Window:
    """Reference: a spline through random speeds at the knots for each axis, as Um et al. wrote it, its sum as the new
    time, interpolated.
    """
    samples, axes = window.shape
    time_steps = np.arange(samples)
    at = np.linspace(0, samples - 1, knots + 2)
    speeds = rng.normal(1, sigma, (knots + 2, axes))
    result = np.empty_like(window)
    for axis in range(axes):
        clock = np.cumsum(CubicSpline(at, speeds[:, axis])(time_steps))
        clock = (clock - clock[0]) / (clock[-1] - clock[0]) * (samples - 1)
        result[:, axis] = np.interp(time_steps, clock, window[:, axis])
    return result


def warped_once(window: Window, rng: np.random.Generator, sigma: float = 0.2, knots: int = 4) -> Window:
    """The reference with one spline for all axes, as ours has."""
    time_steps = np.arange(len(window))
    at = np.linspace(0, len(window) - 1, knots + 2)
    clock = np.cumsum(CubicSpline(at, rng.normal(1, sigma, knots + 2))(time_steps))
    clock = (clock - clock[0]) / (clock[-1] - clock[0]) * (len(window) - 1)
    return np.stack([np.interp(time_steps, clock, signal) for signal in window.T], axis=1).astype(window.dtype)


def sides(batch: int, samples: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """What is compared, by name: ours and the reference, each for a whole batch."""
    windows = np.random.default_rng(0).normal(0, 0.5, (batch, samples, 3)).astype(np.float32)
    x = torch.from_numpy(windows.transpose(0, 2, 1).copy())
    rng, draws = np.random.default_rng(1), torch.Generator().manual_seed(1)

    def ours_all() -> object:
        return transforms.time_warp(transforms.permute_segments(transforms.reverse(x), draws), draws)

    def reference_all(warp: Callable[[Window, np.random.Generator], Window]) -> object:
        return [warp(permuted(flipped(window), rng), rng) for window in windows]

    return {
        "reversal": (lambda: transforms.reverse(x), lambda: [flipped(window) for window in windows]),
        "permutation": (
            lambda: transforms.permute_segments(x, draws),
            lambda: [permuted(window, rng) for window in windows],
        ),
        "time warp": (lambda: transforms.time_warp(x, draws), lambda: [warped(window, rng) for window in windows]),
        "the three, one after another": (ours_all, lambda: reference_all(warped)),
        "the three, one spline for all axes": (ours_all, lambda: reference_all(warped_once)),
    }


def microseconds(call: Callable[[], object], batch: int) -> float:
    """CPU time of a call, for each window of the batch; others may be using the machine."""
    began = time.thread_time()
    call()
    return (time.thread_time() - began) * 1e6 / batch


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--samples", type=int, default=300)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pairs = sides(arguments.batch, arguments.samples)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
    for run in range(arguments.runs + 1):  # the first warms up
        for name, pair in pairs.items():
            repeats = [[microseconds(call, arguments.batch) for call in pair] for _ in range(REPEATS if run else 2)]
            if run:
                ours, reference = (statistics.median(side) for side in zip(*repeats, strict=True))
                found[name].append((ours, reference))
                print(f"run {run}, {name}: {ours:.2f} and {reference:.1f} us, {reference / ours:.1f} x", flush=True)
    lines = [
        "| transform | reference us a window | ours us a window | ratio, median | ratios of the runs |",
        "|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        ratios = [reference / ours for ours, reference in runs]
        ours, reference = (statistics.median(side) for side in zip(*runs, strict=True))
        each = ", ".join(f"{ratio:.0f}" for ratio in ratios)
        lines.append(f"| {name} | {reference:.1f} | {ours:.2f} | **{statistics.median(ratios):.0f} x** | {each} |")
    table = "\n".join(lines)
    print(table)
    text = f"""{describe()}.

Windows of {arguments.samples} samples in batches of {arguments.batch}, random draws included, one core each, both sides
in turn; {arguments.runs} runs of {REPEATS} repeats. Wanted for the three together: {WANTED} x.

{table}"""
    write_section("Transforms: `python benchmarks/transforms.py`", text)


if __name__ == "__main__":
    main()
