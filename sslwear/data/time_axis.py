"""Time axis of a recording: which samples can be used, what is cut, and the true rate.

These rules hold for import and prediction, and for device files, CSV files and public sources:

- Samples are in the order in which they were recorded. A gap of more than MAX_GAP_S begins a new stretch.
- A sample that is not later than those before is cut. MAX_LATE of them in a row are jitter. One more means that the
  clock was set back, which begins a new stretch.
- A stretch shorter than STRAY_S beside a set-back is cut, because readers interpolate times across a set-back.
- Stretches are cut that begin outside of the MAX_DAYS with the most samples: the clock was not set.
- Times that occur in two stretches are cut from both, because only one of them can be right.
- The stretches that remain are put in order of time, more than MAX_GAP_S apart, so that no window lies in two of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sslwear.data.cuts import FAR, IDLE, MAX_DAYS, MISSING, NOT_LATER, STRAY, STRAY_S, TWICE, Cut
from sslwear.errors import DataError

SECOND = 10**9
MAX_GAP_S = 1.0
"""Samples further apart than this are not interpolated: no window crosses such a gap."""
MAX_LATE = 3
MAX_SET_BACKS = 10_000
CHUNK_SAMPLES = 4096
RATE_PIECES, RATE_SAMPLES = 64, 16_384
"""Number and length of the pieces of a recording that its rate is measured in."""
STEP_SAMPLES = (1, 100, 1000)
"""Numbers of samples in the steps that the rate is measured by; the later ones for uneven times."""
COMMON = 0.9
"""Least share of the time that steps of the usual length take."""

TimeAt = Callable[[int, int], NDArray[np.int64]]
"""Times of the samples from the first index to before the second one, in nanoseconds."""


class TimeAxis(NamedTuple):
    """The part of a recording that can be used.

    Attributes:
        ranges: first and last index (excluded) of usable samples, in order of time; indices count the samples that
            `TimeAxisReader.add` has kept.
        cuts: what is cut, one of each kind.
        used: number of usable samples.
        rate_hz: samples per second, by the times; None for fewer than two samples.
        resolution_s: seconds to which the times are rounded.
    """

    ranges: list[tuple[int, int]]
    cuts: tuple[Cut, ...]
    used: int
    rate_hz: float | None
    resolution_s: float


class Stretch(NamedTuple):
    """Samples from the index `first` to before `last`, at the times `begin` to `end`, both included."""

    first: int
    last: int
    begin: int
    end: int


class TimeAxisReader:
    """Reader of the times of a recording, some at a time; memory grows only with the number of stretches."""

    def __init__(self) -> None:
        self._first: list[int] = []  # index of the first sample of each stretch
        self._begin: list[int] = []  # its time
        self._before: list[int] = []  # the time before that
        self._set_back: list[int] = []  # numbers of the stretches that begin with a set-back
        self._count = self._last = 0  # of the kept samples: number, and latest time
        self._latest: int | None = None  # time in the current stretch
        self._back = 0  # number of samples in a row that are earlier
        self._resolution = SECOND
        self._lost: Counter[str] = Counter()
        self._lost_from: dict[str, int] = {}

    def add(self, time: NDArray[np.int64], known: NDArray[np.bool_], idle: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Add samples, and return which of them are kept (n,).

        Args:
            time: nanoseconds (n,) from any moment on.
            known: whether a sample has a time and finite values (n,).
            idle: whether all values of a sample are zero (n,), which stands for no measurement.

        Raises:
            DataError: when the clock goes back more than MAX_SET_BACKS times.
        """
        idle = known & idle
        keep = known & ~idle
        rows = np.flatnonzero(keep)
        self._lost[MISSING] += int((~known).sum())
        if idle.any():
            self._lost[IDLE] += int(idle.sum())
            self._lost_from.setdefault(IDLE, int(time[idle.argmax()]))
        for low in range(0, len(rows), CHUNK_SAMPLES):
            chunk = rows[low : low + CHUNK_SAMPLES]
            here = time[chunk]
            kept, set_back = self._classify(here)
            keep[chunk] = kept
            if not kept.all():
                self._lost[NOT_LATER] += len(here) - int(kept.sum())
                self._lost_from.setdefault(NOT_LATER, int(here[~kept].min()))
            self._append(here[kept], set_back[kept])
        return keep

    def _classify(self, time: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which samples are kept, and before which of these the clock was set back."""
        kept, set_back, first = np.ones(len(time), bool), np.zeros(len(time), bool), 0
        while first < len(time):
            here = time[first:]
            latest = int(here[0]) - 1 if self._latest is None else self._latest
            before = np.maximum.accumulate(np.concatenate([[latest], here[:-1]]))
            kept[first:] = here > before
            run = _runs(here < before, self._back)
            over = np.flatnonzero(run > MAX_LATE)
            if len(over) == 0:
                self._latest, self._back = max(int(before[-1]), int(here[-1])), int(run[-1])
                break
            first += int(over[0])
            kept[first] = set_back[first] = True
            self._latest, self._back = int(time[first]), 0
            first += 1
        return kept, set_back

    def _append(self, time: NDArray[np.int64], set_back: NDArray[np.bool_]) -> None:
        """Add kept samples to the current stretch, and begin new ones after gaps and set-backs."""
        if len(time) == 0:
            return
        while (time % self._resolution).any():
            self._resolution //= 10
        before = np.concatenate([[self._last], time[:-1]])
        new = set_back | (time - before.astype(np.float64) > MAX_GAP_S * SECOND)  # floats do not overflow
        new[0] |= not self._first
        places = np.flatnonzero(new)
        self._set_back += (len(self._first) + np.flatnonzero(set_back[places])).tolist()
        self._first += (self._count + places).tolist()
        self._begin += time[places].tolist()
        self._before += before[places].tolist()
        self._count, self._last = self._count + len(time), int(time[-1])
        if len(self._set_back) > MAX_SET_BACKS:
            raise DataError(f"the time goes back more than {MAX_SET_BACKS} times; put the samples in order of time")

    def finish(self, time_at: TimeAt, origin: np.datetime64 | None = None, nominal_hz: float | None = None) -> TimeAxis:
        """Decide which samples can be used.

        Args:
            time_at: gives the times of samples that were kept.
            origin: date and time of nanosecond 0, or None where it is unknown.
            nominal_hz: rate that the lengths of cuts are given for when the times show none.
        """
        ends = [*self._before[1:], self._last]
        lasts = [*self._first[1:], self._count]
        found = [Stretch(*values) for values in zip(self._first, lasts, self._begin, ends, strict=False)]
        rate_hz = measure_rate(self._count, time_at)
        beside = {number - 1 for number in self._set_back}.union(self._set_back)
        stray = {i for i in beside if found[i].end - found[i].begin < STRAY_S * SECOND}
        self._lose(STRAY, [found[i] for i in sorted(stray)])
        found = sorted((one for i, one in enumerate(found) if i not in stray), key=lambda one: one.begin)
        near = _nearest(found)
        self._lose(FAR, [*found[: near.start], *found[near.stop :]])
        found = found[near]
        used = _separate(found, time_at)
        if lost := sum(one.last - one.first for one in found) - sum(one.last - one.first for one in used):
            self._lost[TWICE] += lost
            self._lost_from[TWICE] = min((a for a, _ in _repeated(found)), default=found[0].end)
        return TimeAxis(
            [(one.first, one.last) for one in used],
            tuple(self._cuts(origin, (rate_hz or nominal_hz or 1) * (1 + self._lost[NOT_LATER] / max(1, self._count)))),
            sum(one.last - one.first for one in used),
            rate_hz,
            self._resolution / SECOND,
        )

    def _lose(self, kind: str, stretches: Sequence[Stretch]) -> None:
        if stretches:
            self._lost[kind] += sum(one.last - one.first for one in stretches)
            self._lost_from[kind] = min(one.begin for one in stretches)

    def _cuts(self, origin: np.datetime64 | None, rate_hz: float) -> Iterator[Cut]:
        for kind, samples in self._lost.items():
            if samples:
                start: np.datetime64 | float | None = None
                if kind in self._lost_from:
                    ns = self._lost_from[kind]
                    start = ns / SECOND if origin is None else origin + np.timedelta64(ns, "ns")
                yield Cut(kind, samples, samples / rate_hz, start)


def measure_rate(count: int, time_at: TimeAt) -> float | None:
    """Samples per second by the times of `count` samples; None where no two samples follow each other.

    It is the mean over the steps between samples, because times that are rounded have no step of the true length.
    Steps that are much longer or shorter than the median are left out, because samples are lost there. Where these
    take more than a small part of the time, as with samples that get their times in bursts, steps across more samples
    are used.
    """
    pieces = min(RATE_PIECES, -(-count // RATE_SAMPLES))
    places = np.linspace(0, max(0, count - RATE_SAMPLES), pieces).astype(int).tolist()
    times = [time_at(i, min(i + RATE_SAMPLES, count)) for i in places]
    found = None
    for size in STEP_SAMPLES:
        steps = np.concatenate([np.zeros(0, np.int64), *(time[size::size] - time[:-size:size] for time in times)])
        steps = steps[(steps > 0) & (steps <= size * MAX_GAP_S * SECOND)]
        if len(steps) == 0:
            break
        median = float(np.median(steps))
        usual = np.abs(steps - median) <= median / 2
        if not usual.any():  # of two steps, one much longer
            usual = steps <= median
        found = float(size * SECOND / steps[usual].mean())
        if steps[usual].sum() > COMMON * steps.sum():
            break
    return found


def _runs(flags: NDArray[np.bool_], before: int) -> NDArray[np.int64]:
    """Number of flags in a row up to each place (n,), after `before` of them."""
    place = np.arange(1, len(flags) + 1)
    found: NDArray[np.int64] = place - np.maximum.accumulate(np.where(flags, -before, place))
    return found


def _nearest(ordered: Sequence[Stretch]) -> slice:
    """The stretches that begin within the MAX_DAYS with the most samples; `ordered` is in order of their begin."""
    if not ordered:
        return slice(0, 0)
    begins = np.array([one.begin for one in ordered], np.float64)
    until = np.concatenate([[0], np.cumsum([one.last - one.first for one in ordered])])
    stops = np.searchsorted(begins, begins + MAX_DAYS * 86400.0 * SECOND, side="right")
    best = int((until[stops] - until[:-1]).argmax())
    return slice(best, int(stops[best]))


def _repeated(ordered: Sequence[Stretch]) -> list[tuple[int, int]]:
    """Intervals of time, both ends included, that more than one stretch covers."""
    found: list[tuple[int, int]] = []
    latest = None
    for one in ordered:
        if latest is not None and one.begin <= latest:
            begin, end = one.begin, min(latest, one.end)
            if found and begin <= found[-1][1]:
                begin, end = found[-1][0], max(end, found[-1][1])
                found.pop()
            found.append((begin, end))
        latest = one.end if latest is None else max(latest, one.end)
    return found


def _separate(ordered: Sequence[Stretch], time_at: TimeAt) -> list[Stretch]:
    """Parts of stretches in order of time, without times that occur twice, and more than MAX_GAP_S apart."""
    twice = _repeated(ordered)
    parts = []
    for one in ordered:
        rest = one
        for begin, end in twice[bisect_left(twice, one.begin, key=lambda span: span[1]) :]:
            if begin > one.end:
                break
            parts.append(_between(rest, rest.begin, begin - 1, time_at))
            rest = _between(rest, end + 1, rest.end, time_at)
        parts.append(rest)
    found: list[Stretch] = []
    for part in sorted((part for part in parts if part.first < part.last), key=lambda part: part.begin):
        if found and part.begin - found[-1].end <= MAX_GAP_S * SECOND:
            part = _between(part, found[-1].end + int(MAX_GAP_S * SECOND) + 1, part.end, time_at)
        if part.first < part.last:
            found.append(part)
    return found


def _between(one: Stretch, begin: int, end: int, time_at: TimeAt) -> Stretch:
    """The samples of a stretch from the time `begin` to `end`, both included; it may be empty."""
    places = range(one.first, one.last)
    first = one.first + bisect_left(places, begin, key=lambda i: time_at(i, i + 1)[0])
    last = one.first + bisect_right(places, end, key=lambda i: time_at(i, i + 1)[0])
    if first >= last:
        return Stretch(first, first, begin, begin)
    return Stretch(first, last, int(time_at(first, first + 1)[0]), int(time_at(last - 1, last)[0]))
