"""What every source of recordings offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.arrays import Stamp
from sslwear.data.sources.raw import Raw
from sslwear.errors import DataError
from sslwear.utils import plugins

NO_LABEL = -1
"""Index of a label where there is none, as in `pandas.Categorical.codes`."""
STANDARD_GRAVITY = 9.80665
"""m/s^2 in a g."""


@dataclass(frozen=True)
class Recording:
    """One participant's acceleration, as it was recorded.

    Attributes:
        participant: who wore the device.
        samples: (n, 3) in g; a sample that is not finite is a gap.
        rate_hz: samples per second, nominally.
        label: the activity of the whole recording, of each sample (a `pandas.Categorical` of length n, missing where
            nothing was noted), or None when it has no labels.
        time: seconds since `start` of each sample (n,), which may have gaps, repeat or be out of order; None when the
            samples are evenly spaced at `rate_hz`.
        start: the date and time of second 0, or None where it is not known.
        worn: whether the device was worn, at each sample (n,); None when it was all the time.
        note: a line for the reader about how it was read.
    """

    participant: int | str
    samples: NDArray[np.floating]
    rate_hz: float
    label: str | pd.Categorical[Any] | None = None
    time: NDArray[np.float64] | None = None
    start: np.datetime64 | None = None
    worn: NDArray[np.bool] | None = None
    note: str = ""


@dataclass(frozen=True)
class Archive:
    """A published file.

    Attributes:
        url: where it is.
        sha256: its checksum, where the publisher or we know it.
        size: roughly, for the reader.
    """

    url: str
    sha256: str | None
    size: str


@dataclass(frozen=True)
class Options:
    """What a source may be asked for beside its files.

    Attributes:
        label_scheme: which of several sets of labels; None for the source's first.
        all_activities: everything that was recorded, and not only what the published benchmark keeps.
    """

    label_scheme: str | None = None
    all_activities: bool = False


class Source(ABC):
    """Turns raw files into labelled recordings; resampling, windowing, quality rules and writing are shared by all.

    Args:
        raw: the published archive or its unpacked folder; None for a source that brings its files along.
        options: what to read of it.

    Raises:
        DataError: when the files are not there, or the source does not have what `options` asks for.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    homepage: ClassVar[str]
    archives: ClassVar[tuple[Archive, ...]] = ()
    """What `sslwear data fetch` downloads."""
    embedded: ClassVar[bool] = False
    """Whether it brings its files along."""
    label_schemes: ClassVar[tuple[str, ...]] = ()
    selects: ClassVar[bool] = False
    """Whether it reads less than all activities when it is not asked for all."""
    window_s: ClassVar[float] = 10.0
    step_s: ClassVar[float] = 5.0
    limit_g: ClassVar[float | None] = None
    """Acceleration that the device cannot measure beyond, where it is known: samples there are counted as clipped."""

    def __init__(self, raw: Path | None = None, options: Options | None = None) -> None:
        self.options = options or Options()
        if self.options.label_scheme is not None and not self.label_schemes:
            raise DataError(f"{self.name} has one set of labels; leave --label-scheme out")
        if self.options.all_activities and not self.selects:
            raise DataError(f"{self.name} reads all activities anyway; leave --all-activities out")
        if raw is None and not self.embedded:
            raise DataError(f"{self.name} needs raw files; give the published archive or its folder with --raw PATH")
        if raw is not None and self.embedded:
            raise DataError(f"{self.name} brings its recordings along; leave --raw out")
        self._raw = Raw(raw) if raw is not None else None

    @property
    def raw(self) -> Raw:
        """The raw files."""
        assert self._raw is not None
        return self._raw

    def identity(self) -> dict[str, Any]:
        """What it reads, so that the same windows are not prepared twice."""
        raw = None if self._raw is None else str(self._raw.path.resolve())
        return {"source": self.name, "raw": raw, **asdict(self.options)}

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Every label that a window may get."""

    @abstractmethod
    def participants(self) -> Sequence[int | str]:
        """Who was recorded, in order; quick, because no samples are read.

        Raises:
            DataError: when there are no raw files of this source.
        """

    @abstractmethod
    def files(self, participant: int | str) -> Sequence[str]:
        """Every raw file that a participant's windows depend on, as `raw` names it."""

    def stamp(self, participant: int | str) -> dict[str, Stamp]:
        """State of a participant's raw files by name: another one means that they must be read again."""
        return {name: self.raw.stamp(name) for name in self.files(participant)}

    @abstractmethod
    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read one participant's recordings.

        Raises:
            DataError: when a raw file is not what it should be; the message names it.
        """

    def label_of(self, annotation: str) -> str | None:
        """The label of windows in which `annotation` is what was most often noted; None leaves such windows out."""
        return annotation


def find() -> dict[str, type[Source]]:
    """All sources by name."""
    return plugins.find("sslwear.data.sources", Source)


def get(name: str) -> type[Source]:
    """Return the source called `name`.

    Raises:
        SettingsError: when there is none.
    """
    return plugins.get("sslwear.data.sources", Source, name, "source")
