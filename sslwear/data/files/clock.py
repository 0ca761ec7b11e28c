"""Clocks and time zones: from the times of a recording to instants, and from instants to local days and hours.

An instant is a number of nanoseconds since 1970 in UTC. Without a time zone, the times of the device take its place, as
if the device were in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.errors import SettingsError

Unit = Literal["minute", "hour", "day"]
SECOND = 10**9
QUARTER = 900 * SECOND
"""All offsets of time zones since 1972 are multiples of a quarter of an hour."""
FOLD_STEP = 1200 * SECOND
"""A step back of more than this in a repeated hour is the end of daylight saving."""


@dataclass(frozen=True)
class Clock:
    """What the times of a recording are.

    Attributes:
        zone: time zone; None for the clock of the device.
        shift_ns: nanoseconds that the times are ahead of the instants.
        fixed: whether the clock on the device does not follow daylight saving, although there is a time zone.
    """

    zone: str | None = None
    shift_ns: int = 0
    fixed: bool = False

    @classmethod
    def set_at(cls, zone: str | None, start: int) -> Clock:
        """The clock of a device that was set to local time at its first sample, and does not follow daylight saving.

        Args:
            zone: time zone, or None.
            start: time of the first sample, in nanoseconds since 1970.
        """
        if zone is None:
            return cls()
        return cls(zone, start - int(to_instants(np.array([start]), zone)[0]), fixed=True)

    def instants(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Instants of times of the recording."""
        return time - self.shift_ns

    def instants_on_device(self, shown: NDArray[np.int64]) -> NDArray[np.int64]:
        """Instants (n,) at which the clock on the device showed some times; of one that occurs twice the first."""
        return shown - self.shift_ns if self.zone is None or self.fixed else to_instants(shown, self.zone)

    def time_of(self, local: np.datetime64) -> int:
        """Time of the recording at a local date and time."""
        ns = local.astype("datetime64[ns]").astype(np.int64)
        return int(ns if self.zone is None else to_instants(np.array([ns]), self.zone)[0] + self.shift_ns)


def check_zone(zone: str) -> None:
    """Refuse an unknown time zone.

    Raises:
        SettingsError: when the name is not in the time zone database.
    """
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"--timezone {zone} is not in the time zone database. Write a name such as Europe/London, or UTC"
        ) from error


def to_local(instants: NDArray[np.int64], zone: str | None) -> NDArray[np.int64]:
    """Local times of instants, in nanoseconds since 1970."""
    if zone is None:
        return instants
    index = pd.DatetimeIndex(instants.view("datetime64[ns]")).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return index.to_numpy("datetime64[ns]").view(np.int64)


def to_instants(local: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Instants of single local times; of a time that occurs twice the first one, of one that does not occur the next.

    Args:
        local: local times (n,) in nanoseconds since 1970.
        zone: time zone.
    """
    first = np.ones(len(local), bool)
    index = pd.DatetimeIndex(local.view("datetime64[ns]")).tz_localize(
        zone, ambiguous=first, nonexistent="shift_forward"
    )
    return index.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ns]").view(np.int64)


class LocalTimes:
    """Instants of the local times of a clock that follows daylight saving, some at a time in the order of recording.

    Args:
        zone: time zone.
    """

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._last: int | None = None
        self._second = False  # whether the repeated hour is in its second round

    def __call__(self, local: NDArray[np.int64]) -> NDArray[np.int64]:
        """Instants of local times (n,) in nanoseconds since 1970.

        Raises:
            ValueError: when a time does not occur, because the clocks went forward.
        """
        if len(local) == 0:
            return local
        times = pd.DatetimeIndex(local.view("datetime64[ns]"))
        every = np.ones(len(local), bool)
        early, late = (
            times.tz_localize(self._zone, ambiguous=side, nonexistent="NaT").asi8 for side in (every, ~every)
        )
        missing = early == pd.NaT.value
        if missing.any():
            raise ValueError(
                f"the time {times[int(missing.argmax())]} does not occur in {self._zone}, so that this clock did not "
                "follow daylight saving: leave out --clock local"
            )
        twice = early != late
        if not twice.any():
            self._last, self._second = int(local[-1]), False
            return early
        before = local[0] if self._last is None else self._last
        steps = np.diff(local, prepend=before)
        entered = twice & ~np.concatenate([[self._second or self._was_twice(before)], twice[:-1]])
        state = np.where(entered, 0, np.where(twice & (steps < -FOLD_STEP), 1, -1))
        places = np.maximum.accumulate(np.where(state >= 0, np.arange(len(state)), -1))
        second = np.where(places >= 0, state[np.maximum(places, 0)], int(self._second)).astype(bool) & twice
        self._last, self._second = int(local[-1]), bool(second[-1])
        return np.where(second, late, early)

    def _was_twice(self, local: int) -> bool:
        sides = [
            pd.Timestamp(local).tz_localize(self._zone, ambiguous=side, nonexistent="shift_forward")
            for side in (True, False)
        ]
        return bool(sides[0] != sides[1])


def edges(begin: int, end: int, unit: Unit, zone: str | None) -> NDArray[np.int64]:
    """Instants at which the local minutes, hours or days begin that a stretch of time is in, and the end of the last.

    A day has 23, 24 or 25 hours. The hour that occurs twice is there twice.

    Args:
        begin: first instant.
        end: last instant, included.
        unit: ``minute``, ``hour`` or ``day``.
        zone: time zone; None for days of 24 hours from the device's midnight.
    """
    length = {"minute": 60, "hour": 3600, "day": 86_400}[unit] * SECOND
    if zone is None or unit == "minute":  # minutes begin at the same instants everywhere
        return np.arange(begin // length, end // length + 2) * length
    grid = np.arange(begin // QUARTER - 108, end // QUARTER + 109) * QUARTER
    local = to_local(grid, zone)
    found = grid[1:][np.diff(local // 86_400 // SECOND) > 0] if unit == "day" else grid[local % length == 0]
    first = int(np.searchsorted(found, begin, side="right")) - 1
    return found[first : int(np.searchsorted(found, end, side="right")) + 1]


def texts(instants: NDArray[np.int64], zone: str | None, unit: Literal["ms", "s"] = "ms") -> list[str]:
    """Local dates and times as text, with the offset from UTC where there is a time zone."""
    if len(instants) == 0:
        return []
    local = np.char.replace(np.datetime_as_string(to_local(instants, zone).view("datetime64[ns]"), unit=unit), "T", " ")
    if zone is None:
        return [str(text) for text in local]
    minutes = (to_local(instants, zone) - instants) // (60 * SECOND)
    kinds, places = np.unique(minutes, return_inverse=True)
    ends = [f"{'-' if kind < 0 else '+'}{abs(kind) // 60:02d}:{abs(kind) % 60:02d}" for kind in kinds.tolist()]
    return [f"{text}{ends[place]}" for text, place in zip(local.tolist(), places.tolist(), strict=True)]
