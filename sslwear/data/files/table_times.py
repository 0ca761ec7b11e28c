"""Times of tables: dates, dates with an offset from UTC, and numbers since 1970, found by their form."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.buffer import NO_TIME
from sslwear.data.files.clock import LocalTimes
from sslwear.data.files.recording_format import EPOCHS, OTHER_TIMES, Reading, TableError, moment

ZONE = r":\d\d[\d.]*\s*(?:Z|[+-]\d\d:?(?:\d\d)?)$"
"""A time of day with a time zone."""
NAMED = re.compile(r"\s*\[[\w/+-]+\]$")
"""Name of a time zone behind an offset, as other programs write it."""
FIRST_EPOCH = 1e8
"""Smaller numbers are seconds from the start, and no times since 1970: in March 1973 this many seconds had passed."""
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


class TableTimes:
    """Reader of the times of a table, some at a time in the order of recording.

    Args:
        reading: how the recording is read.

    Attributes:
        absolute: whether the times are in UTC; otherwise they are those of the device's clock.
        note: what was found, in words; empty for dates and times.
    """

    def __init__(self, reading: Reading) -> None:
        self._given, self._reading = reading.format, reading
        self._unit = self._given.time_format if self._given.time_format in EPOCHS else None
        self._local = LocalTimes(reading.zone) if reading.zone is not None and reading.clock == "local" else None
        self._count, self._equal = 0, 0
        self._before: int | None = None
        self._relative = False
        self._kind: str | None = None
        self.absolute = self._local is not None
        self.note = ""

    def count(self, samples: int) -> NDArray[np.int64]:
        """Times of the next samples of a table without times, by the rate and the time of the first one."""
        assert self._given.rate_hz is not None
        steps = np.rint(np.arange(self._count, self._count + samples) * (1e9 / self._given.rate_hz)).astype(np.int64)
        self._count += samples
        times: NDArray[np.int64] = self._start + steps
        return times

    def __call__(self, values: pd.Series[Any]) -> NDArray[np.int64]:
        """Nanoseconds since 1970 (n,) of times as the table has them, or NO_TIME.

        Raises:
            ValueError: with the first value that is not a time, or of which the time zone is not given.
        """
        known = values.notna().to_numpy()
        if not known.any():
            return np.full(len(values), NO_TIME)
        first = values[known].iloc[0]
        if isinstance(first, str) and self._is_number(first):
            numbers = pd.to_numeric(values, errors="coerce")
            if (wrong := known & numbers.isna().to_numpy()).any():
                raise ValueError(f"the column time has {values.iloc[int(wrong.argmax())]!r} among numbers")
            values = numbers
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            self._check_kind("numbers", first)
            found = self._of_numbers(values, known)
        else:
            found = self._of_dates(values)
        return self._spread(found) if self._given.rate_hz is not None else found

    def _check_kind(self, kind: str, first: object) -> None:
        """Refuse times of two kinds in one file, of which each alone would be read."""
        if self._kind not in (None, kind):
            raise ValueError(f"the column time has {str(first)!r} below {self._kind}")
        self._kind = kind

    def _check_start(self, first: object) -> None:
        """Refuse a time of the first sample that would have no effect, because the times are dates or since 1970."""
        if self._given.start_time is not None:
            raise TableError(f"the column time has {str(first)!r}, so --start-time has no effect", "leave it out")

    def _is_number(self, text: str) -> bool:
        if self._given.time_format is not None:
            return self._unit is not None
        return re.fullmatch(r"\s*-?(\d{9,}|\d+\.\d*([eE][+-]?\d+)?|\d{1,7})\s*", text) is not None

    def _of_numbers(self, values: pd.Series[Any], known: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Times since 1970, or seconds from the start of the recording."""
        numbers = values.to_numpy()
        first = numbers[known][0]
        unit = self._unit or "s"
        small = abs(first) < FIRST_EPOCH * 10**9 / EPOCHS[unit]
        self._relative = self._relative or (small and self._given.start_time is not None)
        if self._relative:
            self.note = f"times in {WORDS[unit]} from {self._given.start_time}"
            return self._placed(numbers, known, EPOCHS[unit], self._start)
        self._check_start(first)
        start = f"give --start-time if they are {WORDS[unit]} from the start, or " if small else ""
        advice = f"{start}{OTHER_TIMES}"
        if self._unit is None:
            if not FIRST_EPOCH <= first < 1e19 or self._reading.zone is None:
                raise not_a_time(str(first) if np.ndim(first) == 0 else repr(first), self._reading.zone, advice)
            self._unit = "s" if first < 1e11 else "ms" if first < 1e14 else "us" if first < 1e17 else "ns"
        if self._reading.zone is None:
            raise not_a_time(str(first), None, advice)
        self.note, self.absolute, self._local = f"times in {WORDS[self._unit]} since 1970", True, None
        return self._placed(numbers, known, EPOCHS[self._unit], 0)

    def _placed(self, numbers: NDArray[Any], known: NDArray[np.bool_], unit_ns: int, origin: int) -> NDArray[np.int64]:
        """Numbers of a unit after an origin, in nanoseconds; fractions to the microsecond, which floats still have."""
        kept = np.where(known, numbers, 0).astype(np.float64)
        if not np.isfinite(kept).all() or np.abs(kept).max() * unit_ns > 9e18:
            raise ValueError("the column time has years before 1678 or after 2261")
        if numbers.dtype.kind in "iu":
            found = numbers.astype(np.int64) * unit_ns
        else:
            if numbers.dtype == np.float32 and origin == 0:
                raise ValueError("the column time has 32-bit floats, which are too coarse for times since 1970")
            found = np.rint(kept * max(1, unit_ns // 1000)).astype(np.int64) * min(1000, unit_ns)
        return np.where(known, found + origin, NO_TIME)

    def _of_dates(self, values: pd.Series[Any]) -> NDArray[np.int64]:
        """Dates and times, with or without an offset from UTC."""
        self._check_start(values.dropna().iloc[0])
        try:
            dates = self._parsed(values)
        except pd.errors.OutOfBoundsDatetime as error:
            raise ValueError("the column time has years before 1678 or after 2261") from error
        offset = not pd.api.types.is_datetime64_dtype(dates)
        self._check_kind("dates with an offset" if offset else "dates", values.dropna().iloc[0])
        if offset:
            if self._reading.zone is None:
                raise not_a_time(_first_wrong(values), None)
            self.absolute, self._local, self.note = True, None, "times with an offset from UTC"
            dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
        try:
            found: NDArray[np.int64] = dates.dt.as_unit("ns").to_numpy("datetime64[ns]").view(np.int64)
        except pd.errors.OutOfBoundsDatetime as error:
            raise ValueError("the column time has years before 1678 or after 2261") from error
        return self._as_clock(found)

    def _parsed(self, values: pd.Series[Any]) -> pd.Series[Any]:
        if pd.api.types.is_datetime64_any_dtype(values):
            return values
        text = values.astype(object).where(values.notna(), None)
        given = self._given.time_format
        if given is None and "[" in str(values.dropna().iloc[0]):
            text = text.map(lambda one: NAMED.sub("", one), na_action="ignore")
        form = "ISO8601" if given is None else given
        try:
            found = pd.to_datetime(text, format=form)
        except pd.errors.OutOfBoundsDatetime:
            raise
        except ValueError as error:
            if given is not None:
                wrong = pd.to_datetime(text, format=given, errors="coerce", utc=True).isna() & text.notna()
                if wrong.any():
                    what = f"the column time has {text[wrong].iloc[0]!r}, unlike {given!r}"
                    raise TableError(what, OTHER_TIMES) from error
                return pd.to_datetime(text, format=given, utc=True)
            return self._in_utc(text, form)
        if found.dtype == object:  # of two offsets, before pandas 3
            return self._in_utc(text, form)
        return found

    def _in_utc(self, text: pd.Series[Any], form: str) -> pd.Series[Any]:
        """Times with two offsets from UTC, as over a change of the clocks."""
        offset = text.dropna().astype(str).str.contains(ZONE)
        if self._reading.zone is None or not offset.all():
            raise not_a_time(_first_wrong(text), self._reading.zone)
        try:
            return pd.to_datetime(text, format=form, utc=True)
        except ValueError as error:
            raise not_a_time(_first_wrong(text), self._reading.zone) from error

    @cached_property
    def _start(self) -> int:
        """Time of the first sample; an instant where the clock follows daylight saving, which elapsed time does not."""
        start = moment("--start-time", str(self._given.start_time)).astype("datetime64[ns]").astype(np.int64)
        return int(self._as_clock(np.array([start]))[0])

    def _as_clock(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Instants where the clock follows daylight saving; otherwise the times as they are."""
        if self._local is None:
            return time
        known = time != NO_TIME
        found = time.copy()
        found[known] = self._local(time[known])
        return found

    def _spread(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times of samples that share one, as when times are cut to the second: one after another at the rate."""
        assert self._given.rate_hz is not None
        if len(time) == 0:
            return time
        last = np.maximum.accumulate(np.where(time == NO_TIME, -1, np.arange(len(time))))
        unknown = NO_TIME if self._before is None else self._before
        shared = np.where(last < 0, unknown, time[last])  # a sample without a time keeps its place
        new = np.diff(shared, prepend=shared[0] if self._before is None else self._before) != 0
        if self._before is None:
            new[0], self._equal = True, 0
        place = np.arange(len(time)) - np.maximum.accumulate(np.where(new, np.arange(len(time)), 0))
        begun = np.maximum.accumulate(new)
        place[~begun] += self._equal
        self._before, self._equal = int(shared[-1]), int(place[-1]) + 1
        spread = shared + np.rint(place * (1e9 / self._given.rate_hz)).astype(np.int64)
        return np.where(time == NO_TIME, NO_TIME, spread)


def not_a_time(text: str, zone: str | None, advice: str = OTHER_TIMES) -> TableError:
    """The error about a text that is not a date and time without time zone."""
    if zone is not None:
        what = f"the column time has {text!r}, not a date and time, or a number of seconds since 1970"
    else:
        what = (
            f"the column time has {text!r}, not a date and time without time zone; times since 1970 or with an offset "
            "are taken if --timezone is given"
        )
    return TableError(what, advice)


def _first_wrong(time: pd.Series[Any]) -> str:
    """The first value that is not a date and time, or that has a time zone."""
    text = time.dropna().astype(str)
    unread = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True).isna()
    wrong = text[unread | text.str.contains(ZONE)]
    return str((wrong if len(wrong) else text).iloc[0])
