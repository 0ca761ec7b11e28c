"""Minutes of each class in each day and hour of a recording."""

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
    """Recording with a predicted class for each window.

    Attributes:
        name: name of the recording.
        class_names: names of the classes.
        start: date and time of each window's start (N,), datetime64[ns], in the device's local time.
        window_s: window length in seconds.
        codes: index of each window's class (N,); -1 for non-wear.
        enmo_mg: motion in each window (N,) in mg: mean of the length of acceleration minus 1 g, negative values as 0.
        begin: start of the recording.
        end: end of the recording.
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
    """Minutes of each class, of non-wear and without data, in each day or hour of a recording.

    A window that crosses midnight or a full hour is split there. So the minutes of a day add up to 1440, and those of
    an hour to 60; time before and after the recording is missing data.

    Args:
        found: the recording with predicted classes.
        unit: ``day`` or ``hour``.

    Returns:
        One row for each day or hour: ``day`` or ``hour`` (its start), ``minutes_CLASS`` of each class,
        ``nonwear_minutes``, ``missing_minutes``.

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
    period = start // length
    before = np.minimum((period + 1) * length - start, window)
    np.add.at(totals, (period - first, found.codes), before)
    over = before < window
    np.add.at(totals, (period[over] - first + 1, found.codes[over]), window - before[over])
    columns = {f"minutes_{name}": totals[:, i] / 6e10 for i, name in enumerate(found.class_names)}
    columns[NONWEAR] = totals[:, classes] / 6e10
    columns[MISSING] = (length - totals.sum(axis=1)) / 6e10
    starts = (np.arange(first, last + 1) * length).view("datetime64[ns]").astype("datetime64[s]")
    return pd.DataFrame({unit: starts, **columns})
