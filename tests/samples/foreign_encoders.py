"""Encoders from elsewhere, as a file that a study names: good ones and bad ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sslwear.encoders.foreign.base import ForeignEncoder


class Moments(ForeignEncoder):
    """Mean and spread of the axes in windows of 2 s at 20 Hz; it has no weights."""

    name = "moments"
    rate_hz = 20.0
    window_s = 2.0

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] == 40
        return torch.cat([x.mean(dim=2), x.std(dim=2)], dim=1)


class Random(ForeignEncoder):
    """Random convolutions with batch norm, for windows of 5 s at 50 Hz."""

    name = "random"
    rate_hz = 50.0
    window_s = 5.0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv1d(3, 16, 9, stride=4), nn.BatchNorm1d(16), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean(dim=2)


class Flat(ForeignEncoder):
    """Gives no features."""

    name = "flat"
    rate_hz = 20.0
    window_s = 2.0

    def forward(self, x: Tensor) -> Tensor:
        return x


class Broken(ForeignEncoder):
    """Cannot be made."""

    name = "broken"
    rate_hz = 20.0
    window_s = 2.0

    def __init__(self) -> None:
        super().__init__()
        raise FileNotFoundError("weights.pt")


class Rateless(ForeignEncoder):
    """Has no rate."""

    name = "rateless"
    window_s = 2.0
