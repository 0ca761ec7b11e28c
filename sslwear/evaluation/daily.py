"""Minutes of each class in each day, hour or minute of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.clock import edges, to_local

NONWEAR, MISSING = "nonwear_minutes", "missing_minutes"
LONGEST_WINDOW_NS = 3600 * 10**9


@dataclass(frozen=True)
class LabelledRecording:
    """Recording with a predicted class for each window.

    Attributes:
        name: name of the recording.
        class_names: names of the classes.
        start: instant of each window's start (N,), datetime64[ns]; without a time zone by the clock of the device.
        window_s: window length in seconds.
        codes: index of each window's class (N,); -1 for non-wear.
        enmo_mg: motion in each window (N,) in mg: mean of the length of acceleration minus 1 g, negative values as 0.
        begin: start of the recording.
        end: end of the recording.
        zone: time zone of days and hours; None for the clock of the device.
    """

    name: str
    class_names: tuple[str, ...]
    start: NDArray[np.datetime64]
    window_s: float
    codes: NDArray[np.int64]
    enmo_mg: NDArray[np.float32]
    begin: np.datetime64
    end: np.datetime64
    zone: str | None = None

    @property
    def window_ns(self) -> int:
        """Window length in nanoseconds."""
        return round(self.window_s * 1e9)

    @property
    def begins(self) -> NDArray[np.int64]:
        """Instant of each window's start in nanoseconds since 1970 (N,)."""
        return self.start.astype("datetime64[ns]").view(np.int64)

    @property
    def limits(self) -> tuple[int, int]:
        """Start and end of the recording in nanoseconds since 1970; a window may last until after the last sample."""
        begin, end = (int(limit.astype("datetime64[ns]").astype(np.int64)) for limit in (self.begin, self.end))
        return begin, max(end, int((self.begins + self.window_ns).max(initial=end)))

    def local(self) -> LabelledRecording:
        """The same recording with local times in place of instants, for pictures."""
        begin, end = to_local(np.array([self.begin, self.end]).astype("datetime64[ns]").view(np.int64), self.zone)
        start = to_local(self.begins, self.zone).view("datetime64[ns]")
        limits = (np.datetime64(int(begin), "ns"), np.datetime64(int(end), "ns"))
        return LabelledRecording(self.name, self.class_names, start, self.window_s, self.codes, self.enmo_mg, *limits)


def split(
    begins: NDArray[np.int64], length: int, at: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut windows at some instants.

    Args:
        begins: starts of the windows (N,) in nanoseconds.
        length: their length in nanoseconds.
        at: instants (n + 1,), increasing, the first before all windows and the last after them.

    Returns:
        Of each piece (P,) the index of its interval, the index of its window, and its length in nanoseconds.
    """
    rows = np.arange(len(begins))
    place = np.searchsorted(at, begins, side="right") - 1
    position, ends = begins.copy(), begins + length
    found = []
    while len(rows):
        until = np.minimum(at[place + 1], ends)
        found.append((place, rows, until - position))
        left = until < ends
        rows, place, position, ends = rows[left], place[left] + 1, until[left], ends[left]
    if not found:
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    places, rows, lengths = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return places, rows, lengths


def minutes(found: LabelledRecording, unit: Literal["day", "hour"]) -> pd.DataFrame:
    """Minutes of each class, of non-wear and without data, in each day or hour of a recording.

    A window that crosses midnight or a full hour is split there. So the minutes of a day add up to 1440, or to 1380 or
    1500 where the clocks change, and those of an hour to 60; time before and after the recording is missing data.

    Args:
        found: the recording with predicted classes.
        unit: ``day`` or ``hour``.

    Returns:
        One row for each day or hour: ``day`` or ``hour`` (its start in local time, with the offset from UTC for an hour
        in a time zone), ``minutes_CLASS`` of each class, ``nonwear_minutes``, ``missing_minutes``.

    Raises:
        ValueError: when a window is longer than an hour.
    """
    if found.window_ns > LONGEST_WINDOW_NS:
        raise ValueError(f"a window of {found.window_s:g} s is longer than an hour")
    begin, end = found.limits
    last = int(found.end.astype("datetime64[ns]").astype(np.int64))
    at = edges(begin, max(last, end - 1), unit, found.zone)
    classes = len(found.class_names)
    totals = np.zeros((len(at) - 1, classes + 1), np.int64)
    places, rows, lengths = split(found.begins, found.window_ns, at)
    np.add.at(totals, (places, found.codes[rows]), lengths)
    columns = {f"minutes_{name}": totals[:, i] / 6e10 for i, name in enumerate(found.class_names)}
    columns[NONWEAR] = totals[:, classes] / 6e10
    columns[MISSING] = (np.diff(at) - totals.sum(axis=1)) / 6e10
    local = pd.DatetimeIndex(to_local(at[:-1], found.zone).view("datetime64[ns]")).as_unit("s")
    if found.zone is not None and unit == "hour":
        instants = pd.DatetimeIndex(at[:-1].view("datetime64[ns]")).as_unit("s")
        local = instants.tz_localize("UTC").tz_convert(found.zone)
    elif found.zone is not None:
        local = local.normalize()
    return pd.DataFrame({unit: local, **columns})
