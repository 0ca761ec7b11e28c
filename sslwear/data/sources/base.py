"""What every source of recordings offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sslwear import plugins


@dataclass(frozen=True)
class Recording:
    """One participant's continuous acceleration during one activity.

    Attributes:
        participant: who wore the device.
        samples: (n, 3) in g.
        rate_hz: samples per second.
        label: the activity.
    """

    participant: int | str
    samples: NDArray[np.floating]
    rate_hz: float
    label: str


class Source(ABC):
    """Turns raw files into labelled recordings; resampling, windowing and writing are shared by all sources."""

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    class_names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def recordings(self) -> Iterator[Recording]:
        """Read the recordings, one after another.

        Raises:
            DataError: when the raw files are missing or not what they should be.
        """


def find() -> dict[str, type[Source]]:
    """All sources by name."""
    return plugins.find("sslwear.data.sources", Source)
