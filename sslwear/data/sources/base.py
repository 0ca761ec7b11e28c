"""Interface of data sources, with how sources are found by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from sslwear.data.arrays import Stamp
from sslwear.data.checks import check_range
from sslwear.data.cuts import Cut, add_up, check_rate, check_used
from sslwear.data.recording import NO_LABEL, Recording, RecordingInfo
from sslwear.data.sources.raw import Raw
from sslwear.data.windowing import Windows, cut_usable, label_names, usable_part
from sslwear.errors import DataError
from sslwear.utils import plugins

__all__ = ["NO_LABEL", "STANDARD_GRAVITY", "Archive", "Options", "Recording", "Source", "find", "get"]

STANDARD_GRAVITY = 9.80665
"""m/s^2 in 1 g."""


@dataclass(frozen=True)
class Archive:
    """A published file.

    Attributes:
        url: address of the download.
        sha256: checksum, or None where it is unknown.
        size: approximate size, as text.
    """

    url: str
    sha256: str | None
    size: str


@dataclass(frozen=True)
class Options:
    """Options of a source.

    Attributes:
        label_scheme: name of one of several sets of labels; None for the first set of the source.
        all_activities: whether to read all recorded activities, instead of those of the published benchmark.
    """

    label_scheme: str | None = None
    all_activities: bool = False


class Source(ABC):
    """A data source: it turns raw files into recordings. Resampling, windowing and writing are shared by all sources.

    Args:
        raw: the published archive or its unpacked folder; None for a source whose files are part of the installation.
        options: what to read.

    Raises:
        DataError: when the files are missing, or the source does not have an option.
    """

    name: str
    title: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    homepage: ClassVar[str]
    archives: ClassVar[tuple[Archive, ...]] = ()
    """Files that `sslwear data fetch` downloads."""
    embedded: ClassVar[bool] = False
    """Whether its files are part of the installation."""
    label_schemes: ClassVar[tuple[str, ...]] = ()
    selects: ClassVar[bool] = False
    """Whether it reads only some activities by default."""
    window_s: ClassVar[float] = 10.0
    step_s: ClassVar[float] = 5.0
    limit_g: ClassVar[float | None] = None
    """Limit of the device's range in g, where it is known: windows with samples there are counted as clipped."""

    def __init__(self, raw: Path | None = None, options: Options | None = None) -> None:
        self.options = options or Options()
        if self.options.label_scheme is not None and not self.label_schemes:
            raise DataError(f"{self.name} has one set of labels; leave --label-scheme out")
        if self.options.all_activities and not self.selects:
            raise DataError(f"{self.name} always reads all activities; leave --all-activities out")
        if raw is None and not self.embedded:
            raise DataError(f"{self.name} needs raw files; give the published archive or its folder with --raw PATH")
        if raw is not None and self.embedded:
            raise DataError(f"{self.name} is part of the installation; leave --raw out")
        self._raw = Raw(raw) if raw is not None else None

    @property
    def raw(self) -> Raw:
        """The raw files."""
        assert self._raw is not None
        return self._raw

    def missing(self, files: str) -> DataError:
        """The error about a folder or an archive without the source's files; `files` is how they are named."""
        return DataError(f"{self.raw.path} has no files {files}; get the archive from {self.homepage}")

    def identity(self) -> dict[str, Any]:
        """Name, raw files and options, which tell whether windows were prepared from the same input."""
        raw = None if self._raw is None else str(self._raw.path.resolve())
        return {"source": self.name, "raw": raw, **asdict(self.options)}

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """All labels that a window can have."""

    @abstractmethod
    def participants(self) -> Sequence[int | str]:
        """The participants in order; no samples are read.

        Raises:
            DataError: when there are no raw files of this source.
        """

    @abstractmethod
    def files(self, participant: int | str) -> Sequence[str]:
        """Names of the raw files that a participant's windows depend on, as in `raw`."""

    def stamp(self, participant: int | str) -> dict[str, Stamp]:
        """Sizes and times of change of a participant's raw files, by name; a change means that they are read again."""
        return {name: self.raw.stamp(name) for name in self.files(participant)}

    @abstractmethod
    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read the recordings of one participant.

        Raises:
            DataError: when a raw file is damaged or in another format; the message names it.
        """

    def windows(
        self, participant: int | str, rate_hz: float, window_s: float, step_s: float, folder: Path
    ) -> Iterator[tuple[RecordingInfo, Windows]]:
        """Read the recordings of one participant and cut them into windows, see `cut_usable`.

        A source whose recordings do not fit into memory overrides this.

        Args:
            participant: the participant.
            rate_hz: samples per second of the windows.
            window_s: length of a window, in seconds.
            step_s: distance between the starts of windows, in seconds.
            folder: a folder for temporary files.

        Returns:
            Windows in order of time, with facts about the recording that they are from.

        Raises:
            DataError: see `recordings`; also when no accelerometer measures a sample, the rate is too low, or too much
                is cut because of its times.
        """
        place, used, slowest_hz = f"participant {participant} ({self.place(participant)})", 0, float("inf")
        cuts: list[Cut] = []
        for recording in self.recordings(participant):
            check_range(place, recording.samples)
            usable, axis = usable_part(recording)
            cuts += axis.cuts
            used += axis.used
            slowest_hz = min(slowest_hz, axis.rate_hz or recording.rate_hz)
            info = RecordingInfo(label_names(usable), usable.start, usable.note, axis.cuts)
            yield info, cut_usable(usable, axis, rate_hz, window_s, step_s, self.limit_g)
        check_used(place, used, add_up(cuts))
        check_rate(place, slowest_hz, rate_hz)

    def place(self, participant: int | str) -> str:
        """The first of a participant's raw files, for messages."""
        names = list(self.files(participant))
        more = f" or another of {len(names)} files" if len(names) > 1 else ""
        return f"{names[0]}{more}" if names else self.name

    def label_of(self, annotation: str) -> str | None:
        """The label of windows whose most frequent annotation is `annotation`; None leaves such windows out."""
        return annotation


def find() -> dict[str, type[Source]]:
    """All data sources by name."""
    return plugins.find("sslwear.data.sources", Source)


def get(name: str) -> type[Source]:
    """Return the source called `name`.

    Raises:
        SettingsError: when there is none.
    """
    return plugins.get("sslwear.data.sources", Source, name, "source")
