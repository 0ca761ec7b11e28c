"""Samples of a recording that cannot be used: kinds, lengths, words, and when a recording is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sslwear.errors import DataError

STRAY_S = 10
MAX_DAYS = 366
MAX_CUT = 0.1
"""Largest share of a recording that is cut because of its times; with more, the recording is refused."""

MISSING = "no time or no values"
IDLE = "samples of 0, 0, 0, as in idle sleep mode"
NOT_LATER = "no later time than the sample before"
STRAY = f"less than {STRAY_S} s beside a set-back of the clock"
FAR = f"more than {MAX_DAYS} days from the rest, as when the clock was not set"
TWICE = "times that occur twice, as after a set-back of the clock"
ADVICE = {
    NOT_LATER: "write times with more digits, and each sample once, or give --rate for a table",
    STRAY: "put the samples in order of time",
    FAR: "correct the times, or remove these samples",
    TWICE: "correct the times, or split the recording where the clock was set back",
}


@dataclass(frozen=True)
class Cut:
    """Samples of a recording that cannot be used.

    Attributes:
        kind: why they cannot be used, in words.
        samples: number of samples.
        seconds: their length at the rate of the recording.
        start: date and time of the earliest, or seconds from the start of the recording where dates are unknown; None
            for samples without a time.
    """

    kind: str
    samples: int
    seconds: float
    start: np.datetime64 | float | None = None

    def report(self) -> dict[str, Any]:
        """The attributes as JSON values."""
        start = str(self.start) if isinstance(self.start, np.datetime64) else self.start
        return {"kind": self.kind, "samples": self.samples, "seconds": round(self.seconds, 3), "start": start}

    def __str__(self) -> str:
        if isinstance(self.start, np.datetime64):
            start = ", from " + str(self.start.astype("datetime64[s]")).replace("T", " ")
        else:
            start = "" if self.start is None else f", from second {self.start:.6g}"
        return f"{duration(self.seconds)} cut ({self.kind}{start})"


def add_up(cuts: Iterable[Cut]) -> tuple[Cut, ...]:
    """One cut of each kind, with the start of the first of that kind."""
    total: dict[str, Cut] = {}
    for cut in cuts:
        before = total.get(cut.kind, Cut(cut.kind, 0, 0, cut.start))
        total[cut.kind] = Cut(cut.kind, before.samples + cut.samples, before.seconds + cut.seconds, before.start)
    return tuple(total.values())


def check_used(place: object, used: int, cuts: Iterable[Cut]) -> None:
    """Refuse a recording of which more than MAX_CUT is cut because of its times.

    Args:
        place: file or participant, for the message.
        used: number of samples that can be used.
        cuts: what is cut.

    Raises:
        DataError: with the lengths of what is cut.
    """
    timed = [cut for cut in cuts if cut.kind not in (MISSING, IDLE)]
    lost = sum(cut.samples for cut in timed)
    if lost > MAX_CUT * (used + lost):
        most = max(timed, key=lambda cut: cut.samples)
        shown = [cut for cut in timed if cut.samples > most.samples / 20]
        raise DataError(
            f"{place} has times that cannot be right: {'; '.join(map(str, shown))}, {lost / (used + lost):.0%} of it; "
            f"{ADVICE[most.kind]}",
            reason="times that cannot be right",
        )


def check_rate(place: object, rate_hz: float, window_hz: float) -> None:
    """Refuse a recording that lacks more than half of the range of frequencies of its windows.

    A recording at r Hz holds movement below r / 2 Hz, and resampling cannot restore higher frequencies.

    Args:
        place: file or participant, for the message.
        rate_hz: samples per second of the recording.
        window_hz: samples per second of the windows.

    Raises:
        DataError: with both rates.
    """
    if rate_hz < window_hz / 2:
        raise DataError(
            f"{place} has {rate_hz:.4g} samples a second, but windows at {window_hz:g} Hz need at least "
            f"{window_hz / 2:g}; give a recording with a higher rate",
            reason="rate too low",
        )


def duration(seconds: float) -> str:
    """A length of time in words, such as ``1 d 2 h 3 min``."""
    minutes = round(seconds / 60)
    if minutes >= 1440:
        return f"{minutes // 1440} d {minutes // 60 % 24} h {minutes % 60} min"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    if minutes >= 10:
        return f"{minutes} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
