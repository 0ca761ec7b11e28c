"""Days of a person: minutes of each class as observed and imputed, wear, motion, and whether the day counts.

Time without data or wear is imputed by the mean of the same minute of the clock on the person's other days, of the
same kind (weekday or weekend) where there is one with wear, and of all days otherwise, as in

    Doherty A, Jackson D, Hammerla N, et al. Large scale population assessment of physical activity using wrist worn
    accelerometers: the UK Biobank study. PLoS ONE 2017, 12:e0169649.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.clock import edges, to_local
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.minute_table import MINUTE, MinuteTable

MINUTES_A_DAY = 1440
DAY = MINUTES_A_DAY * MINUTE
SATURDAY = 5
NO_DATA = "no data"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class _Grid:
    """Sums by day and minute of the clock. In a repeated hour, a minute of the clock has 120 seconds.

    Attributes:
        date: local date of each day in days since 1970 (D,).
        length: seconds of each minute of the clock in each day (D, 1440): 0, 60 or 120.
        seconds: seconds of each class (D, 1440, classes).
        nonwear: seconds of non-wear (D, 1440).
        motion: motion times seconds of wear (D, 1440), in mg s.
    """

    date: NDArray[np.int64]
    length: NDArray[np.float64]
    seconds: NDArray[np.float64]
    nonwear: NDArray[np.float64]
    motion: NDArray[np.float64]


def _grid(found: MinuteTable) -> _Grid:
    """Days of the recordings, by minute of the clock."""
    at = edges(int(found.spans.min()), int(found.spans.max()) - 1, "day", found.zone)
    limits = np.searchsorted(at, np.stack([found.spans[:, 0], found.spans[:, 1] - 1], axis=1), side="right") - 1
    used = np.unique(np.concatenate([np.arange(first, last + 1) for first, last in limits.tolist()]))
    day = np.searchsorted(used, np.searchsorted(at, found.minute, side="right") - 1)
    clock = (to_local(found.minute, found.zone) % DAY) // MINUTE
    shape, row = (len(used), MINUTES_A_DAY), day * MINUTES_A_DAY + clock
    size = len(used) * MINUTES_A_DAY

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(row, values, size).astype(np.float64).reshape(shape)

    lengths = np.full(shape, 60.0)
    for i, (begin, end) in enumerate(zip(at[used].tolist(), at[used + 1].tolist(), strict=True)):
        if end - begin != DAY:
            every = to_local(np.arange(begin, end, MINUTE), found.zone) % DAY // MINUTE
            lengths[i] = 60.0 * np.bincount(every, minlength=MINUTES_A_DAY)
    dates = to_local(at[used], found.zone) // DAY
    classes = [total(found.seconds[:, i]) for i in range(len(found.class_names))]
    seconds = np.stack(classes, axis=2) if classes else np.zeros((*shape, 0))
    return _Grid(dates, lengths, seconds, total(found.nonwear), total(found.enmo_mg * found.worn))


def day_table(found: MinuteTable, rule: CountingRule) -> pd.DataFrame:
    """The days of a person's recordings, also those without data.

    Args:
        found: the minutes of the person's recordings.
        rule: which days count.

    Returns:
        One row for each day: ``day``, ``weekday``, ``weekend``, ``length_minutes``, ``minutes_CLASS``,
        ``wear_minutes``, ``nonwear_minutes``, ``missing_minutes``, ``enmo_mg``, ``minutes_CLASS_imputed``,
        ``enmo_mg_imputed``, ``imputed_minutes``, ``hours_without_wear``, ``counted`` and ``reason``. Imputed values are
        empty where a minute of the clock was worn on no day.
    """
    grid = _grid(found)
    names, wear = found.class_names, grid.seconds.sum(axis=2)
    weekday = (grid.date + 3) % 7  # 1 January 1970 was a Thursday
    weekend = weekday >= SATURDAY
    imputed, motion, filled, unfilled = _impute(grid, weekend)
    hour_wear, hour_length = (one.reshape(len(wear), 24, 60).sum(axis=2) for one in (wear, grid.length))
    uncovered = ((hour_length > 0) & (hour_wear == 0)).sum(axis=1)
    total, length = wear.sum(axis=1), grid.length.sum(axis=1)
    nonwear = grid.nonwear.sum(axis=1)
    blank = unfilled > 0.5
    columns = {
        "day": (grid.date * DAY).view("datetime64[ns]").astype("datetime64[s]"),
        "weekday": np.array(DAYS, dtype=object)[weekday],
        "weekend": weekend,
        "length_minutes": length / 60,
        **{f"minutes_{name}": grid.seconds[:, :, i].sum(axis=1) / 60 for i, name in enumerate(names)},
        "wear_minutes": total / 60,
        "nonwear_minutes": nonwear / 60,
        "missing_minutes": np.maximum(0, length - total - nonwear) / 60,
        "enmo_mg": _mean(grid.motion.sum(axis=1), total),
        **{f"minutes_{name}_imputed": np.where(blank, np.nan, imputed[:, i] / 60) for i, name in enumerate(names)},
        "enmo_mg_imputed": np.where(blank, np.nan, motion / length),
        "imputed_minutes": np.where(blank, np.nan, filled / 60),
        "hours_without_wear": uncovered,
    }
    problems = [rule.day_problem(hours, int(gaps)) for hours, gaps in zip(total / 3600, uncovered, strict=True)]
    empty = total + nonwear == 0
    problems = [NO_DATA if nothing else problem for nothing, problem in zip(empty, problems, strict=True)]
    counted = np.array([not problem for problem in problems], bool)
    return pd.DataFrame({**columns, "counted": counted, "reason": problems})


def uncovered_hours(found: MinuteTable, days: pd.DataFrame) -> int:
    """Number of the 24 hours of the clock without wear on all days that count."""
    counted = set(days.loc[days["counted"], "day"].to_numpy("datetime64[D]").astype(np.int64).tolist())
    local = to_local(found.minute, found.zone)
    here = np.isin(local // DAY, list(counted)) & (found.worn > 0)
    return 24 - len(np.unique(local[here] % DAY // (60 * MINUTE)))


def _impute(
    grid: _Grid, weekend: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fill the time of each day without wear.

    Returns:
        Seconds of each class (D, classes); motion times seconds (D,); seconds that were filled (D,); seconds of minutes
        of the clock that were worn on no other day (D,).
    """
    values = np.concatenate([grid.seconds, grid.motion[:, :, None]], axis=2)
    wear = grid.seconds.sum(axis=2)
    every, every_wear = values.sum(axis=0), wear.sum(axis=0)
    result, filled, unfilled = (np.zeros(shape) for shape in ((len(wear), values.shape[2]), len(wear), len(wear)))
    for kind in (False, True):
        mine = np.flatnonzero(weekend == kind)
        same, same_wear = values[mine].sum(axis=0), wear[mine].sum(axis=0)
        for i in mine:
            other, other_wear = same - values[i], same_wear - wear[i]
            none = other_wear < 1e-6
            other = np.where(none[:, None], every - values[i], other)
            other_wear = np.where(none, every_wear - wear[i], other_wear)
            known = other_wear >= 1e-6
            lacking = np.maximum(0, grid.length[i] - wear[i])
            share = other / np.where(known, other_wear, 1)[:, None]
            result[i] = values[i].sum(axis=0) + (share * (lacking * known)[:, None]).sum(axis=0)
            filled[i], unfilled[i] = (lacking * known).sum(), (lacking * ~known).sum()
    return result[:, :-1], result[:, -1], filled, unfilled


def _mean(total: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over time (n,); NaN where there is none."""
    means: NDArray[np.float64] = np.divide(total, seconds, out=np.full(len(total), np.nan), where=seconds > 0)
    return means
