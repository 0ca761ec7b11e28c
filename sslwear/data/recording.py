"""Recording: acceleration of one participant in memory, with labels and wear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.cuts import Cut

NO_LABEL = -1
"""Index of a label where there is none, as in `pandas.Categorical.codes`."""


@dataclass(frozen=True)
class Recording:
    """Acceleration of one participant, as the device recorded it.

    Attributes:
        participant: name or number of the participant.
        samples: (n, 3) in g; a sample that is not finite is a gap.
        rate_hz: nominal samples per second.
        label: the activity of the whole recording, or of each sample (a `pandas.Categorical` of length n, missing where
            nothing was annotated), or None for a recording without labels.
        time: seconds since `start` of each sample (n,), in the order of recording, which may have gaps, repeats and
            set-backs of the clock (see `sslwear.data.time_axis`); None when samples are evenly spaced at `rate_hz`.
        start: date and time of second 0, or None where it is unknown.
        worn: whether the device was worn, at each sample (n,); None when it was worn all the time.
        note: one line about how the recording was read.
    """

    participant: int | str
    samples: NDArray[np.floating]
    rate_hz: float
    label: str | pd.Categorical[Any] | None = None
    time: NDArray[np.float64] | None = None
    start: np.datetime64 | None = None
    worn: NDArray[np.bool] | None = None
    note: str = ""


@dataclass(frozen=True)
class RecordingInfo:
    """Facts about a recording that is cut into windows.

    Attributes:
        label_names: names of the labels that windows have an index of.
        start: date and time of second 0, or None where it is unknown.
        note: one line about how the recording was read.
        cuts: samples that are left out.
    """

    label_names: tuple[str, ...] = ()
    start: np.datetime64 | None = None
    note: str = ""
    cuts: tuple[Cut, ...] = ()
