"""Start times of windows that are given as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.errors import DataError


def parse_starts(path: Path, text: NDArray[np.str_]) -> NDArray[Any]:
    """Read start times from text.

    Args:
        path: the file, for the message.
        text: seconds such as ``12.5``, or dates and times such as ``2024-04-30 14:53:00`` (N,), none of them missing.

    Returns:
        Seconds as float64, or datetime64 (N,). Times with a time zone are in UTC.

    Raises:
        DataError: with the first text that is neither.
    """
    try:
        seconds = text.astype(np.float64)
        if np.isfinite(seconds).all():
            return seconds
    except ValueError:
        pass
    times = pd.to_datetime(pd.Series(text, dtype=object), format="ISO8601", utc=True, errors="coerce")
    if (unread := times.isna().to_numpy()).any():
        first = int(unread.argmax())
        raise DataError(
            f"{path} has the start time {str(text[first])!r} for window {first}; write times such as "
            "2024-04-30 14:53:00, or seconds"
        )
    found: NDArray[Any] = times.dt.tz_localize(None).to_numpy()
    return found
