"""Seconds of each class in each minute of a recording, from which days and people are summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.clock import edges
from sslwear.evaluation.daily import LabelledRecording, split

MINUTE = 60 * 10**9
SMALLEST_SHARE = 1e-6
"""A smaller share of a minute is an error of rounding."""


@dataclass(frozen=True)
class MinuteTable:
    """The minutes of one or more recordings that have windows.

    Attributes:
        class_names: names of the classes.
        zone: time zone; None for the clock of the device.
        spans: begin and end of each recording (R, 2) in nanoseconds since 1970, without overlap.
        minute: instant of each minute's start (n,) in nanoseconds, increasing.
        seconds: seconds of each class in each minute (n, classes).
        nonwear: seconds of non-wear in each minute (n,).
        enmo_mg: mean motion of the worn part of each minute (n,) in mg; 0 where there is none.
        overlap_s: seconds of windows that were left out, because another recording covers the same time.
    """

    class_names: tuple[str, ...]
    zone: str | None
    spans: NDArray[np.int64]
    minute: NDArray[np.int64]
    seconds: NDArray[np.float64]
    nonwear: NDArray[np.float64]
    enmo_mg: NDArray[np.float64]
    overlap_s: float = 0.0

    @property
    def worn(self) -> NDArray[np.float64]:
        """Seconds of wear in each minute (n,)."""
        total: NDArray[np.float64] = self.seconds.sum(axis=1)
        return total

    def table(self) -> pd.DataFrame:
        """The minutes as a table: ``minute`` in UTC or by the device's clock, seconds, and ``enmo_mg``."""
        start = self.minute.view("datetime64[ns]").astype("datetime64[s]").astype("datetime64[ms]")
        columns = {f"seconds_{name}": self.seconds[:, i] for i, name in enumerate(self.class_names)}
        return pd.DataFrame({"minute": start, **columns, "nonwear_seconds": self.nonwear, "enmo_mg": self.enmo_mg})

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, class_names: tuple[str, ...], zone: str | None, span: tuple[int, int]
    ) -> MinuteTable:
        """The input of `table`, with the begin and the end of the recording in nanoseconds since 1970."""
        return cls(
            class_names,
            zone,
            np.array([span], np.int64),
            table["minute"].to_numpy("datetime64[ns]").view(np.int64),
            table[[f"seconds_{name}" for name in class_names]].to_numpy(np.float64).reshape(-1, len(class_names)),
            table["nonwear_seconds"].to_numpy(np.float64),
            table["enmo_mg"].to_numpy(np.float64),
        )


def minute_table(found: LabelledRecording) -> MinuteTable:
    """Seconds of each class in the minutes of a recording; windows are split at full minutes."""
    begin, end = found.limits
    at = edges(begin, max(begin, end - 1), "minute", found.zone)
    places, rows, lengths = split(found.begins, found.window_ns, at)
    kept, inverse = np.unique(places, return_inverse=True)
    classes = len(found.class_names)
    codes = found.codes[rows]
    sizes = lengths / 1e9
    summed = np.bincount(
        inverse * (classes + 1) + np.where(codes < 0, classes, codes), sizes, len(kept) * (classes + 1)
    )
    totals = summed.astype(np.float64).reshape(len(kept), classes + 1)
    worn = codes >= 0
    motion = np.bincount(inverse, np.where(worn, found.enmo_mg[rows], 0) * sizes, len(kept))
    worn_s = totals[:, :classes].sum(axis=1)
    enmo_mg = np.divide(motion, worn_s, out=np.zeros(len(kept)), where=worn_s > 0)
    return MinuteTable(
        found.class_names,
        found.zone,
        np.array([[begin, end]]),
        at[kept],
        totals[:, :classes],
        totals[:, classes],
        enmo_mg,
    )


def joined(tables: Sequence[MinuteTable]) -> MinuteTable:
    """The minutes of several recordings of a person; where two cover the same time, the one that began first counts.

    Gaps of a recording are not covered by it. In the minutes in which its windows begin or end, they are taken as
    spread evenly over its part of the minute.
    """
    ordered = sorted(tables, key=lambda one: int(one.spans[0, 0]))
    first = ordered[0]
    if len(ordered) == 1:
        return first
    spans, parts, overlap, until = [], [], 0.0, int(first.spans[0, 0])
    earlier: list[tuple[MinuteTable, NDArray[np.float64]]] = []
    for one in ordered:
        begin, end = (int(limit) for limit in one.spans[0])
        covered = one.worn + one.nonwear
        share = _share_beside(one, [other for other in earlier if other[0].spans[0, 1] > begin - MINUTE])
        earlier.append((one, share * covered))
        overlap += float(((1 - share) * covered).sum())
        parts.append(_rows(one, share))
        begin = min(max(begin, until), end)
        if begin < end:
            spans.append((begin, end))
        until = max(until, end)
    whole = pd.concat(parts).groupby(level=0, sort=True).sum()
    values = whole.to_numpy()
    classes = len(first.class_names)
    worn = values[:, :classes].sum(axis=1)
    enmo_mg = np.divide(values[:, -1], worn, out=np.zeros(len(whole)), where=worn > 0)
    return replace(
        first,
        spans=np.array(spans, np.int64),
        minute=whole.index.to_numpy(np.int64),
        seconds=values[:, :classes],
        nonwear=values[:, classes],
        enmo_mg=enmo_mg,
        overlap_s=overlap,
    )


def _share_beside(one: MinuteTable, earlier: Sequence[tuple[MinuteTable, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Share of the windows in each minute (n,) at times that no earlier recording covers.

    Args:
        one: a recording.
        earlier: earlier ones with the seconds that they cover in each of their minutes.
    """
    left, free = np.ones(len(one.minute)), np.full(len(one.minute), 60 * (1 + SMALLEST_SHARE))
    first, last = _part(one, one.minute)
    for other, covered in earlier:
        begin, end = _part(other, one.minute)
        both = np.maximum(0, np.minimum(last, end) - np.maximum(first, begin))
        seconds = pd.Series(covered, other.minute).reindex(one.minute, fill_value=0).to_numpy(np.float64)
        left -= seconds * 1e9 / np.maximum(end - begin, 1) * both / np.maximum(last - first, 1)
        free -= seconds
    left = np.minimum(left, free / np.maximum(one.worn + one.nonwear, SMALLEST_SHARE))
    return np.where(left > SMALLEST_SHARE, left, 0)


def _part(one: MinuteTable, minute: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Begin and end of the part of each minute (n,) that is within a recording."""
    begin, end = one.spans[0]
    return np.clip(begin, minute, minute + MINUTE), np.clip(end, minute, minute + MINUTE)


def _rows(one: MinuteTable, share: NDArray[np.float64]) -> pd.DataFrame:
    """Seconds of classes, of non-wear, and motion times wear, of a share (n,) of each minute; without empty ones."""
    kept = share > 0
    values = np.column_stack([one.seconds, one.nonwear, one.enmo_mg * one.worn]) * share[:, None]
    return pd.DataFrame(values[kept], index=one.minute[kept])
