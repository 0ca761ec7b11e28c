"""How files are read: columns, times, unit, rate and time zone of recordings, the part to use, and non-wear."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from sslwear.data.files.buffer import AXES, TIME
from sslwear.data.files.clock import check_zone
from sslwear.errors import SettingsError

UNITS: Mapping[str, float] = {"g": 1.0, "m/s2": 9.80665, "mg": 1000.0}
"""Units of acceleration, and what 1 g is in them."""
EPOCHS: Mapping[str, int] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Units of times that are numbers since 1970 in UTC, in nanoseconds."""
CLOCKS = ("fixed", "local")
OTHER_COLUMNS = "name its columns with --columns TIME,X,Y,Z, or without times with --columns X,Y,Z --rate --start-time"
BY_PLACE = "name them by place with --columns, e.g. --columns 1,2,3,4"
OTHER_TIMES = (
    "give the form of its times with --time-format, such as '%d/%m/%Y %H:%M:%S', with %f for digits after the point"
)
"""What to do about tables with other columns or times than the usual ones."""


class TableError(ValueError):
    """A table that cannot be read as it was to be.

    Args:
        what: what is wrong.
        advice: what to do.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


@dataclass(frozen=True)
class NonwearRule:
    """When a device counts as not worn. The defaults are actipy's.

    Attributes:
        still_g: 10 s are still when the standard deviation of each axis is below this, in g.
        minutes: non-wear is a stretch of still 10 s that is longer than this.

    Raises:
        SettingsError: when a value is not positive, or the stretch is longer than a year.
    """

    still_g: float = 0.015
    minutes: float = 90.0

    def __post_init__(self) -> None:
        if not 0 < self.still_g <= 1:
            raise SettingsError(f"--nonwear-threshold {1000 * self.still_g:g} is not from 0 to 1000 mg. Give e.g. 15")
        if not 0 < self.minutes <= 525_600:
            raise SettingsError(f"--nonwear-minutes {self.minutes:g} is not above 0. Give minutes, e.g. 90")


@dataclass(frozen=True)
class RecordingFormat:
    """Format of CSV, NumPy and Parquet recordings.

    Attributes:
        columns: names of the columns of time, x, y and z, or of x, y and z where the files have no times. Numbers are
            places, from 1 on, as in files without a line of names.
        time_format: ``s``, ``ms``, ``us`` or ``ns`` since 1970 or from `start_time`, or a pattern of ``strptime``; None
            to find it.
        unit: unit of acceleration, see `UNITS`; None to find it.
        rate_hz: samples per second, for files without times, and for times that several samples share; None for the
            rate by the times.
        start_time: date and time of the first sample of files without times, or with times from the start.

    Raises:
        SettingsError: when a value is impossible, or a file without times has no start or rate.
    """

    columns: tuple[str, ...] = (TIME, *AXES)
    time_format: str | None = None
    unit: str | None = "g"
    rate_hz: float | None = None
    start_time: str | None = None

    def __post_init__(self) -> None:
        if len(self.columns) not in (3, 4) or not all(self.columns) or len(set(self.columns)) < len(self.columns):
            raise SettingsError(
                f"--columns {','.join(self.columns)} is not four different names. Write the columns of time, x, y and "
                "z in this order, e.g. --columns time,x,y,z"
            )
        if self.unit is not None and self.unit not in UNITS:
            raise SettingsError(f"--units {self.unit} is unknown. Write one of {', '.join(UNITS)}")
        if self.rate_hz is not None and not 0.1 <= self.rate_hz <= 10_000:
            raise SettingsError(f"--rate {self.rate_hz:g} is not from 0.1 to 10000. Give samples per second")
        if self.time_format is not None and self.time_format not in EPOCHS and "%" not in self.time_format:
            raise SettingsError(
                f"--time-format {self.time_format} is unknown. Write s, ms, us or ns for times since 1970, or a "
                "pattern such as '%d/%m/%Y %H:%M:%S.%f'"
            )
        if self.time_format is not None and "%" in self.time_format and not re.search("%[djxcuw]", self.time_format):
            raise SettingsError(
                f"--time-format {self.time_format} has no day. Write times with their dates, or leave them out with "
                "--columns X,Y,Z --rate --start-time"
            )
        if self.start_time is not None:
            moment("--start-time", self.start_time)
        if not self.timed and (self.rate_hz is None or self.start_time is None):
            raise SettingsError(
                "--columns has no time. Give --rate and --start-time, e.g. --rate 100 --start-time '2024-05-01 12:00'"
            )

    @property
    def timed(self) -> bool:
        """Whether the files have times."""
        return len(self.columns) == 4


@dataclass(frozen=True)
class Reading:
    """How recordings are read for a prediction.

    Attributes:
        format: format of CSV, NumPy and Parquet files.
        zone: time zone of days and hours, such as ``Europe/London``; None for the clock of the device.
        clock: what times without an offset are, where there is a time zone: ``fixed``, a clock that was set to local
            time at the start and does not follow daylight saving; ``local``, one that follows it.
        start: date and time from which samples are used, in local time; None for the first one.
        end: date and time before which samples are used; None for the last one.
        nonwear: when a device counts as not worn.

    Raises:
        SettingsError: when a value is impossible.
    """

    format: RecordingFormat = field(default_factory=RecordingFormat)
    zone: str | None = None
    clock: str = "fixed"
    start: str | None = None
    end: str | None = None
    nonwear: NonwearRule = field(default_factory=NonwearRule)

    def __post_init__(self) -> None:
        if self.zone is not None:
            check_zone(self.zone)
        if self.clock not in CLOCKS:
            raise SettingsError(f"--clock {self.clock} is unknown. Write {' or '.join(CLOCKS)}")
        if self.clock == "local" and self.zone is None:
            raise SettingsError("--clock local needs a time zone. Add --timezone, e.g. --timezone Europe/London")
        limits = [moment(f"--{name}", text) for name, text in (("start", self.start), ("end", self.end)) if text]
        if len(limits) == 2 and limits[0] >= limits[1]:
            raise SettingsError(f"--start {self.start} is not before --end {self.end}. Give an earlier start")

    @property
    def unless_default(self) -> Self | None:
        """The reading; None if it changes nothing."""
        return None if self == Reading() else self

    def identity(self) -> dict[str, Any]:
        """The settings as JSON values."""
        found = asdict(self)
        found["format"]["columns"] = list(self.format.columns)
        return found


def moment(option: str, text: str) -> np.datetime64:
    """A date and time without time zone from an option.

    Raises:
        SettingsError: when it is neither a date nor a date and time.
    """
    try:
        if len(text.strip()) < len("2024-05-01"):
            raise ValueError(text)
        found = pd.to_datetime(text.strip(), format="ISO8601")
        if found.tzinfo is not None or pd.isna(found):
            raise ValueError(text)
        return found.as_unit("ns").to_datetime64()
    except (ValueError, pd.errors.OutOfBoundsDatetime) as error:
        raise SettingsError(
            f"{option} {text} is not a date and time. Write e.g. 2024-05-01 or '2024-05-01 14:30'"
        ) from error
