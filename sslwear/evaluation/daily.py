"""How the windows of a recording add up to minutes a day and an hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LENGTHS = {"day": np.timedelta64(1, "D"), "hour": np.timedelta64(1, "h")}
NONWEAR, MISSING = "nonwear_minutes", "missing_minutes"


@dataclass(frozen=True)
class LabelledRecording:
    """A recording's windows with what they were found to be.

    Attributes:
        name: the recording's.
        class_names: the classes.
        start: date and time of each window's start (N,), datetime64[ns], in the device's local time.
        window_s: their length in seconds.
        codes: index of each window's class (N,); -1 where the device was not worn.
        enmo_mg: how much the wrist moved (N,): the mean of what the length of acceleration is above 1 g.
        begin: when the recording began.
        end: when it ended.
    """

    name: str
    class_names: tuple[str, ...]
    start: NDArray[np.datetime64]
    window_s: float
    codes: NDArray[np.int64]
    enmo_mg: NDArray[np.float32]
    begin: np.datetime64
    end: np.datetime64


def minutes(found: LabelledRecording, unit: Literal["day", "hour"]) -> pd.DataFrame:
    """Minutes of each class, of time not worn and of time without data, a row a day or an hour from first to last.

    A window that goes over midnight or the hour counts on both sides for what lies there, so that each day's minutes
    add up to 1440 and each hour's to 60; the first and last have time without data, before the recording and after it.

    Returns:
        Columns ``day`` or ``hour`` (when it starts), ``minutes_CLASS`` for each class, ``nonwear_minutes``,
        ``missing_minutes``.

    Raises:
        ValueError: when a window is longer than an hour.
    """
    length = LENGTHS[unit].astype("timedelta64[ns]").astype(np.int64)
    window = round(found.window_s * 1e9)
    if window > LENGTHS["hour"].astype("timedelta64[ns]").astype(np.int64):
        raise ValueError(f"a window of {found.window_s:g} s is longer than an hour")
    start = found.start.astype("datetime64[ns]").view(np.int64)
    first = int(found.begin.astype("datetime64[ns]").view(np.int64)) // length
    last = (
        max(int(found.end.astype("datetime64[ns]").view(np.int64)), int((start + window - 1).max(initial=0))) // length
    )
    classes = len(found.class_names)
    totals = np.zeros((last - first + 1, classes + 1), np.int64)
    here = start // length
    before = np.minimum((here + 1) * length - start, window)
    np.add.at(totals, (here - first, found.codes), before)
    over = before < window
    np.add.at(totals, (here[over] - first + 1, found.codes[over]), window - before[over])
    columns = {f"minutes_{name}": totals[:, i] / 6e10 for i, name in enumerate(found.class_names)}
    columns[NONWEAR] = totals[:, classes] / 6e10
    columns[MISSING] = (length - totals.sum(axis=1)) / 6e10
    begins = (np.arange(first, last + 1) * length).view("datetime64[ns]").astype("datetime64[s]")
    return pd.DataFrame({unit: begins, **columns})
