"""Synthetic recordings, and small networks that learn from them in seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder
from sslwear.encoders.harnet import Block, Harnet
from sslwear.pretext.base import PretextTask
from sslwear.training import FitData, FitResult, FitSettings, WindowSource, fit
from sslwear.training.device import seeded as seeded_weights
from sslwear.training.reading import EVERYTHING, Reading, index_batches
from sslwear.tuning.base import parse

SAMPLES = 150
"""Window length of the network in samples, 5 s at 30 Hz."""


def seeded(seed: int = 0) -> torch.Generator:
    """A generator with a seed."""
    return torch.Generator().manual_seed(seed)


class SmallEncoder(Encoder):
    """Five blocks that train in seconds."""

    name = "small"
    window_samples = SAMPLES
    features = 160

    def __init__(self) -> None:
        super().__init__()
        sizes, strides = (3, 16, 32, 32, 32, 32), (2, 2, 2, 2, 2)
        blocks = [
            nn.Sequential(nn.Conv1d(a, b, 5, stride, 2, bias=False), nn.BatchNorm1d(b), nn.ReLU())
            for a, b, stride in zip(sizes[:-1], sizes[1:], strides, strict=True)
        ]
        self.feature_extractor = nn.Sequential(OrderedDict((f"layer{i}", b) for i, b in enumerate(blocks, 1)))


class NarrowHarnet(Harnet):
    """The blocks and residual units of harnet5 with few channels, for steps that take milliseconds."""

    name = "narrow"
    window_samples = SAMPLES
    features = 32
    layout = (Block(8, 2, 2, 2), Block(8, 2, 2, 2), Block(16, 2, 3, 1), Block(16, 2, 3, 1), Block(32, 0, 3, 1))


@dataclass(frozen=True)
class ArmSwings(WindowSource):
    """Synthetic recordings of an arm that swings forward faster than back, each window at another pace."""

    count: int
    who: int

    def __len__(self) -> int:
        return self.count

    def participants(self) -> list[Any]:
        return [self.who]

    def batches(
        self,
        size: int,
        samples: int,
        device: torch.device,
        shuffle: torch.Generator | None = None,
        view: int = 0,
        reading: Reading = EVERYTHING,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        draws = seeded(self.who)
        pace = 0.4 + 1.2 * torch.rand(self.count, 1, generator=draws)
        reach = 0.1 + 0.5 * pace
        phase = (pace * torch.arange(samples) / 30 + torch.rand(self.count, 1, generator=draws)) % 1
        swing = reach * torch.where(phase < 0.2, 5 * phase, 1.25 * (1 - phase))
        windows = torch.stack([swing, 0.3 - 0.5 * swing, 1 - 0.2 * swing], dim=1)
        for chosen in islice(index_batches(self.count, size, shuffle), reading.skip, None):
            yield windows[chosen[reading.part(len(chosen))]], torch.zeros(len(chosen), dtype=torch.long)


def fitted(task: PretextTask, tuning: str = "all", **changes: Any) -> FitResult:
    """Result of a short training of a small network."""
    with seeded_weights(0):
        encoder = SmallEncoder()
    settings = FitSettings(learning_rate=3e-3, batch_size=32, max_epochs=15, patience=15, seed=1)
    data = FitData(ArmSwings(256, 0), ArmSwings(64, 1))
    return fit(encoder, task, data, parse(tuning, SmallEncoder), replace(settings, **changes))
